import { parseArgs } from "node:util";
import { benchExpress } from "./express.ts";
import { benchFlood } from "./flood.ts";
import { benchLocal } from "./local.ts";
import { describeMachine } from "./measure.ts";
import { benchMemory } from "./memory.ts";
import { benchOverload } from "./overload.ts";
import { benchReconcile } from "./reconcile.ts";
import { benchRefusal } from "./refusal.ts";
import { benchLoss, benchReplication } from "./replication.ts";
import { benchSealing } from "./sealing.ts";

/**
 * `npm run bench -- <one of benches> [--quick] [--json]`. Figures are medians with their spread;
 * `--quick` only shows that the bench runs. With `--json` the last line is one object.
 * `replication --loss 0.1` holds a cluster that loses a tenth of all datagrams against one that
 * loses none; `overload --seconds 30` offers ten times what may be sent.
 */
const { values, positionals } = parseArgs({
  options: {
    quick: { type: "boolean" },
    json: { type: "boolean" },
    nodes: { type: "string" },
    loss: { type: "string" },
    seconds: { type: "string" },
  },
  allowPositionals: true,
});
const quick = values.quick === true;
const print = (line: string) => process.stdout.write(`${line}\n`);
const nodes = values.nodes?.split(",").map(Number) ?? (quick ? [2] : [2, 4, 8]);

const replication = {
  nodes,
  repeats: quick ? 1 : 5,
  updates: quick ? 20_000 : 200_000,
  loneWrites: quick ? 200 : 2_000,
};

const benches: Record<string, () => Promise<readonly unknown[]>> = {
  replication: () =>
    values.loss === undefined
      ? benchReplication(replication, print)
      : benchLoss({ ...replication, loss: Number(values.loss) }, print),
  overload: () => benchOverload({ seconds: Number(values.seconds ?? (quick ? 3 : 30)) }, print),
  reconcile: () =>
    benchReconcile(
      {
        repeats: quick ? 1 : 5,
        joinSessions: quick ? 20_000 : 200_000,
        differenceSessions: quick ? 10_000 : 100_000,
        differences: quick ? 10 : 100,
        idleMs: quick ? 2_000 : 10_000,
      },
      print,
    ),
  local: () => benchLocal({ repeats: quick ? 1 : 5, gets: quick ? 10_000 : 200_000 }, print),
  express: () => benchExpress({ repeats: quick ? 1 : 5, seconds: quick ? 1 : 4 }, print),
  sealing: () => benchSealing({ repeats: quick ? 1 : 5, updates: replication.updates }, print),
  refusal: async () =>
    benchRefusal({ repeats: quick ? 1 : 5, datagrams: quick ? 10_000 : 200_000 }, print),
  flood: () =>
    benchFlood(
      {
        seconds: Number(values.seconds ?? (quick ? 3 : 20)),
        updates: 20_000,
        rate: 50_000,
      },
      print,
    ),
  memory: () => benchMemory({ sessions: quick ? 100_000 : 1_000_000 }, print),
};

const bench = benches[positionals[0] ?? ""];
if (bench === undefined) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(benches).join("|")} [--json]\n`);
  process.exitCode = 2;
} else {
  print(describeMachine());
  const results = await bench();
  if (values.json) print(JSON.stringify({ results }));
}
