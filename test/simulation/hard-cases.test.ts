import { strict as assert } from "node:assert";
import { test } from "node:test";
import { limits } from "../../src/protocol/limits.ts";
import { VirtualCluster, type VirtualNode } from "../support/virtual-cluster.ts";

/** Situations that once went wrong, each as small as it gets. */

const lifetime = { idleMs: undefined, absoluteMs: undefined };
const attribute = (name: string, value = "v") => ({ name, value });

function startAll(options: Partial<ConstructorParameters<typeof VirtualCluster>[0]> = {}) {
  const cluster = new VirtualCluster({ seed: 1, nodes: 2, ...options });
  cluster.startAll();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  return cluster;
}

function create(cluster: VirtualCluster, node: VirtualNode, id: string): void {
  node.replica.create(id, [attribute("a")], lifetime, cluster.now);
  node.wake();
}

const isVisible = (cluster: VirtualCluster, node: VirtualNode, id: string) =>
  node.replica.get(id, cluster.now) !== undefined;

test("a session that two partitions grew beyond every limit still reaches a joiner", () => {
  const cluster = startAll({ nodes: 3 });
  const [left, right, late] = cluster.nodes;
  assert(left && right && late);
  late.kill();
  for (let count = 0; count < 50; count++) create(cluster, left, `other-${count}`);
  create(cluster, left, "grown");
  cluster.advance(500);
  cluster.linked = () => false;
  const patch = (node: VirtualNode, prefix: string) => {
    for (let count = 0; count < 200; count++) {
      node.replica.patch("grown", [attribute(`${prefix}${count}`)], [], cluster.now);
    }
    node.wake();
  };
  patch(left, "left");
  patch(right, "right");
  cluster.linked = () => true;
  assert(cluster.advanceUntil(() => cluster.converged, 30_000));
  late.start();
  assert(cluster.advanceUntil(() => cluster.ready && cluster.converged, 30_000));
  assert.equal(late.replica.store.live.size, 51);
  assert.equal(late.replica.get("grown", cluster.now)?.attributes.length, 401);
});

test("a node at its limit learns of a logout that the stream lost", () => {
  const cluster = startAll({ replica: { countMax: 100 } });
  const [left, right] = cluster.nodes;
  assert(left && right);
  for (let count = 0; count < 99; count++) create(cluster, left, `session-${count}`);
  cluster.advance(3_000);
  cluster.linked = () => false;
  left.replica.destroy("session-7", cluster.now);
  left.wake();
  cluster.advance(5_000);
  cluster.linked = () => true;
  assert(cluster.advanceUntil(() => !isVisible(cluster, right, "session-7"), 30_000));
});

test("an update that overtook its create does not hide the session from a destroy", () => {
  const cluster = startAll();
  const [left, right] = cluster.nodes;
  assert(left && right);
  cluster.faults.loss = 1;
  create(cluster, left, "overtaken");
  cluster.faults.loss = 0;
  left.replica.patch("overtaken", [attribute("b")], [], cluster.now);
  left.wake();
  cluster.advance(1);
  assert.equal(isVisible(cluster, right, "overtaken"), false);
  right.replica.destroy("overtaken", cluster.now);
  right.wake();
  cluster.advance(10_000);
  assert.equal(cluster.converged, true);
  assert.equal(isVisible(cluster, left, "overtaken"), false);
});

test("a node that joins and does not know a session yet destroys it all the same", () => {
  const cluster = startAll();
  const [left, right] = cluster.nodes;
  assert(left && right);
  create(cluster, left, "first");
  cluster.advance(100);
  right.kill();
  right.start();
  right.replica.destroy("first", cluster.now);
  right.wake();
  assert(cluster.advanceUntil(() => !isVisible(cluster, left, "first"), 10_000));
});

test("nodes that filled up apart come together in seconds, not a frame's worth a round", () => {
  const cluster = startAll();
  cluster.linked = () => false;
  for (const node of cluster.nodes) {
    for (let count = 0; count < 2_000; count++) {
      create(cluster, node, `node-${node.index}-${count}`);
    }
  }
  cluster.advance(5_000);
  cluster.linked = () => true;
  const before = cluster.datagrams;
  assert(cluster.advanceUntil(() => cluster.converged, 15_000));
  assert.equal(cluster.node(0).replica.store.live.size, 4_000);
  assert.equal(cluster.datagrams - before < 6_000, true, `${cluster.datagrams - before} datagrams`);
});

test("tombstones beyond their limit end in quiet, not in pulling each other's for ever", () => {
  const cluster = startAll({ replica: { tombstonesMax: 50 } });
  cluster.linked = () => false;
  for (const node of cluster.nodes) {
    for (let count = 0; count < 50; count++) {
      create(cluster, node, `node-${node.index}-${count}`);
      node.replica.destroy(`node-${node.index}-${count}`, cluster.now);
    }
    node.wake();
  }
  cluster.advance(5_000);
  cluster.linked = () => true;
  cluster.advance(300_000);
  const before = cluster.datagrams;
  cluster.advance(300_000);
  // Heartbeats are 1200 of them, and rounds with nothing to bring have become rare.
  assert.equal(cluster.datagrams - before < 1_600, true, `${cluster.datagrams - before} datagrams`);
});

