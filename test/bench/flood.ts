import { Attack, type AttackMode } from "../support/attack.ts";
import { KeyFiles } from "../support/key-files.ts";
import { NetworkLab, withoutLab } from "../support/network-lab.ts";
import { ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";
import { median, pipelined, round, withSpread } from "./measure.ts";
import { PatchLoad } from "./patch-load.ts";
import { ids, inFlight, sessionCount, throughput, value } from "./replication.ts";

export interface FloodResult {
  readonly mode: AttackMode;
  readonly floodPerSecond: number;
  readonly updatesPerSecond: number;
  readonly calmUpdatesPerSecond: number;
  readonly ratio: number;
  readonly residentGrowthBytes: number;
}

export interface FloodOptions {
  readonly seconds: number;
  readonly updates: number;
  readonly rate: number;
}

const modes: readonly AttackMode[] = ["garbage", "headers", "recorded"];

/**
 * Two sidecars with keys, each in a network namespace of its own, replicate as fast as they can
 * while a third host floods their group, and before and after that. All share the machine's
 * processors, so what the flood costs its sender counts as well.
 */
export async function benchFlood(
  options: FloodOptions,
  print: (line: string) => void,
): Promise<FloodResult[]> {
  const missing = withoutLab();
  if (missing !== false) {
    print(`skipped: ${missing}`);
    return [];
  }
  const lab = new NetworkLab(3);
  const cluster = await ProcessCluster.open();
  try {
    const files = new KeyFiles(cluster.directory);
    const [stranger, ...hosts] = lab.hosts;
    if (stranger === undefined) throw new Error("the lab has three hosts");
    for (const [index, { address, prefix }] of hosts.entries()) {
      const name = `n${index}`;
      const environment = { SESSIONCAST_GOSSIP_INTERFACE: address, ...files.environment(name) };
      await cluster.add(name, environment, prefix).start();
    }
    const writer = cluster.nodes[0] as SidecarProcess;
    const client = await writer.client();
    await pipelined(sessionCount, inFlight, (index) => client.create(ids[index] ?? "", { value }));
    await cluster.converged(sessionCount);
    const load = await PatchLoad.open(writer.socket, ids, value);
    await throughput(cluster, load, options.updates);
    const results: FloodResult[] = [];
    for (const mode of modes) {
      const attack = await Attack.prepare(stranger, cluster, mode, options);
      results.push(await run(cluster, load, attack, mode, options, print));
    }
    load.close();
    return results;
  } finally {
    await cluster.close();
    lab.remove();
  }
}

async function run(
  cluster: ProcessCluster,
  load: PatchLoad,
  attack: Attack,
  mode: AttackMode,
  { updates }: FloodOptions,
  print: (line: string) => void,
): Promise<FloodResult> {
  const rate = async () => (await throughput(cluster, load, updates)).updatesPerSecond;
  const calm = [await rate(), await rate(), await rate()];
  const before = await residentBytes(cluster);
  const flooded: number[] = [];
  let isOver = false;
  const flood = attack.send().finally(() => {
    isOver = true;
  });
  while (!isOver) flooded.push(await rate());
  // The last run saw the end of the flood.
  if (flooded.length > 1) flooded.pop();
  const { perSecond } = await flood;
  const after = await residentBytes(cluster);
  calm.push(await rate(), await rate());
  const ratio = median(flooded) / median(calm);
  const growth = Math.max(...after.map((bytes, index) => bytes - (before[index] ?? 0)));
  print(`${mode}: ${perSecond.toLocaleString("en")} datagrams/s`);
  print(`  updates/s with the flood    ${withSpread(flooded)}`);
  print(`  without                     ${withSpread(calm)}, ratio ${round(ratio, 2)}`);
  print(`  resident memory grew by     ${round(growth / 1e6)} MB at most`);
  return {
    mode,
    floodPerSecond: perSecond,
    updatesPerSecond: Math.round(median(flooded)),
    calmUpdatesPerSecond: Math.round(median(calm)),
    ratio: round(ratio, 2),
    residentGrowthBytes: growth,
  };
}

async function residentBytes(cluster: ProcessCluster): Promise<number[]> {
  const stats = await Promise.all(cluster.nodes.map((node) => node.stats()));
  return stats.map(({ memory }) => memory.residentBytes);
}
