import { createHash } from "node:crypto";
import { performance } from "node:perf_hooks";
import { ProcessCluster, type SidecarProcess, type Stats } from "../support/sidecar-process.ts";
import { pipelined } from "./measure.ts";

export interface MemoryOptions {
  readonly sessions: number;
}

export interface MemoryResult {
  readonly sessions: number;
  readonly createsPerSecond: number;
  /** Right after the last write, with what the garbage collector has not taken back yet. */
  readonly bytesPerSession: BytesPerSession;
  /** After a full collection: what the sessions themselves take. */
  readonly collected: BytesPerSession;
  /** What the sidecar itself counts against `sessions.bytesMax`. */
  readonly countedBytesPerSession: number;
  readonly eventLoopDelayMs: Stats["eventLoopDelayMs"];
}

interface BytesPerSession {
  readonly resident: number;
  readonly heapUsed: number;
  /** Buffers outside the heap. */
  readonly external: number;
}

/** Loaded into the sidecar: a full collection at a signal, as Node has no option for it here. */
const collectAtSignal = `
  import { setFlagsFromString } from "node:v8";
  import { runInNewContext } from "node:vm";
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  process.on("SIGUSR2", () => collect());
`;
const attributes = { value: "v".repeat(200) };

/**
 * Sessions of one attribute of 200 octets and ids as express-session makes them, created in one
 * sidecar as fast as it takes them. Memory is what it has grown by since it was empty; pauses are
 * those that the sidecar has seen itself, each up to 20 ms longer than shown.
 */
export async function benchMemory(
  { sessions }: MemoryOptions,
  print: (line: string) => void,
): Promise<MemoryResult[]> {
  const cluster = await ProcessCluster.open();
  try {
    const room = {
      SESSIONCAST_SESSIONS_BYTES_MAX: String(sessions * 4_096),
      SESSIONCAST_SESSIONS_COUNT_MAX: String(sessions),
      SESSIONCAST_SESSIONS_IDLE_MS: "0",
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(collectAtSignal)}`,
    };
    const node = await cluster.add("one", room).start();
    const client = await node.client();
    const empty = await node.stats();
    const startMs = performance.now();
    await pipelined(sessions, 256, (index) => client.create(idOf(index), attributes));
    const seconds = (performance.now() - startMs) / 1_000;
    const full = await node.stats();
    if (full.sessions.count !== sessions) throw new Error(`${full.sessions.count} are held`);
    const result = {
      sessions,
      createsPerSecond: Math.round(sessions / seconds),
      bytesPerSession: grown(sessions, empty, full),
      collected: grown(sessions, empty, await collected(node)),
      countedBytesPerSession: Math.round(full.sessions.bytes / sessions),
      eventLoopDelayMs: full.eventLoopDelayMs,
    };
    printResult(result, print);
    return [result];
  } finally {
    await cluster.close();
  }
}

/** The signal comes on its own way, so what is asked first may be answered before it. */
async function collected(node: SidecarProcess): Promise<Stats> {
  node.signal("SIGUSR2");
  for (let asked = 0; asked < 10; asked++) await node.stats();
  return await node.stats();
}

function grown(sessions: number, before: Stats, after: Stats): BytesPerSession {
  const each = (figure: keyof Stats["memory"]) =>
    Math.round((after.memory[figure] - before.memory[figure]) / sessions);
  return {
    resident: each("residentBytes"),
    heapUsed: each("heapUsedBytes"),
    external: each("externalBytes"),
  };
}

function printResult(result: MemoryResult, print: (line: string) => void): void {
  const { bytesPerSession, collected: live, eventLoopDelayMs } = result;
  const { p50, p99, p999, max } = eventLoopDelayMs;
  const row = (name: string, figure: keyof BytesPerSession) =>
    print(`  ${name.padEnd(30)}${String(bytesPerSession[figure]).padEnd(14)}${live[figure]}`);
  print(`${result.sessions.toLocaleString("en")} sessions of 200 octets in one sidecar`);
  print(`  creates/s                     ${result.createsPerSecond.toLocaleString("en")}`);
  print("  bytes per session             when loaded   after a full collection");
  row("resident", "resident");
  row("heap in use", "heapUsed");
  row("buffers outside the heap", "external");
  print(`  counted by sessions.bytesMax  ${result.countedBytesPerSession}`);
  print(`  delay of its event loop, ms   p50 ${p50}, p99 ${p99}, p99.9 ${p999}, max ${max}`);
}

/** 32 characters that say nothing. */
function idOf(index: number): string {
  return createHash("md5").update(String(index)).digest("hex");
}
