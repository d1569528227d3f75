import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { jsonOption, socketOption, withClient } from "../client-session.ts";
import { type Counters, formatCounters } from "../counters.ts";
import { print, printJson } from "../output.ts";
import { watch } from "../watch.ts";

const options = {
  ...socketOption,
  ...jsonOption,
  watch: { type: "boolean", default: false, describe: "Print again every second, until Ctrl-C" },
} as const satisfies Record<string, Options>;

export const statsCommand: CommandModule<object, InferredOptionTypes<typeof options>> = {
  command: "stats",
  describe: "Show what the local sidecar holds, sends and receives",
  builder: (yargs) =>
    yargs
      .options(options)
      .example("$0 stats", "all counters, once")
      .example("$0 stats --watch", "again every second")
      .example("$0 stats --json | jq .digest", "one line of JSON for scripts"),
  handler: async (argv) => {
    await withClient(argv.socket, async (client) => {
      const show = async () => showStats({ ...(await client.stats()) }, argv);
      await (argv.watch ? watch(show) : show());
    });
  },
};

/** Home and clear below, so that a watched screen does not flicker as a full clear would. */
const redrawScreen = "\u001b[H\u001b[J";

function showStats(stats: Counters, shown: { readonly json: boolean; readonly watch: boolean }) {
  if (shown.json) {
    printJson(stats);
    return;
  }
  if (shown.watch) print(process.stdout.isTTY ? redrawScreen : `--- ${new Date().toISOString()}`);
  print(formatCounters(stats));
}
