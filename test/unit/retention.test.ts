import assert from "node:assert/strict";
import { test } from "node:test";
import { membershipWarnings } from "../../src/daemon/peer-standing.ts";
import { limits } from "../../src/protocol/limits.ts";
import { peerBoot, peerHeartbeat, withReadyPeer } from "../support/lone-replica.ts";
import { VirtualCluster, type VirtualNode } from "../support/virtual-cluster.ts";

const byDefault = { idleMs: undefined, absoluteMs: undefined };
const [shortMs, longMs] = [4_000, 120_000];
const awayMs = limits.downAfterMs + limits.retentionFallsAfterMs;

/** Two nodes that remember for a short time, one that does for long, all ready. */
function cluster(): VirtualCluster {
  const each = [shortMs, shortMs, longMs].map((tombstoneRetentionMs) => ({ tombstoneRetentionMs }));
  const nodes = new VirtualCluster({ seed: 1, nodes: 3, each });
  nodes.startAll();
  nodes.advance(3_000);
  return nodes;
}

function destroyOn(node: VirtualNode, nodes: VirtualCluster): void {
  node.replica.create("s", [], byDefault, nodes.now);
  node.replica.destroy("s", nodes.now);
  node.wake();
}

function tombstonesOf(nodes: VirtualCluster): number[] {
  return nodes.live.map(({ replica }) => replica.store.tombstoneCount);
}

test("all remember for as long as the one that does for longest", () => {
  const nodes = cluster();
  destroyOn(nodes.node(0), nodes);
  for (let passedMs = 0; passedMs < 60_000; passedMs += 1_000) {
    nodes.advance(1_000);
    assert.deepEqual(tombstonesOf(nodes), [1, 1, 1], `after ${passedMs} ms`);
    assert(nodes.converged);
  }
  nodes.advance(65_000);
  assert.deepEqual(tombstonesOf(nodes), [0, 0, 0]);
});

test("a node that comes takes what it would have forgotten", () => {
  const nodes = cluster();
  destroyOn(nodes.node(0), nodes);
  nodes.advance(30_000);
  nodes.node(1).kill();
  nodes.advance(100);
  nodes.node(1).start();
  assert(nodes.advanceUntil(() => nodes.ready && nodes.converged, 6_000));
  assert.deepEqual(tombstonesOf(nodes), [1, 1, 1]);
});

test("what others had forgotten comes back with the one that has not", () => {
  const nodes = cluster();
  nodes.linked = (from, to) => (from === 2) === (to === 2);
  destroyOn(nodes.node(2), nodes);
  nodes.advance(awayMs + shortMs + 10_000);
  assert.deepEqual(tombstonesOf(nodes), [0, 0, 1]);
  nodes.linked = () => true;
  assert(nodes.advanceUntil(() => nodes.converged, 10_000));
  assert.deepEqual(tombstonesOf(nodes), [1, 1, 1]);
});

test("when it has gone the others forget together, after the time of a restart", () => {
  const nodes = cluster();
  destroyOn(nodes.node(0), nodes);
  nodes.advance(10_000);
  nodes.node(2).kill();
  nodes.advance(limits.retentionFallsAfterMs);
  assert.deepEqual(tombstonesOf(nodes), [1, 1], "it may come back");
  nodes.advance(awayMs - limits.retentionFallsAfterMs + 2 * limits.expirySlotMs);
  assert.deepEqual(tombstonesOf(nodes), [0, 0]);
  assert(nodes.converged);
});

test("one that is restarted in time costs no tombstone", () => {
  const nodes = cluster();
  destroyOn(nodes.node(0), nodes);
  for (let times = 0; times < 3; times++) {
    nodes.advance(10_000);
    nodes.node(2).kill();
    nodes.advance(10_000);
    nodes.node(2).start();
  }
  nodes.advance(5_000);
  assert.deepEqual(tombstonesOf(nodes), [1, 1, 1]);
  assert(nodes.converged);
});

test("the operator is told once for each peer that differs", () => {
  const lone = withReadyPeer();
  const told = () => lone.outbox.takeEvents().filter(({ event }) => event === "retention_differs");
  lone.pass(4_000);
  assert.deepEqual(told(), [], "it is the same");
  for (let times = 0; times < 3; times++) {
    lone.receive(peerHeartbeat({ tombstoneRetentionMs: 5_000 }));
    lone.pass(2_000);
  }
  const peer = lone.replica.peers.get(peerBoot)?.who;
  assert.deepEqual(told(), [{ event: "retention_differs", peer, theirMs: 5_000 }]);
  assert.equal(lone.replica.store.tombstoneRetentionMs, 60_000, "the shorter does not count");
});

test("what peers were refused is compared again at once when it may be taken", () => {
  const lone = withReadyPeer();
  lone.receive(peerHeartbeat({ tombstoneRetentionMs: 90_000 }));
  const peer = lone.replica.peers.get(peerBoot);
  assert(peer !== undefined);
  [peer.roundPauseMs, peer.nextRoundMs] = [limits.roundEveryMsMax, lone.nowMs + 60_000];
  lone.pass(limits.expirySlotMs);
  assert.equal(lone.replica.store.tombstoneRetentionMs, 90_000);
  assert.deepEqual([peer.roundPauseMs, peer.nextRoundMs], [limits.roundEveryMs, 0]);
});

test("the warnings name what is set differently, and where", () => {
  const nodes = cluster();
  assert.deepEqual(membershipWarnings(nodes.node(0).replica, "node-0"), [
    "sessions.tombstoneRetentionMs is 4000 here and 120000 on node-2: " +
      "the longest counts; set it alike on all nodes",
  ]);
});
