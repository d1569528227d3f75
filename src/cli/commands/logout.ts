import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { jsonOption, socketOption, withClient } from "../client-session.ts";
import { count } from "../format.ts";
import { print, printError, printJson } from "../output.ts";
import { plainWord } from "../plain-words.ts";

const options = {
  ...socketOption,
  ...jsonOption,
  except: { type: "string", requiresArg: true, describe: "The id of a session that stays" },
} as const satisfies Record<string, Options>;
type Arguments = InferredOptionTypes<typeof options> & { readonly owner: string };

export const logoutCommand: CommandModule<object, Arguments> = {
  command: "logout <owner>",
  describe: "End all sessions of an owner on all nodes (exit code 1 when some may be left)",
  builder: (yargs) =>
    yargs
      .positional("owner", {
        type: "string",
        demandOption: true,
        describe: "The user that the app named as the owner of sessions",
        coerce: plainWord,
      })
      .options(options)
      .example("$0 logout ada", "log this user out everywhere")
      .example("$0 logout ada --except cart-1", "but for this session"),
  handler: async ({ owner, except, json, socket }) => {
    const outcome = await withClient(socket, (client) => client.destroyAll({ owner, except }));
    if (json) printJson(outcome);
    else print(`destroyed ${count(outcome.count, "session")}`);
    if (outcome.complete) return;
    process.exitCode = 1;
    printError(
      "sessioncast: this node does not hold all sessions that it knows of, and cannot tell whose " +
        "they are. Run it on a node that has room for all (stubs 0 in stats), or again in a moment",
    );
  },
};
