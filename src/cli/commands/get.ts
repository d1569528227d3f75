import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { idPositional, jsonOption, socketOption, withClient } from "../client-session.ts";
import { printError, printJson } from "../output.ts";
import { printSession, sessionJson } from "../session-output.ts";
import { fullOption, shownId } from "../short-id.ts";

const options = { ...socketOption, ...jsonOption, ...fullOption } as const satisfies Record<
  string,
  Options
>;
type Arguments = InferredOptionTypes<typeof options> & { readonly id: string };

export const getCommand: CommandModule<object, Arguments> = {
  command: "get <id>",
  describe: "Show a session (exit code 1 when there is none)",
  builder: (yargs) =>
    yargs
      .positional("id", idPositional)
      .options(options)
      .example("$0 get cart-1", "its attributes and when it ends")
      .example("$0 get cart-1 --json", "the same for scripts")
      .example("$0 get -- -Xy7", "an id that begins with a dash"),
  handler: async ({ id, json, full, socket }) => {
    const session = await withClient(socket, (client) => client.get(id));
    if (session === undefined) {
      printError(`sessioncast: there is no session ${shownId(id, full)}`);
      process.exitCode = 1;
    } else if (json) {
      printJson(sessionJson(session, full));
    } else {
      printSession(session, full);
    }
  },
};
