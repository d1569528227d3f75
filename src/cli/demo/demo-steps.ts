import { until } from "./deadline.ts";
import type { DemoCluster } from "./demo-cluster.ts";
import type { DemoNode } from "./demo-node.ts";

export interface StepResult {
  readonly detail: string;
  /** When only a part of the step is worth a time. */
  readonly tookMs?: number;
}

export interface DemoStep {
  readonly name: string;
  run(cluster: DemoCluster, signal: AbortSignal): Promise<StepResult>;
}

const sessionId = "demo-session";
const idleMs = 600_000;
const joinMs = 15_000;
const replicateMs = 5_000;
const stopMs = 5_000;
const sessionsWhileAway = 200;

/** In order; each builds on those before it. The writer is node a. */
export const demoSteps: readonly DemoStep[] = [
  { name: "start three sidecars", run: startAll },
  { name: "write a session through a", run: writeThroughFirst },
  { name: "read it through c", run: readThroughLast },
  { name: "write two attributes at once, through b and c", run: writeConcurrently },
  { name: "kill the writer a with SIGKILL", run: killWriter },
  { name: "the session is still there", run: readFromSurvivors },
  { name: "write on without a", run: writeWithoutFirst },
  { name: "restart a", run: restartWriter },
  { name: "read through a what was written while it was away", run: readThroughRestarted },
  { name: "stop all three with SIGTERM", run: stopAll },
];

async function startAll(cluster: DemoCluster): Promise<StepResult> {
  for (const node of cluster.nodes) node.start();
  await cluster.untilAll({
    deadlineMs: joinMs,
    what: "not every node was ready with two peers",
    holds: (all) => all.every(({ state, peers }) => state === "ready" && livePeers(peers) === 2),
  });
  const processes = cluster.nodes.map(({ name, pid }) => `${name} is process ${pid}`).join(", ");
  return { detail: `${processes}; each sees the two others` };
}

async function writeThroughFirst({ nodes: [a] }: DemoCluster): Promise<StepResult> {
  const client = await a.client();
  const startedAtMs = performance.now();
  await client.create(sessionId, { user: "ada", items: ["tea"], visits: 1 }, { idleMs });
  return { detail: "user=ada visits=1", tookMs: performance.now() - startedAtMs };
}

async function readThroughLast(
  { nodes: [a, , c] }: DemoCluster,
  signal: AbortSignal,
): Promise<StepResult> {
  await untilAttribute({ node: c, name: "user", value: "ada", signal });
  // The first read may have come long after the write; a second write gives the time itself.
  const writer = await a.client();
  const startedAtMs = performance.now();
  const { applied } = await writer.patch(sessionId, { set: { visits: 2 }, unset: [] });
  expect(applied, "a has lost it");
  await untilAttribute({ node: c, name: "visits", value: 2, signal });
  const tookMs = performance.now() - startedAtMs;
  return { detail: "visits=2 was written through a and read through c", tookMs };
}

async function writeConcurrently(
  { nodes: [a, b, c] }: DemoCluster,
  signal: AbortSignal,
): Promise<StepResult> {
  const [throughB, throughC] = [await b.client(), await c.client()];
  await untilAttribute({ node: b, name: "visits", value: 2, signal });
  const startedAtMs = performance.now();
  const isStored = await Promise.all([
    throughB.patch(sessionId, { set: { colour: "blue" }, unset: [] }),
    throughC.patch(sessionId, { set: { size: 42 }, unset: [] }),
  ]);
  expect(isStored.every(Boolean), "b or c had no such session to write to");
  for (const node of [a, b, c]) {
    await untilAttribute({ node, name: "colour", value: "blue", signal });
    await untilAttribute({ node, name: "size", value: 42, signal });
  }
  const tookMs = performance.now() - startedAtMs;
  return { detail: "colour=blue and size=42 are on all three", tookMs };
}

async function killWriter({ nodes: [a] }: DemoCluster): Promise<StepResult> {
  const ending = await a.stop("SIGKILL", stopMs);
  expect(ending === "SIGKILL", `it ended with ${ending}`);
  return { detail: "it could say no goodbye" };
}

async function readFromSurvivors({ nodes: [, b, c] }: DemoCluster): Promise<StepResult> {
  const startedAtMs = performance.now();
  for (const node of [b, c]) {
    const { user, visits, colour, size } = await attributesOn(node);
    const isWhole = user === "ada" && visits === 2 && colour === "blue" && size === 42;
    expect(isWhole, `node ${node.name} does not hold it whole`);
  }
  return { detail: "whole, on b and on c", tookMs: performance.now() - startedAtMs };
}

async function writeWithoutFirst({ nodes: [, b, c] }: DemoCluster): Promise<StepResult> {
  const [throughB, throughC] = [await b.client(), await c.client()];
  const { applied: isStored } = await throughC.patch(sessionId, { set: { visits: 3 }, unset: [] });
  expect(isStored, "c has lost the session");
  const ids = Array.from({ length: sessionsWhileAway }, (_, at) => `demo-more-${at}`);
  await Promise.all(ids.map((id) => throughB.create(id, { from: "b" }, { idleMs })));
  return { detail: `visits=3, and ${sessionsWhileAway} more sessions` };
}

async function restartWriter(cluster: DemoCluster): Promise<StepResult> {
  const [a] = cluster.nodes;
  a.start();
  const held = sessionsWhileAway + 1;
  let digest = "";
  await cluster.untilAll({
    deadlineMs: joinMs,
    what: `not every node was ready with ${held} sessions and one digest`,
    holds: (all) => {
      digest = all[0]?.digest ?? "";
      return all.every(
        (stats) =>
          stats.state === "ready" && stats.digest === digest && stats.sessions.count === held,
      );
    },
  });
  return { detail: `process ${a.pid}; ${held} sessions and digest ${digest} on all three` };
}

async function readThroughRestarted({ nodes: [a] }: DemoCluster): Promise<StepResult> {
  const startedAtMs = performance.now();
  const { user, visits } = await attributesOn(a);
  expect(user === "ada" && visits === 3, `it says user=${String(user)} visits=${String(visits)}`);
  return { detail: "user=ada visits=3", tookMs: performance.now() - startedAtMs };
}

async function stopAll(cluster: DemoCluster): Promise<StepResult> {
  const endings = await cluster.close();
  expect(
    endings.every((ending) => ending === 0),
    `exit codes ${endings.join(", ")}`,
  );
  return { detail: "all left the cluster and exited with 0" };
}

async function attributesOn(node: DemoNode): Promise<Readonly<Record<string, unknown>>> {
  const client = await node.client();
  const session = await client.get(sessionId);
  if (session === undefined) throw new Error(`node ${node.name} has no such session`);
  return session.attributes;
}

const readEveryMs = 1;

async function untilAttribute(wanted: {
  readonly node: DemoNode;
  readonly name: string;
  readonly value: unknown;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { node, name, value, signal } = wanted;
  await until({
    deadlineMs: replicateMs,
    everyMs: readEveryMs,
    signal,
    describe: () => `node ${node.name} did not show ${name}=${String(value)}`,
    check: async () => (await attributesOn(node))[name] === value || undefined,
  });
}

const gone: readonly string[] = ["down", "dead", "left"];

function livePeers(peers: readonly { readonly state: string }[]): number {
  return peers.filter(({ state }) => !gone.includes(state)).length;
}

function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}
