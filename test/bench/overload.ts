import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client, connect } from "../../src/client/connect.ts";
import { NodeProcess } from "../support/node-process.ts";
import { ProcessCluster, type SidecarProcess, type Stats } from "../support/sidecar-process.ts";
import { percentile, pipelined, round } from "./measure.ts";

export interface OverloadResult {
  readonly nodes: number;
  readonly seconds: number;
  readonly rateBytesPerSecondMax: number;
  readonly offeredPerSecond: number;
  readonly sentPerSecond: number;
  /** Of each node: before the load, halfway, at its end. */
  readonly residentMegabytes: readonly (readonly number[])[];
  readonly readP99Micros: { readonly idle: number; readonly underOverload: number };
  readonly convergedAfterMs: number;
}

const nodeCount = 3;
/** About a thousand updates of 125 octets a second leave; ten thousand are offered. */
const rateBytesPerSecondMax = 131_072;
const offeredPerSecond = (10 * rateBytesPerSecondMax) / 125;
const value = "v".repeat(100);
const ids = Array.from({ length: 10_000 }, (_, index) => `s${index}`);
const loadPath = fileURLToPath(new URL("./overload-load.js", import.meta.url));

/** What `overload-load.ts` is asked to do. */
export interface OverloadTask {
  readonly ids: readonly string[];
  readonly value: string;
  readonly perSecond: number;
  readonly seconds: number;
}

/**
 * Ten times as many updates a second as the writer may send, for a while: its memory, what a reader
 * beside it notices, and how long it takes afterwards until all nodes hold the same.
 */
export async function benchOverload(
  options: { readonly seconds: number },
  print: (line: string) => void,
): Promise<OverloadResult[]> {
  const cluster = await ProcessCluster.open();
  const rate = { SESSIONCAST_GOSSIP_RATE_BYTES_PER_SECOND_MAX: String(rateBytesPerSecondMax) };
  let load: NodeProcess | undefined;
  try {
    for (let index = 0; index < nodeCount; index++) await cluster.add(`n${index}`, rate).start();
    const writer = cluster.nodes[0] as SidecarProcess;
    const reader = await connect({ socket: writer.socket, timeoutMs: 60_000 });
    await pipelined(ids.length, 64, (index) => reader.set(ids[index] as string, { value }));
    await cluster.converged(ids.length);
    load = (await NodeProcess.start(loadPath, [writer.socket])).process;
    const idle = await readFor(reader, (options.seconds * 1_000) / 2);
    const resident = [await residentOf(cluster)];
    const before = await writer.stats();
    const task = { ids, value, perSecond: offeredPerSecond, seconds: options.seconds };
    const offering = load.ask<number>(task satisfies OverloadTask);
    const busy = readFor(reader, options.seconds * 1_000);
    await pause((options.seconds * 1_000) / 2);
    resident.push(await residentOf(cluster));
    const offered = await offering;
    const endMs = performance.now();
    resident.push(await residentOf(cluster));
    const { stream } = await writer.stats();
    await cluster.converged(ids.length);
    const convergedAfterMs = performance.now() - endMs;
    await reader.close();
    const result = {
      nodes: nodeCount,
      seconds: options.seconds,
      rateBytesPerSecondMax,
      offeredPerSecond: Math.round(offered / options.seconds),
      sentPerSecond: Math.round(
        ((stream.deltasSent ?? 0) - (before.stream.deltasSent ?? 0)) / options.seconds,
      ),
      residentMegabytes: resident,
      readP99Micros: {
        idle: round(percentile(idle, 0.99)),
        underOverload: round(percentile(await busy, 0.99)),
      },
      convergedAfterMs: Math.round(convergedAfterMs),
    };
    report(result, print);
    return [result];
  } finally {
    await load?.kill();
    await cluster.close();
  }
}

/** Reads one session after the other; how long each took. */
async function readFor(reader: Client, ms: number): Promise<number[]> {
  const endMs = performance.now() + ms;
  const samples: number[] = [];
  while (performance.now() < endMs) {
    const startMs = performance.now();
    await reader.get(ids[(samples.length * 7) % ids.length] as string);
    samples.push((performance.now() - startMs) * 1_000);
    await pause(1);
  }
  return samples;
}

async function residentOf(cluster: ProcessCluster): Promise<number[]> {
  const all: Stats[] = await Promise.all(cluster.nodes.map((node) => node.stats()));
  return all.map(({ memory }) => Math.round(memory.residentBytes / 1_000_000));
}

function report(result: OverloadResult, print: (line: string) => void): void {
  const { readP99Micros, residentMegabytes } = result;
  print(
    `${result.nodes} nodes, ${result.seconds} s, ${rateBytesPerSecondMax} octets/s each at most`,
  );
  print(`  updates/s offered, sent     ${result.offeredPerSecond}, ${result.sentPerSecond}`);
  print(
    `  resident MB, by node        ${residentMegabytes.map((all) => all.join("/")).join(" -> ")}`,
  );
  print(`  local read p99, us          ${readP99Micros.idle} idle, ${readP99Micros.underOverload}`);
  print(`  converged after, ms         ${result.convergedAfterMs}`);
}
