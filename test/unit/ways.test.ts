import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { Counters } from "../../src/core/counters.ts";
import { PeerTable } from "../../src/core/membership/peer-table.ts";
import { Reception } from "../../src/core/membership/reception.ts";
import type { PathFault } from "../../src/core/membership/ways.ts";
import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import {
  LoneReplica,
  peerAddress,
  peerBoot,
  peerHeartbeat,
  withReadyPeer,
} from "../support/lone-replica.ts";
import { RecordingOutbox } from "../support/recording-outbox.ts";
import { VirtualCluster, type VirtualNode } from "../support/virtual-cluster.ts";

/** By which ways nodes reach each other when multicast does not pass everywhere. */

const lifetime = { idleMs: undefined, absoluteMs: undefined };

function write(cluster: VirtualCluster, node: VirtualNode, id: string): void {
  node.replica.create(id, [{ name: "a", value: "v" }], lifetime, cluster.now);
  node.wake();
}

function peerOf(node: VirtualNode, index: number) {
  const peer = [...node.replica.peers.all()].find(({ name }) => name === `node-${index}`);
  assert(peer !== undefined, `node ${node.index} knows node ${index}`);
  return peer;
}

/** Which peers a node sees as up. */
function seenBy(node: VirtualNode): string[] {
  return [...node.replica.peers.all()]
    .filter(({ state }) => state === "up")
    .map(({ name }) => name)
    .sort();
}

/** A cluster in which nobody's multicast reaches node 0 from some time on. */
function deafened(nodes: number, afterMs: number): VirtualCluster {
  const cluster = new VirtualCluster({ seed: 5, nodes });
  cluster.startAll();
  cluster.advance(afterMs);
  cluster.multicasts = (_from, to) => to !== 0;
  return cluster;
}

test("where multicast passes nobody asks for copies or greets anybody for long", () => {
  const cluster = new VirtualCluster({ seed: 5, nodes: 3 });
  cluster.startAll();
  cluster.advance(60_000);
  for (const { replica } of cluster.nodes) {
    const { copiesAsked, copiesSent, greetings, rejoins } = replica.counters.paths;
    assert.deepEqual([copiesAsked, copiesSent, rejoins], [0, 0, 0]);
    assert.equal(greetings <= 2, true, `${greetings} greetings`);
  }
});

test("a node that stops to get multicast gets every write by unicast, and nobody else does", () => {
  const cluster = deafened(3, 2_000);
  cluster.advance(limits.deafAfterMs + limits.pingAfterMs + 1_000);
  const [deaf, writer, other] = cluster.nodes;
  assert(deaf && writer && other);
  for (let count = 0; count < 50; count++) {
    write(cluster, writer, `s${count}`);
    // Long enough for several leases, too short for reconciliation to be what brought it.
    cluster.advance(5);
    assert.equal(deaf.replica.store.has(`s${count}`), true, `s${count}`);
    cluster.advance(1_000);
  }
  assert.equal(deaf.replica.counters.reconcile.rounds, 0);
  assert.equal(writer.replica.counters.reconcile.rounds, 0);
  assert.equal(peerOf(writer, 0).ways.copiesUntilMs > cluster.nowMs, true);
  assert.equal(peerOf(writer, 2).ways.copiesUntilMs > cluster.nowMs, false);
});

test("copies end when multicast has come for a while, and not before", () => {
  const cluster = deafened(2, 2_000);
  cluster.advance(20_000);
  const [deaf, writer] = cluster.nodes;
  assert(deaf && writer);
  cluster.multicasts = () => true;
  cluster.advance(limits.copiesEndAfterMs / 2);
  assert.notEqual(peerOf(deaf, 1).ways.fault, undefined);
  cluster.advance(limits.copiesEndAfterMs);
  assert.equal(peerOf(deaf, 1).ways.fault, undefined);
  const { copiesSent } = writer.replica.counters.paths;
  cluster.advance(20_000);
  assert.equal(writer.replica.counters.paths.copiesSent, copiesSent);
  const events = deaf.events.map(({ event }) => event);
  assert.deepEqual(
    events.filter((event) => event.startsWith("multicast")),
    ["multicast_lost", "multicast_back"],
  );
});

