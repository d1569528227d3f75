import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NodeProcess } from "../support/node-process.ts";
import { RedisProcess, withoutRedis } from "../support/redis-process.ts";
import { ProcessCluster } from "../support/sidecar-process.ts";
import { benchInvalidation } from "./invalidation.ts";
import { localSubjects, type ServerName } from "./local-subjects.ts";
import { median, round, withSpread } from "./measure.ts";

const loadPath = fileURLToPath(new URL("./local-load.js", import.meta.url));
const echoPath = fileURLToPath(new URL("./echo-server.js", import.meta.url));

export interface LocalOptions {
  readonly repeats: number;
  readonly gets: number;
}

export interface LocalResult extends LoadRun {
  readonly subject: string;
  readonly inFlight: number;
}

export interface LoadTask {
  readonly gets: number;
  readonly inFlight: number;
}

export interface LoadRun {
  readonly getsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/**
 * Reads of 10 000 sessions of about 300 bytes, all through Unix sockets of this machine: from one
 * sidecar, from a Redis as session stores read it, and from a server that does nothing. Subjects
 * take turns within each repeat, since the machine is not the same from minute to minute.
 */
export async function benchLocal(
  options: LocalOptions,
  print: (line: string) => void,
): Promise<LocalResult[]> {
  const servers = await Servers.start(print);
  const loads = new Map<string, NodeProcess>();
  try {
    for (const [subject, { server }] of Object.entries(localSubjects)) {
      const socket = servers.sockets[server];
      if (socket === undefined) continue;
      loads.set(subject, (await NodeProcess.start(loadPath, [subject, socket])).process);
    }
    const results: LocalResult[] = [];
    for (const inFlight of [1, 64, 256]) {
      const gets = inFlight === 1 ? Math.ceil(options.gets / 10) : options.gets;
      const runs = await runAll(loads, { gets, inFlight }, options.repeats);
      printRuns(inFlight, runs, print);
      for (const [subject, some] of runs) results.push({ subject, inFlight, ...medians(some) });
    }
    const { sidecar = "" } = servers.sockets;
    await benchInvalidation(sidecar, Math.ceil(options.gets / 100), print);
    return results;
  } finally {
    await Promise.all([...loads.values()].map((load) => load.kill()));
    await servers.close();
  }
}

class Servers {
  readonly sockets: Partial<Record<ServerName, string>> = {};
  readonly #cluster: ProcessCluster;
  #echo: NodeProcess | undefined;
  #redis: RedisProcess | undefined;

  private constructor(cluster: ProcessCluster) {
    this.#cluster = cluster;
  }

  static async start(print: (line: string) => void): Promise<Servers> {
    const servers = new Servers(await ProcessCluster.open());
    try {
      await servers.#start(print);
      return servers;
    } catch (error) {
      await servers.close();
      throw error;
    }
  }

  async #start(print: (line: string) => void): Promise<void> {
    const sidecar = await this.#cluster.add("one").start();
    const echo = join(this.#cluster.directory, "echo.sock");
    this.#echo = (await NodeProcess.start(echoPath, [echo])).process;
    Object.assign(this.sockets, { sidecar: sidecar.socket, echo });
    const missing = withoutRedis();
    if (missing !== false) {
      print(missing);
      return;
    }
    this.#redis = await RedisProcess.start();
    this.sockets.redis = this.#redis.socket;
  }

  async close(): Promise<void> {
    await Promise.all([this.#echo?.kill(), this.#redis?.close()]);
    await this.#cluster.close();
  }
}

/** The first run of each is not counted: code is not compiled yet, and caches are empty. */
async function runAll(
  loads: ReadonlyMap<string, NodeProcess>,
  task: LoadTask,
  repeats: number,
): Promise<Map<string, LoadRun[]>> {
  const runs = new Map<string, LoadRun[]>();
  for (const [subject, load] of loads) {
    await load.ask({ ...task, gets: Math.max(task.gets, 10_000) });
    runs.set(subject, []);
  }
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [subject, load] of loads) {
      runs.get(subject)?.push(await load.ask<LoadRun>(task));
    }
  }
  return runs;
}

function medians(runs: readonly LoadRun[]): LoadRun {
  return {
    getsPerSecond: Math.round(median(runs.map((run) => run.getsPerSecond))),
    p50Micros: round(median(runs.map((run) => run.p50Micros)), 2),
    p99Micros: round(median(runs.map((run) => run.p99Micros)), 2),
  };
}

function printRuns(
  inFlight: number,
  runs: ReadonlyMap<string, readonly LoadRun[]>,
  print: (line: string) => void,
): void {
  const title = `${inFlight} in flight`.padEnd(18);
  print(`${title}${"gets/s".padEnd(32)}${"p50, us".padEnd(32)}p99, us`);
  for (const [subject, some] of runs) {
    const of = (figure: keyof LoadRun, digits: number) =>
      withSpread(
        some.map((run) => run[figure]),
        digits,
      );
    const p50 = of("p50Micros", 1).padEnd(32);
    const rate = of("getsPerSecond", 0).padEnd(32);
    print(`  ${subject.padEnd(16)}${rate}${p50}${of("p99Micros", 1)}`);
  }
  const names = [...runs.keys()];
  for (const ours of names.filter((name) => name.startsWith("sessioncast"))) {
    for (const other of names.filter((name) => !name.startsWith("sessioncast"))) {
      printRatios(ours, other, runs, print);
    }
  }
}

/** Of runs that followed each other. */
function printRatios(
  ours: string,
  other: string,
  runs: ReadonlyMap<string, readonly LoadRun[]>,
  print: (line: string) => void,
): void {
  const ratios = (figure: keyof LoadRun) => {
    const others = runs.get(other) ?? [];
    return withSpread(
      (runs.get(ours) ?? []).map((run, repeat) => run[figure] / (others[repeat]?.[figure] ?? 0)),
      2,
    );
  };
  const rate = ratios("getsPerSecond");
  print(`  ${ours} / ${other}: gets/s ${rate}, p50 ${ratios("p50Micros")}`);
}
