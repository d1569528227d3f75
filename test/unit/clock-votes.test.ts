import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../src/protocol/limits.ts";
import { peerHeartbeat, startWallMs, withReadyPeer } from "../support/lone-replica.ts";
import { VirtualCluster, type VirtualNode } from "../support/virtual-cluster.ts";

const hour = 3_600_000;
const halfAnHour = { idleMs: hour / 2, absoluteMs: undefined };

function cluster(size: number): VirtualCluster {
  const nodes = new VirtualCluster({ seed: 1, nodes: size });
  nodes.startAll();
  nodes.advance(2_000);
  nodes.node(0).replica.create("s", [], halfAnHour, nodes.now);
  nodes.node(0).wake();
  nodes.advance(1_000);
  return nodes;
}

function aheadOf(node: VirtualNode, nodes: VirtualCluster): number {
  return Math.round(node.now.wallMs - nodes.now.wallMs);
}

for (const step of [hour, -hour]) {
  const way = step > 0 ? "forward" : "back";
  test(`a step of an hour ${way} on one machine of two or more harms nothing`, () => {
    for (const size of [2, 3]) {
      const nodes = cluster(size);
      const stepped = nodes.node(1);
      stepped.setMachine(step);
      nodes.advance(60_000);
      assert(stepped.replica.get("s", stepped.now) !== undefined, "the session is there");
      const { stamp } = stepped.replica.patch("s", [{ name: "a", value: "v" }], [], stepped.now);
      stepped.wake();
      nodes.advance(1_000);
      assert.deepEqual(nodes.node(0).replica.get("s", nodes.now)?.stamp, stamp, "it is heard");
      stepped.setMachine(0);
      nodes.advance(60_000);
      assert.deepEqual(stepped.clockTold, ["refused", "settled"]);
      assert(nodes.converged);
    }
  });
}

test("a machine that is far off has no say in which way others slip", () => {
  const nodes = cluster(3);
  nodes.node(2).setMachine(8_760 * hour);
  nodes.advance(20_000);
  nodes.node(1).setMachine(hour);
  nodes.advance(60_000);
  assert.deepEqual(nodes.node(1).clockTold, ["refused"]);
  assert(nodes.node(1).replica.get("s", nodes.node(1).now) !== undefined, "the session is there");
});

test("a machine that is set to what its peers show is followed", () => {
  const nodes = cluster(3);
  for (const index of [1, 2]) nodes.node(index).setMachine(hour);
  nodes.advance(15_000);
  assert.deepEqual(
    [1, 2].map((index) => aheadOf(nodes.node(index), nodes)),
    [hour, hour],
    "one against one decides nothing",
  );
  nodes.node(0).setMachine(hour);
  nodes.advance(15_000);
  assert.equal(aheadOf(nodes.node(0), nodes), hour);
  assert.deepEqual(nodes.node(0).clockTold, ["stepped"]);
});

test("machines that are set one after the other come to the new time together", () => {
  for (const size of [2, 5]) {
    const nodes = cluster(size);
    for (const node of nodes.nodes) {
      node.setMachine(-hour);
      nodes.advance(30_000);
    }
    nodes.advance(5_000);
    for (const node of nodes.nodes) assert.equal(aheadOf(node, nodes), -hour);
    assert.deepEqual(nodes.node(0).clockTold, ["refused", "stepped", "settled"]);
  }
});

test("a node alone believes its machine", () => {
  const nodes = cluster(1);
  nodes.node(0).setMachine(hour);
  nodes.advance(15_000);
  assert.equal(aheadOf(nodes.node(0), nodes), hour);
});

test("a small step is no vote, and who has told nothing lately has none", () => {
  const lone = withReadyPeer();
  lone.receive(peerHeartbeat({ wallMs: startWallMs + lone.nowMs }));
  const { replica } = lone;
  assert.equal(replica.votesForStep(limits.clockDriftMsMax, lone.now), 1);
  assert.equal(replica.votesForStep(2 * limits.clockDriftMsMax, lone.now), -1);
  lone.nowMs += limits.freshMs;
  assert.equal(replica.votesForStep(hour, lone.now), -1);
  lone.nowMs += 1;
  assert.equal(replica.votesForStep(hour, lone.now), undefined);
});

test("what a peer's clock showed is not another time because ours was set", () => {
  const lone = withReadyPeer();
  lone.receive(peerHeartbeat({ wallMs: startWallMs + lone.nowMs }));
  lone.nowMs += 1_000;
  lone.aheadMs = -hour;
  lone.tick();
  const [peer] = lone.replica.peers.up();
  assert.equal(peer?.clockOffsetMs(lone.now), hour);
  assert.equal(lone.replica.counters.clock.recoveries, 0, "a clock set back changes nothing");
});