test("a node that dies while it gets copies costs nothing once its lease is over", () => {
  const cluster = deafened(2, 2_000);
  cluster.advance(20_000);
  const [deaf, writer] = cluster.nodes;
  assert(deaf && writer);
  deaf.kill();
  cluster.advance(limits.downAfterMs + 100);
  const { copiesSent } = writer.replica.counters.paths;
  cluster.advance(20_000);
  assert.equal(writer.replica.counters.paths.copiesSent, copiesSent);
});

test("a lease is cut to what one may ask for at a time", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat(), { tag: Tag.copies, leaseMs: 2 ** 32 - 1 });
  const [peer] = lone.replica.peers.all();
  assert.equal(peer?.ways.copiesUntilMs, lone.nowMs + limits.copiesLeaseMsMax);
});

/** What a node finds after the given nodes' multicast has been absent for long. */
function faultsSeen(nodes: number, passes: (from: number) => boolean, afterMs: number) {
  const cluster = new VirtualCluster({ seed: 5, nodes });
  const cut = () => {
    cluster.multicasts = (from, to) => to !== 0 || passes(from);
  };
  if (afterMs === 0) cut();
  cluster.startAll();
  cluster.advance(afterMs);
  cut();
  cluster.advance(30_000);
  const { peers, counters } = cluster.node(0).replica;
  const faults = new Map([...peers.all()].map(({ name, ways }) => [name, ways.fault]));
  return { faults, rejoins: counters.paths.rejoins };
}

const faults: readonly (readonly [string, PathFault, (from: number) => boolean, number])[] = [
  ["no multicast ever came", "never_any", () => false, 0],
  ["it came and stopped for all", "stopped", () => false, 5_000],
  ["others' comes", "not_this_peer", (from) => from === 2, 5_000],
  ["others' comes, and its never did", "not_this_peer", (from) => from === 2, 0],
];
for (const [what, expected, passes, afterMs] of faults) {
  test(`the likely reason is told apart: ${what}`, () => {
    const seen = faultsSeen(3, passes, afterMs);
    assert.equal(seen.faults.get("node-1"), expected);
    assert.equal(seen.faults.get("node-2"), passes(2) ? undefined : expected);
    // To join anew could only harm where some multicast arrives.
    assert.equal(seen.rejoins, passes(2) ? 0 : 1);
  });
}

test("while nobody's multicast arrives the group is joined anew, but not often", () => {
  const cluster = deafened(3, 2_000);
  cluster.advance(4 * limits.rejoinEveryMs);
  const { rejoins } = cluster.node(0).replica.counters.paths;
  assert.equal(rejoins >= 3 && rejoins <= 4, true, `${rejoins} times`);
});

test("a peer that falls silent altogether is down, not deaf to", () => {
  const cluster = new VirtualCluster({ seed: 5, nodes: 2 });
  cluster.startAll();
  cluster.advance(3_000);
  cluster.node(1).kill();
  cluster.advance(10_000);
  const [peer] = cluster.node(0).replica.peers.all();
  assert.deepEqual([peer?.state, peer?.ways.fault], ["down", undefined]);
  assert.equal(cluster.node(0).replica.counters.paths.copiesAsked, 0);
});

test("without a sign of life by unicast the absence of multicast says nothing", () => {
  const outbox = new RecordingOutbox();
  const counters = new Counters();
  const self = { boot: "0".repeat(24), name: "self" };
  const peers = new PeerTable(self, new Prng(1), outbox, counters);
  const reception = new Reception(outbox, counters);
  const peer = peers.hear("1".repeat(24), "peer:1", 0);
  assert(peer !== undefined);
  peer.state = "up";
  reception.heard(peer, "multicast", 0);
  assert.equal(reception.dueMs, Number.POSITIVE_INFINITY);
  reception.tick(peers, limits.deafAfterMs);
  assert.equal(counters.paths.copiesAsked, 0);
  reception.heard(peer, "unicast", limits.heartbeatMs);
  assert.equal(reception.dueMs, limits.deafAfterMs);
  reception.tick(peers, limits.deafAfterMs);
  assert.equal(counters.paths.copiesAsked, 1);
});

test("a node that never hears multicast learns of one that starts after it", () => {
  const cluster = new VirtualCluster({ seed: 5, nodes: 2 });
  cluster.multicasts = (_from, to) => to !== 0;
  const [deaf, late] = cluster.nodes;
  assert(deaf && late);
  deaf.start();
  cluster.advance(5_000);
  write(cluster, deaf, "before");
  late.start();
  cluster.advance(3_000);
  assert.deepEqual(seenBy(deaf), ["node-1"]);
  assert(cluster.advanceUntil(() => cluster.ready && cluster.converged, 10_000));
  assert.equal(late.replica.store.has("before"), true);
});

