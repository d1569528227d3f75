import { performance } from "node:perf_hooks";
import type { Client } from "../../src/client/connect.ts";
import { ProcessCluster } from "../support/sidecar-process.ts";
import { median, percentile, pipelined, round, withSpread } from "./measure.ts";

export interface LocalOptions {
  readonly repeats: number;
  readonly gets: number;
}

export interface LocalResult {
  readonly subject: "sessioncast";
  readonly inFlight: number;
  readonly getsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

const sessionCount = 10_000;

/** Reads of sessions of about 300 bytes through the Unix socket of one sidecar. */
export async function benchLocal(
  options: LocalOptions,
  print: (line: string) => void,
): Promise<LocalResult[]> {
  const cluster = await ProcessCluster.open();
  try {
    const node = await cluster.add("one").start();
    const client = await node.client();
    const session = { user: "ada", cart: ["book", "lamp"], text: "t".repeat(250) };
    await pipelined(sessionCount, 64, (index) => client.create(`s${index}`, session));
    const results: LocalResult[] = [];
    for (const inFlight of [1, 64, 256]) {
      const gets = inFlight === 1 ? Math.ceil(options.gets / 10) : options.gets;
      await readMany(client, gets, inFlight);
      const runs: { rate: number; latencies: number[] }[] = [];
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        runs.push(await readMany(client, gets, inFlight));
      }
      const p50 = runs.map((run) => percentile(run.latencies, 0.5));
      const p99 = runs.map((run) => percentile(run.latencies, 0.99));
      print(`${inFlight} in flight`);
      print(`  gets/s  ${withSpread(runs.map((run) => run.rate))}`);
      print(`  p50, us ${withSpread(p50, 1)}`);
      print(`  p99, us ${withSpread(p99, 1)}`);
      results.push({
        subject: "sessioncast",
        inFlight,
        getsPerSecond: Math.round(median(runs.map((run) => run.rate))),
        p50Micros: round(median(p50)),
        p99Micros: round(median(p99)),
      });
    }
    return results;
  } finally {
    await cluster.close();
  }
}

async function readMany(
  client: Client,
  gets: number,
  inFlight: number,
): Promise<{ rate: number; latencies: number[] }> {
  const latencies: number[] = [];
  const startMs = performance.now();
  await pipelined(gets, inFlight, async (index) => {
    const sentMs = performance.now();
    const session = await client.get(`s${(index * 7) % sessionCount}`);
    if (session === undefined) throw new Error("a session that was created is missing");
    latencies.push((performance.now() - sentMs) * 1_000);
  });
  return { rate: (gets / (performance.now() - startMs)) * 1_000, latencies };
}
