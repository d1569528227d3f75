import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "../../src/client/connect.ts";
import { ProcessCluster, type SidecarProcess, type Stats } from "../support/sidecar-process.ts";
import { BarePipeline, type BareRun } from "./bare-pipeline.ts";
import { median, percentile, pipelined, round, withSpread } from "./measure.ts";
import { ids, inFlight, PatchLoad, value } from "./patch-load.ts";

export interface ReplicationOptions {
  readonly nodes: readonly number[];
  readonly repeats: number;
  readonly updates: number;
  readonly loneWrites: number;
}

export interface ReplicationResult {
  readonly nodes: number;
  readonly updatesPerSecond: number;
  readonly bytesPerUpdate: number;
  readonly receiverCpuMicrosPerUpdate: number;
  readonly latencyMicros: { readonly p50: number; readonly p99: number };
  /** The same of a pipeline without any protocol, in the same run. */
  readonly bare: {
    readonly updatesPerSecond: number;
    readonly receiverCpuMicrosPerUpdate: number;
    readonly latencyMicros: { readonly p50: number; readonly p99: number };
  };
}

export type Run = BareRun;

/**
 * Real sidecars on loopback, one process that writes (see patch-load.ts). Each update sets one
 * 100-byte attribute of one of 200 000 sessions through the first node; a run ends when every node
 * has applied every update. The sessions take turns, so that no update overtakes another of its
 * session and is conflated with it, also where the writer is faster than the receivers.
 * Runs take turns with those of a bare pipeline: the machine is not the same from minute to minute.
 */
export async function benchReplication(
  options: ReplicationOptions,
  print: (line: string) => void,
): Promise<ReplicationResult[]> {
  const results: ReplicationResult[] = [];
  for (const count of options.nodes) {
    const cluster = await ProcessCluster.open();
    const bare = await BarePipeline.open(count);
    try {
      for (let index = 0; index < count; index++) await cluster.add(`n${index}`).start();
      results.push(await benchCluster(cluster, bare, options, print));
    } finally {
      await bare.close();
      await cluster.close();
    }
  }
  return results;
}

async function benchCluster(
  cluster: ProcessCluster,
  bare: BarePipeline,
  options: ReplicationOptions,
  print: (line: string) => void,
): Promise<ReplicationResult> {
  const writer = cluster.nodes[0] as SidecarProcess;
  const client = await writer.client();
  await pipelined(ids.length, inFlight, (index) => client.create(ids[index] as string, { value }));
  await cluster.converged(ids.length);
  const load = await PatchLoad.open(writer.socket, ids, value);
  await throughput(cluster, load, options.updates);
  await bare.run(options.updates, inFlight);
  const runs: Run[] = [];
  const bareRuns: Run[] = [];
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    runs.push(await throughput(cluster, load, options.updates));
    bareRuns.push(await bare.run(options.updates, inFlight));
  }
  load.close();
  // The first are not counted: the code that they take is not compiled yet.
  await loneWrites(cluster, client, options.loneWrites);
  const latencies = await loneWrites(cluster, client, options.loneWrites);
  await bare.loneWrites(options.loneWrites);
  const bareLatencies = await bare.loneWrites(options.loneWrites);
  print(
    `${cluster.nodes.length} nodes${" ".repeat(26)}sessioncast, and a pipeline without protocol`,
  );
  print(`  updates/s on every node     ${compared(runs, bareRuns, "updatesPerSecond", 0)}`);
  print(`  bytes sent per update       ${compared(runs, bareRuns, "bytesPerUpdate", 1)}`);
  print(`  receiver CPU per update, us ${compared(runs, bareRuns, "receiverCpuMicros", 2)}`);
  print(`  lone write seen there, us   ${quantiles(latencies)} | ${quantiles(bareLatencies)}`);
  return {
    nodes: cluster.nodes.length,
    bytesPerUpdate: round(median(runs.map((run) => run.bytesPerUpdate))),
    ...summary(runs, latencies),
    bare: summary(bareRuns, bareLatencies),
  };
}

function compared(
  runs: readonly Run[],
  bareRuns: readonly Run[],
  figure: keyof Run,
  digits: number,
): string {
  const show = (some: readonly Run[]) =>
    withSpread(
      some.map((run) => run[figure]),
      digits,
    );
  return `${show(runs)} | ${show(bareRuns)}`;
}

function quantiles(samples: readonly number[]): string {
  return `p50 ${round(percentile(samples, 0.5))}, p99 ${round(percentile(samples, 0.99))}`;
}

function summary(runs: readonly Run[], latencies: readonly number[]): ReplicationResult["bare"] {
  return {
    updatesPerSecond: Math.round(median(runs.map((run) => run.updatesPerSecond))),
    receiverCpuMicrosPerUpdate: round(median(runs.map((run) => run.receiverCpuMicros)), 2),
    latencyMicros: {
      p50: round(percentile(latencies, 0.5)),
      p99: round(percentile(latencies, 0.99)),
    },
  };
}

