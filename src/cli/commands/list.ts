import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import type { Client } from "../../client/connect.ts";
import { jsonOption, socketOption, withClient } from "../client-session.ts";
import { count } from "../format.ts";
import { print, printJson } from "../output.ts";
import { formatEnd } from "../session-output.ts";
import { fullOption, idField, shownId } from "../short-id.ts";
import { formatTable } from "../table.ts";
import { UsageError } from "../usage-error.ts";

const limitDefault = 50;
const pageMax = 1_000;

const options = {
  ...socketOption,
  ...jsonOption,
  prefix: {
    type: "string",
    requiresArg: true,
    default: "",
    describe: "Only ids that begin with this",
  },
  owner: {
    type: "string",
    requiresArg: true,
    describe: "Only sessions of this user",
  },
  limit: {
    type: "string",
    requiresArg: true,
    default: String(limitDefault),
    describe: "Show at most this many",
  },
  ...fullOption,
} as const satisfies Record<string, Options>;

export const listCommand: CommandModule<object, InferredOptionTypes<typeof options>> = {
  command: "list",
  describe: "List sessions that the local sidecar holds",
  builder: (yargs) =>
    yargs
      .options(options)
      .example("$0 list --limit 10", "ten of them")
      .example("$0 list --prefix cart- --full", "whole ids that begin with cart-")
      .example("$0 list --owner ada", "the sessions of a user")
      .example("$0 list --json", "ids and times for scripts; with --full whole ids"),
  handler: async (argv) => {
    const limit = parseLimit(argv.limit);
    const { listing, total } = await withClient(argv.socket, async (client) => ({
      listing: await collect({ client, prefix: argv.prefix, owner: argv.owner, limit }),
      total: await client.count(),
    }));
    if (argv.json) printJson({ ...listingJson(listing, argv.full), total });
    else printListing({ ...listing, total, isFull: argv.full });
  },
};

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`--limit "${text}" is no number from 1 to 999999999`);
}

type ListedSession = Awaited<ReturnType<Client["list"]>>["sessions"][number];

interface Listing {
  readonly sessions: readonly ListedSession[];
  /** Whether there are sessions beyond the limit. */
  readonly more: boolean;
}

/** Page after page: one answer of the sidecar is bounded, what the user asks for need not be. */
async function collect(query: {
  readonly client: Client;
  readonly prefix: string;
  readonly owner: string | undefined;
  readonly limit: number;
}): Promise<Listing> {
  const sessions: ListedSession[] = [];
  let cursor: string | undefined;
  do {
    const page = await query.client.list({
      prefix: query.prefix,
      owner: query.owner,
      limit: Math.min(pageMax, query.limit - sessions.length),
      cursor,
    });
    sessions.push(...page.sessions);
    cursor = page.cursor;
  } while (cursor !== undefined && sessions.length < query.limit);
  return { sessions, more: cursor !== undefined };
}

function listingJson({ sessions, more }: Listing, isFull: boolean): object {
  return {
    sessions: sessions.map(({ id, ...rest }) => ({ ...idField(id, isFull), ...rest })),
    more,
  };
}

function printListing(listing: Listing & { readonly total: number; readonly isFull: boolean }) {
  const nowMs = Date.now();
  const rows = listing.sessions.map(({ id, expiresAt }) => [
    shownId(id, listing.isFull),
    formatEnd(expiresAt, nowMs),
  ]);
  if (rows.length > 0) print(formatTable([{ title: "session" }, { title: "ends" }], rows));
  const more = listing.more ? "; --limit shows more" : "";
  print(`${rows.length} shown of ${count(listing.total, "session")} held${more}`);
}