test("a node that never hears multicast joins, and is told of what is written meanwhile", () => {
  const cluster = new VirtualCluster({ seed: 5, nodes: 3 });
  cluster.multicasts = (_from, to) => to !== 0;
  const [deaf, left, right] = cluster.nodes;
  assert(deaf && left && right);
  left.start();
  right.start();
  cluster.advance(1_000);
  for (let count = 0; count < 100; count++) write(cluster, left, `s${count}`);
  cluster.advance(100);
  deaf.start();
  assert(cluster.advanceUntil(() => deaf.replica.phase === "ready", 1_000));
  assert.equal(deaf.replica.store.live.size, 100);
  assert.deepEqual(
    deaf.events.filter(({ event }) => event === "ready"),
    [{ event: "ready", reason: "in_sync" }],
  );
});

for (const outageMs of [60_000, limits.peerForgetMs + 60_000]) {
  const long = `${outageMs / 60_000} minutes`;
  test(`a deaf node and a peer that lost sight of each other for ${long} meet again`, () => {
    for (const oneWay of [false, true]) {
      const cluster = deafened(2, 2_000);
      cluster.advance(10_000);
      // Only towards the deaf node: the other one goes on hearing it.
      cluster.linked = (_from, to) => oneWay && to !== 0;
      cluster.advance(outageMs);
      assert.deepEqual(seenBy(cluster.node(0)), []);
      cluster.linked = () => true;
      cluster.advance(limits.greetMsMax + 1_000);
      assert.deepEqual(seenBy(cluster.node(0)), ["node-1"], `one way: ${oneWay}`);
      assert.deepEqual(seenBy(cluster.node(1)), ["node-0"], `one way: ${oneWay}`);
      const greetings = () => cluster.nodes.map(({ replica }) => replica.counters.paths.greetings);
      cluster.advance(limits.greetMsMax + 1_000);
      const before = greetings();
      cluster.advance(10 * limits.greetMsMax);
      assert.deepEqual(greetings(), before, "who knows each other is quiet");
    }
  });
}

test("nodes that are deaf to each other meet by configured addresses", () => {
  const cluster = new VirtualCluster({ seed: 5, nodes: 2 });
  cluster.multicasts = () => false;
  cluster.startAll();
  cluster.advance(30_000);
  assert.deepEqual(seenBy(cluster.node(0)), []);
  cluster.node(0).replica.setSeeds(["node:1"], cluster.now);
  cluster.node(0).wake();
  cluster.advance(100);
  assert.deepEqual(cluster.nodes.map(seenBy), [["node-1"], ["node-0"]]);
});

function unicastCluster(nodes: number): VirtualCluster {
  const cluster = new VirtualCluster({ seed: 5, nodes, replica: { mode: "unicast" } });
  cluster.startAll();
  const seeds = cluster.nodes.map(({ index }) => `node:${index}`);
  for (const node of cluster.nodes) {
    node.replica.setSeeds(seeds, cluster.now);
    node.wake();
  }
  return cluster;
}

test("without multicast a write goes to each peer that is up, once", () => {
  const cluster = unicastCluster(4);
  assert(cluster.advanceUntil(() => cluster.ready, 3_000));
  cluster.node(3).kill();
  cluster.advance(limits.downAfterMs + 1_000);
  const [writer] = cluster.nodes;
  assert(writer);
  const before = writer.replica.counters.paths.copiesSent;
  write(cluster, writer, "s");
  assert.equal(writer.replica.counters.paths.copiesSent, before + 2);
  cluster.advance(5);
  for (const { replica } of cluster.live) assert.equal(replica.store.has("s"), true);
});

test("without multicast nobody misses it", () => {
  const cluster = unicastCluster(3);
  cluster.advance(60_000);
  for (const { replica, events } of cluster.nodes) {
    assert.equal(replica.counters.paths.copiesAsked, 0);
    assert.equal(replica.counters.paths.rejoins, 0);
    assert.equal(events.filter(({ event }) => event === "multicast_lost").length, 0);
  }
});

