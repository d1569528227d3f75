import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { jsonOption, socketOption, withClient } from "../client-session.ts";
import { type Counters, formatRecords } from "../counters.ts";
import { print, printJson } from "../output.ts";

const options = { ...socketOption, ...jsonOption } as const satisfies Record<string, Options>;

export const peersCommand: CommandModule<object, InferredOptionTypes<typeof options>> = {
  command: "peers",
  describe: "Show the other nodes of the cluster, as the local sidecar sees them",
  builder: (yargs) =>
    yargs
      .options(options)
      .example("$0 peers", "one line for each node")
      .example("$0 peers --json", "the same for scripts"),
  handler: async (argv) => {
    const stats = await withClient(argv.socket, async (client) => ({ ...(await client.stats()) }));
    const peers = peersOf(stats);
    if (argv.json) printJson(peers);
    else print(peers.length === 0 ? "no peers" : formatRecords(peers));
  },
};

function peersOf(stats: { readonly peers?: unknown }): readonly Counters[] {
  return Array.isArray(stats.peers) ? stats.peers : [];
}
