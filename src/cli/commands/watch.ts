import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import type { SessionEvent } from "../../client/connect.ts";
import { socketOption, withClient } from "../client-session.ts";
import { print, printJson } from "../output.ts";
import { fullOption, idField, shownId } from "../short-id.ts";
import { untilLeft } from "../watch.ts";

const options = {
  ...socketOption,
  json: { type: "boolean", default: false, describe: "Print a line of JSON for each" },
  prefix: {
    type: "string",
    requiresArg: true,
    default: "",
    describe: "Only ids that begin with this",
  },
  ...fullOption,
} as const satisfies Record<string, Options>;

export const watchCommand: CommandModule<object, InferredOptionTypes<typeof options>> = {
  command: "watch",
  describe: "Show sessions as they are created, changed, destroyed and expire, until Ctrl-C",
  builder: (yargs) =>
    yargs
      .options(options)
      .example("$0 watch --prefix cart-", "those that begin with cart-")
      .example("$0 watch --json", "a line of JSON for each; with --full whole ids"),
  handler: async ({ socket, prefix, json, full }) => {
    await withClient(socket, async (client) => {
      await client.watch({ prefix }, (event) => {
        if (json) printJson(eventJson(event, full));
        else print(describe(event, full));
      });
      await untilLeft();
    });
  },
};

function eventJson({ type, id }: SessionEvent, full: boolean): object {
  const at = new Date().toISOString();
  return type === "missed" ? { type, at } : { type, ...idField(id, full), at };
}

function describe({ type, id }: SessionEvent, full: boolean): string {
  const time = new Date().toISOString();
  if (type === "missed") return `${time} missed     more than could be told`;
  return `${time} ${type.padEnd(10)} ${shownId(id, full)}`;
}
