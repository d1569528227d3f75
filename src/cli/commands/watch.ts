import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import type { SessionEvent } from "../../client/connect.ts";
import { socketOption, withClient } from "../client-session.ts";
import { printable, shortId } from "../format.ts";
import { print, printJson } from "../output.ts";
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
  full: {
    type: "boolean",
    default: false,
    describe: "Show whole ids; whoever knows one can use the session",
  },
} as const satisfies Record<string, Options>;

export const watchCommand: CommandModule<object, InferredOptionTypes<typeof options>> = {
  command: "watch",
  describe: "Show sessions as they are created, changed, destroyed and expire, until Ctrl-C",
  builder: (yargs) =>
    yargs
      .options(options)
      .example("$0 watch --prefix cart-", "those that begin with cart-")
      .example("$0 watch --json", "whole ids for scripts"),
  handler: async ({ socket, prefix, json, full }) => {
    await withClient(socket, async (client) => {
      await client.watch({ prefix }, (event) => {
        if (json) printJson({ ...event, at: new Date().toISOString() });
        else print(describe(event, full));
      });
      await untilLeft();
    });
  },
};

function describe({ type, id }: SessionEvent, full: boolean): string {
  const time = new Date().toISOString();
  if (type === "missed") return `${time} missed     more than could be told`;
  return `${time} ${type.padEnd(10)} ${full ? printable(id) : shortId(id)}`;
}
