import { KeyFiles } from "../support/key-files.ts";
import { ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";
import { median, pipelined, round, withSpread } from "./measure.ts";
import { ids, inFlight, PatchLoad, value } from "./patch-load.ts";
import { type Run, throughput } from "./replication.ts";

export interface SealingResult {
  readonly nodes: number;
  readonly sealedUpdatesPerSecond: number;
  readonly plainUpdatesPerSecond: number;
  readonly ratio: number;
  readonly sealedReceiverCpuMicrosPerUpdate: number;
  readonly plainReceiverCpuMicrosPerUpdate: number;
}

/** The load of `replication` on a cluster with keys and on one without, in turns. */
export async function benchSealing(
  options: { readonly repeats: number; readonly updates: number },
  print: (line: string) => void,
): Promise<SealingResult[]> {
  const sides = [await openSide(true), await openSide(false)] as const;
  const [sealed, plain] = sides;
  try {
    for (const { cluster, load } of sides) await throughput(cluster, load, options.updates);
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      for (const { cluster, load, runs } of sides) {
        runs.push(await throughput(cluster, load, options.updates));
      }
    }
  } finally {
    for (const { cluster, load } of sides) {
      load.close();
      await cluster.close();
    }
  }
  const show = (figure: keyof Run, digits: number) =>
    sides
      .map(({ runs }) =>
        withSpread(
          runs.map((run) => run[figure]),
          digits,
        ),
      )
      .join(" | ");
  print(`2 nodes${" ".repeat(26)}sealed | plain`);
  print(`  updates/s on every node     ${show("updatesPerSecond", 0)}`);
  print(`  receiver CPU per update, us ${show("receiverCpuMicros", 2)}`);
  const middle = ({ runs }: Side, figure: keyof Run) => median(runs.map((run) => run[figure]));
  // Neighbours in time are compared: the machine is not the same from minute to minute.
  const ratios = sealed.runs.map(
    ({ updatesPerSecond }, index) => updatesPerSecond / (plain.runs[index]?.updatesPerSecond ?? 0),
  );
  print(`  sealed : plain              ${withSpread(ratios, 2)}`);
  return [
    {
      nodes: 2,
      sealedUpdatesPerSecond: Math.round(middle(sealed, "updatesPerSecond")),
      plainUpdatesPerSecond: Math.round(middle(plain, "updatesPerSecond")),
      ratio: round(median(ratios), 2),
      sealedReceiverCpuMicrosPerUpdate: round(middle(sealed, "receiverCpuMicros"), 2),
      plainReceiverCpuMicrosPerUpdate: round(middle(plain, "receiverCpuMicros"), 2),
    },
  ];
}

interface Side {
  readonly cluster: ProcessCluster;
  readonly load: PatchLoad;
  readonly runs: Run[];
}

async function openSide(sealed: boolean): Promise<Side> {
  const cluster = await ProcessCluster.open();
  const files = new KeyFiles(cluster.directory);
  for (const name of ["n0", "n1"]) {
    await cluster.add(name, sealed ? files.environment(name) : {}).start();
  }
  const writer = cluster.nodes[0] as SidecarProcess;
  const client = await writer.client();
  await pipelined(ids.length, inFlight, (index) => client.create(ids[index] ?? "", { value }));
  await cluster.converged(ids.length);
  return { cluster, load: await PatchLoad.open(writer.socket, ids, value), runs: [] };
}