test("what had to go in a peak comes back once there is room", () => {
  const each = [{}, { countMax: 100 }];
  const cluster = startAll({ each });
  const [roomy, small] = cluster.nodes;
  assert(roomy && small);
  for (let count = 0; count < 60; count++) create(cluster, roomy, `stays-${count}`);
  for (let count = 0; count < 80; count++) create(cluster, roomy, `ends-${count}`);
  cluster.advance(3_000);
  assert.equal(small.replica.store.stubs.size, 40);
  for (let count = 0; count < 80; count++) {
    roomy.replica.destroy(`ends-${count}`, cluster.now);
    roomy.wake();
  }
  const isBack = () => small.replica.store.live.size === 60;
  assert(cluster.advanceUntil(isBack, limits.roundEveryMsMax + 5_000));
});

test("a node that leaves first sees to it that its last write has arrived", () => {
  const cluster = startAll();
  const [left, right] = cluster.nodes;
  assert(left && right);
  cluster.faults.loss = 1;
  create(cluster, left, "last");
  cluster.faults.loss = 0;
  left.leave();
  assert(cluster.advanceUntil(() => !left.running, 2_000));
  assert.equal(isVisible(cluster, right, "last"), true);
});

test("a joiner whose donors have no room waits instead of asking at network speed", () => {
  const cluster = startAll({ nodes: 16 });
  const [donor, ...others] = cluster.nodes;
  assert(donor);
  for (const node of others) node.kill();
  for (let count = 0; count < 3_000; count++) create(cluster, donor, `session-${count}`);
  cluster.advance(5_000);
  for (const node of others) node.start();
  assert(cluster.advanceUntil(() => cluster.ready && cluster.converged, 20_000));
  const { transfersRefused } = donor.replica.counters.reconcile;
  assert.equal(transfersRefused < 100, true, `${transfersRefused} refusals`);
});

/** Two nodes, of which the second joins the first, which has many sessions, over slow links. */
function joiningTheOnlyFullOne() {
  const cluster = new VirtualCluster({ seed: 7, nodes: 3, faults: { delayMs: 5, jitterMs: 2 } });
  const [full, joiner] = cluster.nodes;
  assert(full && joiner);
  full.start();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  for (let count = 0; count < 12_000; count++) create(cluster, full, `session-${count}`);
  cluster.advance(5_000);
  joiner.start();
  const most = () => joiner.replica.store.live.size > 9_000;
  assert(cluster.advanceUntil(most, 10_000));
  assert.equal(joiner.replica.phase, "joining");
  return { cluster, full, joiner };
}

test("the only full node restarts while another joins from it: what that one has counts", () => {
  const { cluster, full, joiner } = joiningTheOnlyFullOne();
  full.kill();
  full.start();
  assert(cluster.advanceUntil(() => full.replica.phase === "ready", 20_000));
  const held = joiner.replica.store.live.size;
  assert(held > 9_000);
  assert.equal(full.replica.store.live.size, held, "it says it is ready");
  assert(cluster.advanceUntil(() => cluster.ready && cluster.converged, 10_000));
});

test("of two that join from a node that dies, each gives the other what it has", () => {
  const cluster = new VirtualCluster({ seed: 8, nodes: 3, faults: { delayMs: 5, jitterMs: 2 } });
  const [full, one, two] = cluster.nodes;
  assert(full && one && two);
  full.start();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  for (let count = 0; count < 12_000; count++) create(cluster, full, `session-${count}`);
  cluster.advance(5_000);
  one.start();
  two.start();
  const isHalf = () => two.replica.store.live.size > 4_000;
  assert(cluster.advanceUntil(isHalf, 10_000));
  assert.deepEqual([one.replica.phase, two.replica.phase], ["joining", "joining"]);
  const union = new Set<string>();
  for (let count = 0; count < 12_000; count++) {
    const id = `session-${count}`;
    if (isVisible(cluster, one, id) || isVisible(cluster, two, id)) union.add(id);
  }
  assert(union.size > two.replica.store.live.size, "they do not have the same");
  full.kill();
  for (const node of [one, two]) {
    assert(cluster.advanceUntil(() => node.replica.phase === "ready", 20_000));
    for (const id of union) assert(isVisible(cluster, node, id), `${node.index} has ${id}`);
  }
});

test("nodes that start together and are written to at once do not wait for each other", () => {
  const cluster = new VirtualCluster({ seed: 9, nodes: 4 });
  cluster.startAll();
  for (const node of cluster.nodes) create(cluster, node, `at-${node.index}`);
  assert(cluster.advanceUntil(() => cluster.ready, 1_000));
  assert(cluster.converged);
});
