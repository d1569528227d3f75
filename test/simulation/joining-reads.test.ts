import { strict as assert } from "node:assert";
import { test } from "node:test";
import { limits } from "../../src/protocol/limits.ts";
import { VirtualCluster, type VirtualNode } from "../support/virtual-cluster.ts";

/** What clients of a node are told while it does not have the whole state yet. */

const lifetime = { idleMs: undefined, absoluteMs: undefined };

/** Two complete nodes with many sessions on slow links, and a third that has just been started. */
function joining(sizes: Readonly<Record<string, number>> = {}) {
  const cluster = new VirtualCluster({ seed: 3, nodes: 3, faults: { delayMs: 5, jitterMs: 2 } });
  const [one, , late] = cluster.nodes;
  assert(one && late);
  cluster.startAll();
  late.kill();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  const create = (id: string, bytes: number) =>
    one.replica.create(id, [{ name: "a", value: "v".repeat(bytes) }], lifetime, cluster.now);
  for (let number = 0; number < 5_000; number++) create(`session-${number}`, 100);
  for (const [id, bytes] of Object.entries(sizes)) create(id, bytes);
  one.wake();
  assert(cluster.advanceUntil(() => cluster.converged, 20_000));
  late.start();
  cluster.advance(30);
  return { cluster, one, late };
}

function fetch(cluster: VirtualCluster, node: VirtualNode, id: string): number {
  const ticket = node.replica.fetch(id, undefined, cluster.now);
  assert(ticket !== undefined);
  node.wake();
  return ticket;
}

test("a session that has not arrived yet is fetched long before the state is complete", () => {
  const { cluster, late } = joining();
  const missing = Array.from({ length: 5_000 }, (_, number) => `session-${number}`).filter(
    (id) => !late.replica.knows(id),
  );
  assert.equal(missing.length > 100, true);
  const tickets = missing.slice(0, 100).map((id) => fetch(cluster, late, id));
  cluster.advance(30);
  assert.equal(late.replica.phase, "joining");
  assert.deepEqual(new Set(tickets.map((ticket) => late.fetches.get(ticket))), new Set([true]));
  for (const id of missing.slice(0, 100)) assert(late.replica.get(id, cluster.now), id);
});

test("a session too large for a datagram is fetched with its leaf, and the join goes on", () => {
  const { cluster, late } = joining({ large: 50_000 });
  assert.equal(late.replica.knows("large"), false);
  const ticket = fetch(cluster, late, "large");
  assert(cluster.advanceUntil(() => late.fetches.has(ticket), 2_000));
  assert.equal(late.fetches.get(ticket), true);
  assert(late.replica.get("large", cluster.now));
  assert(cluster.advanceUntil(() => cluster.ready && cluster.converged, 20_000));
});

test("that there is no such session is said by a complete node, at once", () => {
  const { cluster, late } = joining();
  const ticket = fetch(cluster, late, "nobody's");
  cluster.advance(30);
  assert.equal(late.replica.phase, "joining");
  assert.equal(late.fetches.get(ticket), true);
  assert.equal(late.replica.get("nobody's", cluster.now), undefined);
});

test("that there is no such session is believed for a moment only", () => {
  const { cluster, late } = joining();
  fetch(cluster, late, "nobody's");
  cluster.advance(30);
  assert.equal(late.replica.knows("nobody's"), true);
  cluster.linked = () => false;
  cluster.advance(limits.absenceMs);
  assert.equal(late.replica.phase, "joining");
  assert.equal(late.replica.knows("nobody's"), false);
});

test("when nobody answers, nothing is claimed, and the wait is bounded", () => {
  const { cluster, late } = joining();
  cluster.linked = () => false;
  const ticket = fetch(cluster, late, "nobody's");
  assert(cluster.advanceUntil(() => late.fetches.has(ticket), 1_000));
  assert.equal(late.fetches.get(ticket), false);
});

test("many clients that wait for one session make one question", () => {
  const { cluster, late } = joining();
  const before = late.replica.counters.reconcile.fetches;
  const tickets = Array.from({ length: 50 }, () => fetch(cluster, late, "nobody's"));
  cluster.advance(30);
  assert.equal(late.replica.counters.reconcile.fetches - before, 1);
  for (const ticket of tickets) assert.equal(late.fetches.get(ticket), true);
});

test("a node without peers knows that there is nothing once it starts alone", () => {
  const cluster = new VirtualCluster({ seed: 4, nodes: 1 });
  cluster.startAll();
  const node = cluster.node(0);
  const ticket = fetch(cluster, node, "nobody's");
  assert(cluster.advanceUntil(() => node.fetches.has(ticket), 2_000));
  assert.equal(node.fetches.get(ticket), true);
  assert.equal(node.replica.knows("anything"), true);
});
