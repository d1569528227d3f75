import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { idPositional, jsonOption, socketOption, withClient } from "../client-session.ts";
import { print, printError, printJson } from "../output.ts";
import { fullOption, idField, shownId } from "../short-id.ts";

const options = { ...socketOption, ...jsonOption, ...fullOption } as const satisfies Record<
  string,
  Options
>;
type Arguments = InferredOptionTypes<typeof options> & {
  readonly id: string;
  readonly newId: string;
};

export const rotateCommand: CommandModule<object, Arguments> = {
  command: "rotate <id> <newId>",
  describe: "Move a session to a new id; the old one ends (exit code 1 when there was none)",
  builder: (yargs) =>
    yargs
      .positional("id", idPositional)
      .positional("newId", { ...idPositional, describe: "The id that it has from now on" })
      .options(options)
      .example("$0 rotate cart-1 cart-2", "whoever knew cart-1 has nothing any more"),
  handler: async ({ id, newId, json, full, socket }) => {
    const { applied } = await withClient(socket, (client) => client.rotate(id, newId));
    if (!applied) process.exitCode = 1;
    const [from, to] = [shownId(id, full), shownId(newId, full)];
    if (json) printJson({ ...idField(newId, full), from: idField(id, full), rotated: applied });
    else if (applied) print(`moved ${from} to ${to}`);
    else printError(`sessioncast: there is no session ${from}`);
  },
};