test("configured peers that are up are not greeted; others are, ever more rarely", () => {
  const lone = new LoneReplica();
  lone.settle();
  const greeted = (frame: Frame) => frame.tag === Tag.heartbeat && frame.hello;
  const greetings = (to: string) =>
    lone.outbox.takeSent().filter((sent) => sent.to === to && sent.frames.some(greeted)).length;
  lone.replica.setSeeds(["seed:1"], lone.now);
  lone.pass(limits.seedGreetMs);
  assert.equal(greetings("seed:1"), 2);
  lone.pass(60_000);
  const many = greetings("seed:1");
  assert.equal(many > 12 && many < 22, true, `${many} greetings in a minute`);
  lone.replica.setSeeds([peerAddress], lone.now);
  lone.receive(peerHeartbeat({ hello: true }));
  lone.pass(1_000);
  assert.equal(greetings(peerAddress), 0);
});

test("a heartbeat by unicast shows that the peer knows this node only once it was greeted", () => {
  const lone = new LoneReplica();
  lone.settle();
  const greetings = (ms: number) => {
    lone.pass(ms);
    const greeted = (frame: Frame) => frame.tag === Tag.heartbeat && frame.hello;
    const sent = lone.outbox.takeSent();
    return sent.filter(({ to, frames }) => to === peerAddress && frames.some(greeted)).length;
  };
  // Such as a copy for the node that was here before.
  lone.receive(peerHeartbeat());
  lone.receive(peerHeartbeat());
  assert.equal(greetings(limits.greetMs), 1);
  assert.equal(greetings(2 * limits.greetMs), 1);
  lone.receive(peerHeartbeat());
  assert.equal(greetings(limits.downAfterMs - 1), 0);
});

test("a peer that greets again has not heard the answer, and is greeted until it answers", () => {
  const lone = new LoneReplica();
  lone.settle();
  const greetings = () => {
    lone.pass(limits.downAfterMs / 2);
    const greeted = (frame: Frame) => frame.tag === Tag.heartbeat && frame.hello;
    return lone.outbox.takeSent().filter(({ frames }) => frames.some(greeted)).length;
  };
  lone.receive(peerHeartbeat({ hello: true }));
  assert.equal(greetings(), 0, "the first shows that it knows this node");
  lone.receive(peerHeartbeat({ hello: true }));
  assert.notEqual(greetings(), 0);
  lone.receive(peerHeartbeat({ hello: true }));
  assert.notEqual(greetings(), 0, "that it greets is no answer");
  lone.receive(peerHeartbeat());
  assert.equal(greetings(), 0);
  lone.receive(peerHeartbeat({ hello: true }));
  assert.equal(greetings(), 0, "one is one again");
  lone.receive(peerHeartbeat({ hello: true }));
  lone.receive(peerHeartbeat());
  assert.notEqual(greetings(), 0, "what came before the greeting does not answer it");
  lone.receive(peerHeartbeat());
  lone.receive(peerHeartbeat({ hello: true }));
  lone.pass(limits.downAfterMs - 1);
  lone.nowMs += 1;
  lone.receive(peerHeartbeat({ hello: true }));
  assert.equal(greetings(), 0, "after a silence the first is the first");
});

test("a peer that is down for long and is heard by unicast is greeted soon", () => {
  const lone = withReadyPeer();
  lone.pass(120_000);
  lone.outbox.takeSent();
  const greetings = (ms: number) => {
    lone.pass(ms);
    return lone.outbox.takeSent().filter(({ to }) => to === peerAddress).length;
  };
  const ping = { tag: Tag.ping, nonce: 1 } as const;
  const hear = () => {
    const datagram = { boot: peerBoot, counter: lone.nextCounter(), tail: 0, clock: lone.peerTime };
    lone.replica.receive({ ...datagram, frames: [ping] }, peerAddress, lone.now, "unicast");
    lone.outbox.takeSent();
  };
  hear();
  assert.equal(greetings(limits.greetMs - 1), 0);
  hear();
  assert.equal(greetings(1), 1, "the later one puts nothing off");
  hear();
  assert.equal(greetings(limits.greetMs), 1);
  assert.equal(greetings(2 * limits.greetMs + 1), 1, "and then more and more rarely");
});

test("addresses that are no longer configured are not greeted", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.replica.setSeeds(["seed:1", "seed:2"], lone.now);
  lone.pass(10);
  lone.outbox.takeSent();
  lone.replica.setSeeds(["seed:2"], lone.now);
  lone.pass(30_000);
  const to = new Set(lone.outbox.takeSent().map((sent) => sent.to));
  assert.deepEqual([...to].sort(), ["seed:2", undefined]);
});
