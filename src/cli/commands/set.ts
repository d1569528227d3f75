import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import type { Client, SessioncastErrorCode } from "../../client/connect.ts";
import { type Attributes, parseAssignments } from "../assignments.ts";
import { idPositional, jsonOption, socketOption, withClient } from "../client-session.ts";
import { parseDuration } from "../duration.ts";
import { print, printJson } from "../output.ts";
import { plainWord } from "../plain-words.ts";
import { printSession, sessionJson } from "../session-output.ts";
import { fullOption } from "../short-id.ts";

const options = {
  ...socketOption,
  ...jsonOption,
  ...fullOption,
  idle: {
    type: "string",
    requiresArg: true,
    describe: "End the session when unused this long: 500ms, 30s, 30m, 12h, 7d; 0: never",
  },
  owner: {
    type: "string",
    requiresArg: true,
    describe: "The user whose session it is, for list --owner and logout",
  },
} as const satisfies Record<string, Options>;

type Arguments = InferredOptionTypes<typeof options> & {
  readonly id: string;
  readonly attributes: readonly string[];
};

export const setCommand: CommandModule<object, Arguments> = {
  command: "set <id> <attributes..>",
  describe: "Change attributes of a session; starts it when there is none",
  builder: (yargs) =>
    yargs
      .positional("id", idPositional)
      .positional("attributes", {
        type: "string",
        array: true,
        coerce: (words: readonly string[]) => words.map(plainWord),
        demandOption: true,
        describe: "name=value; a value that is JSON is stored as such, any other as text",
      })
      .options(options)
      .example("$0 set cart-1 name=ada visits=3", "a text and a number")
      .example(`$0 set cart-1 'items=["tea"]' --idle 12h`, "a list; unused for 12 h it ends"),
  handler: async (argv) => {
    const attributes = parseAssignments(argv.attributes);
    const idleMs = argv.idle === undefined ? undefined : parseDuration(argv.idle);
    await withClient(argv.socket, async (client) => {
      const outcome = await store({ client, id: argv.id, attributes, idleMs, owner: argv.owner });
      const session = await client.get(argv.id);
      if (argv.json) {
        printJson({ outcome, session: session ? sessionJson(session, argv.full) : null });
      } else {
        print(outcome);
        if (session !== undefined) printSession(session, argv.full);
      }
    });
  },
};

interface Change {
  readonly client: Client;
  readonly id: string;
  readonly attributes: Attributes;
  readonly idleMs: number | undefined;
  readonly owner: string | undefined;
}

const conflictCode: SessioncastErrorCode = "SESSIONCAST_CONFLICT";

async function store(change: Change): Promise<"changed" | "created"> {
  if (await patch(change)) return "changed";
  const { client, id, attributes, idleMs, owner } = change;
  try {
    await client.create(id, attributes, { idleMs, owner });
    return "created";
  } catch (error) {
    const isConflict = error instanceof Error && "code" in error && error.code === conflictCode;
    if (!isConflict) throw error;
    // An app has started the session since the patch; now a patch finds it.
    if (await patch(change)) return "changed";
    throw error;
  }
}

async function patch({ client, id, attributes, idleMs, owner }: Change): Promise<boolean> {
  const { applied } = await client.patch(id, { set: attributes, owner });
  if (applied && idleMs !== undefined) await client.touch(id, { idleMs });
  return applied;
}
