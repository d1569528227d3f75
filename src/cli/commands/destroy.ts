import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { idPositional, jsonOption, socketOption, withClient } from "../client-session.ts";
import { print, printError, printJson } from "../output.ts";
import { fullOption, idField, shownId } from "../short-id.ts";

const options = { ...socketOption, ...jsonOption, ...fullOption } as const satisfies Record<
  string,
  Options
>;
type Arguments = InferredOptionTypes<typeof options> & { readonly id: string };

export const destroyCommand: CommandModule<object, Arguments> = {
  command: "destroy <id>",
  describe: "End a session on all nodes (exit code 1 when there was none)",
  builder: (yargs) =>
    yargs
      .positional("id", idPositional)
      .options(options)
      .example("$0 destroy cart-1", "log this visitor out")
      .example("$0 destroy -- -Xy7", "an id that begins with a dash"),
  handler: async ({ id, json, full, socket }) => {
    const { applied: destroyed } = await withClient(socket, (client) => client.destroy(id));
    if (!destroyed) process.exitCode = 1;
    if (json) printJson({ ...idField(id, full), destroyed });
    else if (destroyed) print(`destroyed ${shownId(id, full)}`);
    else printError(`sessioncast: there is no session ${shownId(id, full)}`);
  },
};