export async function throughput(
  cluster: ProcessCluster,
  load: PatchLoad,
  updates: number,
): Promise<Run> {
  const before = await statsOf(cluster);
  const startMs = performance.now();
  await load.run(updates, inFlight);
  await allApplied(cluster, before, updates);
  const seconds = (performance.now() - startMs) / 1_000;
  const after = await statsOf(cluster);
  const sent = grown(before, after, (stats) => stats.datagrams.bytesSent ?? 0)[0] ?? 0;
  const cpu = grown(before, after, (stats) => stats.cpuMicros).slice(1);
  return {
    updatesPerSecond: updates / seconds,
    bytesPerUpdate: sent / updates,
    receiverCpuMicros: median(cpu) / updates,
  };
}

export interface LossResult {
  readonly nodes: number;
  readonly loss: number;
  readonly updatesPerSecond: number;
  readonly losslessUpdatesPerSecond: number;
  readonly ratio: number;
  readonly latencyMicros: { readonly p50: number; readonly p99: number };
}

/**
 * The same load on a cluster whose nodes throw away this share of all that arrives, and on one that
 * does not, in turns. A run ends when all nodes hold the same: what was lost for good comes by
 * anti-entropy, and what had to wait was merged.
 */
export async function benchLoss(
  options: ReplicationOptions & { readonly loss: number },
  print: (line: string) => void,
): Promise<LossResult[]> {
  const results: LossResult[] = [];
  for (const nodes of options.nodes) {
    const lossless = await ProcessCluster.open();
    const lossy = await ProcessCluster.open();
    const dropping = { SESSIONCAST_GOSSIP_FAULT_DROP_RATE: String(options.loss) };
    try {
      for (let index = 0; index < nodes; index++) {
        await lossless.add(`n${index}`).start();
        await lossy.add(`n${index}`, dropping).start();
      }
      const rates: number[] = [];
      const losslessRates: number[] = [];
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        losslessRates.push(await convergingRun(lossless, options.updates));
        rates.push(await convergingRun(lossy, options.updates));
      }
      const client = await (lossy.nodes[0] as SidecarProcess).client();
      const latencies = await loneWrites(lossy, client, options.loneWrites);
      const ratio = median(rates) / median(losslessRates);
      print(`${nodes} nodes, ${options.loss * 100} % lost${" ".repeat(16)}with loss | without`);
      print(`  updates/s on every node     ${withSpread(rates)} | ${withSpread(losslessRates)}`);
      print(`  lone write seen there, us   ${quantiles(latencies)}`);
      results.push({
        nodes,
        loss: options.loss,
        updatesPerSecond: Math.round(median(rates)),
        losslessUpdatesPerSecond: Math.round(median(losslessRates)),
        ratio: round(ratio, 2),
        latencyMicros: {
          p50: round(percentile(latencies, 0.5)),
          p99: round(percentile(latencies, 0.99)),
        },
      });
    } finally {
      await lossless.close();
      await lossy.close();
    }
  }
  return results;
}

async function convergingRun(cluster: ProcessCluster, updates: number): Promise<number> {
  const client = await (cluster.nodes[0] as SidecarProcess).client();
  const startMs = performance.now();
  await pipelined(updates, inFlight, (index) =>
    client.set(ids[index % ids.length] as string, { value, index }),
  );
  await cluster.converged(Math.min(updates, ids.length));
  return (updates / (performance.now() - startMs)) * 1_000;
}

/**
 * Every update has left, each for itself, and every node holds what they made. What repair is late
 * with, reconciliation may have brought, several updates of a session in one.
 */
async function allApplied(
  cluster: ProcessCluster,
  before: readonly Stats[],
  updates: number,
): Promise<void> {
  for (;;) {
    const after = await statsOf(cluster);
    const sent = grown(before, after, (stats) => stats.stream.deltasSent ?? 0)[0] ?? 0;
    const waiting = after[0]?.pacing.dirtyRecords ?? 0;
    if (sent + waiting < updates) throw new Error(`only ${sent} of ${updates} left: conflated`);
    if (sent >= updates && after.every(({ digest }) => digest === after[0]?.digest)) return;
    // Asking without pause would take the time from those who have still to apply.
    await pause(1);
  }
}

/** From before the write on one node until an app beside the last node is told of it. */
async function loneWrites(
  cluster: ProcessCluster,
  client: Client,
  count: number,
): Promise<number[]> {
  const watcher = await (cluster.nodes.at(-1) as SidecarProcess).client();
  const id = ids[0] as string;
  let told = () => {};
  const watch = await watcher.watch({ prefix: id }, (event) => {
    if (event.id === id) told();
  });
  const samples: number[] = [];
  for (let index = 0; index < count; index++) {
    const startMs = performance.now();
    const seen = new Promise<void>((resolve) => {
      told = resolve;
    });
    const written = client.patch(id, { set: { index } });
    await seen;
    samples.push((performance.now() - startMs) * 1_000);
    await written;
  }
  await watch.close();
  return samples;
}

function statsOf(cluster: ProcessCluster): Promise<Stats[]> {
  return Promise.all(cluster.nodes.map((node) => node.stats()));
}

function grown(
  before: readonly Stats[],
  after: readonly Stats[],
  read: (stats: Stats) => number,
): number[] {
  return after.map((stats, index) => read(stats) - read(before[index] ?? stats));
}
