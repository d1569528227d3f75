import { Attack, type AttackMode } from "../support/attack.ts";
import { KeyFiles } from "../support/key-files.ts";
import { type LabHost, NetworkLab, withoutLab } from "../support/network-lab.ts";
import { ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";
import { median, pipelined, round, withSpread } from "./measure.ts";
import { ids, inFlight, PatchLoad, value } from "./patch-load.ts";
import { throughput } from "./replication.ts";

export interface FloodResult {
  readonly mode: AttackMode;
  readonly floodPerSecond: number;
  readonly updatesPerSecond: number;
  /** While the same goes to a port where nobody listens: that takes the machine's time as well. */
  readonly besideUpdatesPerSecond: number;
  readonly calmUpdatesPerSecond: number;
  /** Of the first to the second. */
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
 * while a third host floods their group. All share the machine's processors, so the same is
 * measured while the flood goes to a port where nobody listens.
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
    await pipelined(ids.length, inFlight, (index) => client.create(ids[index] ?? "", { value }));
    await cluster.converged(ids.length);
    const load = await PatchLoad.open(writer.socket, ids, value);
    const site = { cluster, load, stranger, options };
    await rate(site);
    const results: FloodResult[] = [];
    for (const mode of modes) results.push(await run(site, mode, print));
    load.close();
    return results;
  } finally {
    await cluster.close();
    lab.remove();
  }
}

interface Site {
  readonly cluster: ProcessCluster;
  readonly load: PatchLoad;
  readonly stranger: LabHost;
  readonly options: FloodOptions;
}

async function rate({ cluster, load, options }: Site): Promise<number> {
  return (await throughput(cluster, load, options.updates)).updatesPerSecond;
}

async function run(
  site: Site,
  mode: AttackMode,
  print: (line: string) => void,
): Promise<FloodResult> {
  const calm = [await rate(site), await rate(site), await rate(site)];
  const besideFlood = await during(site, mode, site.cluster.port + 1);
  const before = await residentBytes(site.cluster);
  const flood = await during(site, mode, site.cluster.port);
  const after = await residentBytes(site.cluster);
  const ratio = median(flood.rates) / median(besideFlood.rates);
  const growth = Math.max(...after.map((bytes, index) => bytes - (before[index] ?? 0)));
  print(`${mode}: ${flood.perSecond.toLocaleString("en")} datagrams/s`);
  print(`  updates/s with the flood    ${withSpread(flood.rates)}`);
  print(`  the same beside the group   ${withSpread(besideFlood.rates)}, ratio ${round(ratio, 2)}`);
  print(`  without                     ${withSpread(calm)}`);
  print(`  resident memory grew by     ${round(growth / 1e6)} MB at most`);
  return {
    mode,
    floodPerSecond: flood.perSecond,
    updatesPerSecond: Math.round(median(flood.rates)),
    besideUpdatesPerSecond: Math.round(median(besideFlood.rates)),
    calmUpdatesPerSecond: Math.round(median(calm)),
    ratio: round(ratio, 2),
    residentGrowthBytes: growth,
  };
}

interface Flood {
  readonly rates: readonly number[];
  readonly perSecond: number;
}

async function during(site: Site, mode: AttackMode, port: number): Promise<Flood> {
  const { cluster, stranger, options } = site;
  const { seconds, rate: perSecond } = options;
  const attack = await Attack.prepare(stranger, cluster, mode, { seconds, rate: perSecond, port });
  // Something has to be heard before it can be sent again.
  await rate(site);
  const rates: number[] = [];
  let isOver = false;
  const sending = attack.send().finally(() => {
    isOver = true;
  });
  while (!isOver) rates.push(await rate(site));
  // The last run saw the end of the flood.
  if (rates.length > 1) rates.pop();
  return { rates, perSecond: (await sending).perSecond };
}

async function residentBytes(cluster: ProcessCluster): Promise<number[]> {
  const stats = await Promise.all(cluster.nodes.map((node) => node.stats()));
  return stats.map(({ memory }) => memory.residentBytes);
}
