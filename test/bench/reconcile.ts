import { performance } from "node:perf_hooks";
import { ProcessCluster, type SidecarProcess, type Stats } from "../support/sidecar-process.ts";
import { repairDifferences } from "./difference.ts";
import { median, pipelined, round, withSpread } from "./measure.ts";

export interface ReconcileOptions {
  readonly repeats: number;
  readonly joinSessions: number;
  readonly differenceSessions: number;
  readonly differences: number;
  readonly idleMs: number;
}

interface JoinRun {
  readonly seconds: number;
  readonly donorCpuSeconds: number;
  readonly joinerCpuSeconds: number;
}

interface IdleResult {
  readonly nodes: number;
  readonly bytesPerSecond: number;
}

export interface ReconcileResult {
  readonly join: {
    readonly sessions: number;
    readonly seconds: number;
    readonly sessionsPerSecond: number;
    readonly donorCpuSeconds: number;
    readonly joinerCpuSeconds: number;
  };
  readonly difference: {
    readonly sessions: number;
    readonly bytes: number;
    readonly bytesMost: number;
    readonly walkBytes: number;
  };
  readonly idle: readonly IdleResult[];
}

const inFlight = 512;
const value = "v".repeat(200);

/** How long a node takes to join, what one difference costs, and what doing nothing costs. */
export async function benchReconcile(
  options: ReconcileOptions,
  print: (line: string) => void,
): Promise<ReconcileResult[]> {
  const runs = await joins(options);
  const { joinSessions: sessions } = options;
  const of = (read: (run: JoinRun) => number) => runs.map(read);
  print(`a node joins one with ${sessions} sessions of 200 octets`);
  print(
    `  seconds until ready and equal  ${withSpread(
      of(({ seconds }) => seconds),
      2,
    )}`,
  );
  print(`  sessions/s                     ${withSpread(of(({ seconds }) => sessions / seconds))}`);
  print(
    `  CPU seconds of the donor       ${withSpread(
      of((run) => run.donorCpuSeconds),
      2,
    )}`,
  );
  print(
    `  CPU seconds of the joiner      ${withSpread(
      of((run) => run.joinerCpuSeconds),
      2,
    )}`,
  );
  const differences = repairDifferences(options.differenceSessions, options.differences);
  const bytes = differences.map((difference) => difference.bytes);
  const walkBytes = differences.map((difference) => difference.walkBytes);
  print(`one session of ${options.differenceSessions} differs (virtual network, real octets)`);
  print(`  octets until both are equal    ${withSpread(bytes)}`);
  print(`  of them, walking the digests   ${withSpread(walkBytes)}`);
  const idle: IdleResult[] = [];
  for (const nodes of [2, 4]) {
    const perNode = await idleBytes(nodes, options.idleMs);
    print(`${nodes} idle nodes`);
    print(`  octets/s that each sends       ${withSpread(perNode)}`);
    idle.push({ nodes, bytesPerSecond: round(median(perNode)) });
  }
  const seconds = median(of((run) => run.seconds));
  return [
    {
      join: {
        sessions,
        seconds: round(seconds, 2),
        sessionsPerSecond: Math.round(sessions / seconds),
        donorCpuSeconds: round(median(of((run) => run.donorCpuSeconds)), 2),
        joinerCpuSeconds: round(median(of((run) => run.joinerCpuSeconds)), 2),
      },
      difference: {
        sessions: options.differenceSessions,
        bytes: median(bytes),
        bytesMost: Math.max(...bytes),
        walkBytes: median(walkBytes),
      },
      idle,
    },
  ];
}

/**
 * Two real sidecars on loopback. One holds all sessions and is idle; the other is started again and
 * again with nothing. A run is timed from when the new process answers on its socket, which it does
 * once it has sent its first hello, until it is ready and both digests are equal.
 */
async function joins({ repeats, joinSessions }: ReconcileOptions): Promise<JoinRun[]> {
  const cluster = await ProcessCluster.open();
  try {
    const donor = await cluster.add("donor").start();
    const client = await donor.client();
    await pipelined(joinSessions, inFlight, (index) => client.create(`s${index}`, { value }));
    const joiner = cluster.add("joiner");
    const runs: JoinRun[] = [];
    // The first run is not counted: the donor's code is not compiled yet.
    for (let repeat = 0; repeat <= repeats; repeat++) {
      const run = await join(donor, joiner, joinSessions);
      if (repeat > 0) runs.push(run);
      await joiner.kill("SIGKILL");
    }
    return runs;
  } finally {
    await cluster.close();
  }
}

async function join(
  donor: SidecarProcess,
  joiner: SidecarProcess,
  sessions: number,
): Promise<JoinRun> {
  const before = await donor.stats();
  await joiner.launch();
  const startMs = performance.now();
  let after: Stats;
  do {
    // Each look takes the joiner's time as well, so there are not many.
    await new Promise((resolve) => setTimeout(resolve, 20));
    after = await joiner.stats();
  } while (after.state !== "ready" || after.digest !== before.digest);
  const seconds = (performance.now() - startMs) / 1_000;
  if (after.sessions.count !== sessions) throw new Error(`only ${after.sessions.count} arrived`);
  return {
    seconds,
    donorCpuSeconds: ((await donor.stats()).cpuMicros - before.cpuMicros) / 1e6,
    joinerCpuSeconds: after.cpuMicros / 1e6,
  };
}

/** Octets a second that each of some real sidecars sends when nothing happens. */
async function idleBytes(nodes: number, idleMs: number): Promise<number[]> {
  const cluster = await ProcessCluster.open();
  try {
    for (let index = 0; index < nodes; index++) await cluster.add(`n${index}`).start();
    const [first] = cluster.nodes;
    const client = await first?.client();
    await pipelined(1_000, inFlight, async (index) => client?.create(`s${index}`, { value }));
    await cluster.converged(1_000);
    // The ladder of heartbeats after the last write.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const before = await Promise.all(cluster.nodes.map(bytesSent));
    const startMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, idleMs));
    const after = await Promise.all(cluster.nodes.map(bytesSent));
    const seconds = (performance.now() - startMs) / 1_000;
    return after.map((bytes, index) => (bytes - (before[index] ?? 0)) / seconds);
  } finally {
    await cluster.close();
  }
}

async function bytesSent(node: SidecarProcess): Promise<number> {
  return (await node.stats()).datagrams.bytesSent ?? 0;
}
