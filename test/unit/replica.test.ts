import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { leafLevel } from "../../src/core/store/digest-trie.ts";
import { type Digest, type Frame, Tag } from "../../src/protocol/frames.ts";
import { fragmentBytesMax, limits } from "../../src/protocol/limits.ts";
import { stampTimeOf, stampWallMs } from "../../src/session/stamp.ts";
import {
  blockOf,
  created,
  LoneReplica,
  peerAddress,
  peerBoot,
  peerHeartbeat,
  startWallMs,
  withReadyPeer,
} from "../support/lone-replica.ts";
import { onlyOf } from "../support/recording-outbox.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";

const byDefault = { idleMs: undefined, absoluteMs: undefined };
const value = [{ name: "a", value: "v" }];

test("a replica that hears nobody says hello four times and starts alone", () => {
  const lone = new LoneReplica();
  assert.equal(lone.replica.phase, "joining");
  const hellosMs: number[] = [];
  while (lone.replica.phase === "joining") {
    lone.tick();
    const heartbeats = lone.outbox.framesOf(Tag.heartbeat);
    if (heartbeats.some(({ hello }) => hello)) hellosMs.push(lone.nowMs);
    lone.outbox.takeSent();
    lone.nowMs = Math.max(lone.nowMs, lone.replica.deadline());
  }
  assert.deepEqual(hellosMs, limits.helloMs);
  assert(lone.nowMs >= limits.joinAloneMs);
  assert.deepEqual(lone.outbox.takeEvents(), [{ event: "ready", reason: "alone" }]);
});

/** A heartbeat of one of two peers that a joining node may choose from. */
function donorBeats(lone: LoneReplica, digit: string, count: number): void {
  const heartbeat = peerHeartbeat({ name: `donor-${digit}`, count });
  lone.receiveFrom(digit.repeat(24), `donor:${digit}`, "unicast", heartbeat);
}

test("a joiner takes the state from the peer with the most, and when it dies from another", () => {
  for (const order of [
    ["1", "2"],
    ["2", "1"],
  ]) {
    const lone = new LoneReplica();
    for (; lone.nowMs < limits.transferSilenceMs + 2 * limits.transferPauseMs; lone.nowMs += 10) {
      for (const digit of order) donorBeats(lone, digit, digit === "1" ? 10 : 5);
      lone.tick();
    }
    const wants = lone.outbox.sent.filter(({ frames }) => frames[0]?.tag === Tag.want);
    assert.equal(wants[0]?.to, "donor:1");
    assert.equal(wants.at(-1)?.to, "donor:2");
  }
});

test("a joiner that is refused asks again after a pause, not at the speed of the network", () => {
  const lone = new LoneReplica();
  let wants = 0;
  for (; lone.nowMs < 1_000; lone.nowMs += 1) {
    donorBeats(lone, "1", 10);
    lone.tick();
    for (const { transfer } of lone.outbox.framesOf(Tag.want)) {
      wants += 1;
      const refusal = { tag: Tag.credit, transfer, next: 0, window: 0, missing: [] };
      lone.receiveFrom("1".repeat(24), "donor:1", "unicast", refusal);
    }
    lone.outbox.takeSent();
  }
  assert.equal(wants, 3, "at 0, 200 and 600 ms");
});

test("what grew on two sides of a partition beyond any single write reaches a joiner", () => {
  const cluster = new VirtualCluster({ seed: 1, nodes: 3 });
  cluster.node(0).start();
  cluster.node(1).start();
  cluster.advance(1_000);
  cluster.node(0).replica.create("s", [], byDefault, cluster.now);
  cluster.node(0).wake();
  cluster.advance(100);
  cluster.linked = () => false;
  for (const side of [0, 1]) {
    const many = Array.from({ length: limits.attributesPerSessionMax }, (_, index) => ({
      name: `${side}-${index}`,
      value: "v".repeat(3_000),
    }));
    cluster.node(side).replica.patch("s", many, [], cluster.now);
    cluster.node(side).wake();
  }
  cluster.advance(2_000);
  cluster.linked = () => true;
  assert(cluster.advanceUntil(() => cluster.converged, 60_000));
  cluster.node(2).start();
  assert(cluster.advanceUntil(() => cluster.ready && cluster.converged, 30_000));
  const view = cluster.node(2).replica.get("s", cluster.now);
  assert.equal(view?.attributes.length, 2 * limits.attributesPerSessionMax);
});

test("a write is due at once, and the tick after it sends it", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.replica.create("s", value, byDefault, lone.now);
  assert.equal(lone.replica.deadline(), Number.NEGATIVE_INFINITY);
  lone.tick();
  assert.equal(onlyOf(lone.outbox.framesOf(Tag.delta)).sequence, 1);
  assert(lone.replica.deadline() > lone.nowMs);
});

test("after data the heartbeats climb a ladder, then come twice a second", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.replica.create("s", value, byDefault, lone.now);
  lone.tick();
  const sentMs = lone.nowMs;
  lone.outbox.takeSent();
  const beatsMs: number[] = [];
  while (beatsMs.length < 40 && lone.nowMs < sentMs + 6_000) {
    lone.nowMs = lone.replica.deadline();
    lone.tick();
    for (const { sequence } of lone.outbox.framesOf(Tag.heartbeat)) {
      assert.equal(sequence, 1);
      beatsMs.push(lone.nowMs - sentMs);
    }
    lone.outbox.takeSent();
  }
  let stepMs = 0;
  for (const rungMs of limits.heartbeatLadderMs) {
    stepMs += rungMs;
    assert(beatsMs.includes(stepMs), `${rungMs} ms after the one before, of ${beatsMs}`);
  }
  const later = beatsMs.filter((beatMs) => beatMs > stepMs);
  assert(later.length >= 8 && later.length <= 11, `${later}`);
});

/** Every kind of trouble that keeps a replica busy, in any order. */
function disturb(lone: LoneReplica, prng: Prng, sequence: number): number {
  const draw = prng.fraction();
  const id = `session-${prng.below(30)}`;
  if (draw < 0.2) {
    lone.replica.create(id, value, { idleMs: 1 + prng.below(9_000), absoluteMs: 0 }, lone.now);
  } else if (draw < 0.4) {
    const next = sequence + 1 + prng.below(prng.chance(0.2) ? 40 : 1);
    lone.receiveDeltas(next, created(id, lone.peerTime));
    return next;
  } else if (draw < 0.6) {
    const digest = { high: prng.below(3), low: prng.below(3) };
    lone.receive(peerHeartbeat({ sequence, digest, count: 3 }));
  } else if (draw < 0.7) {
    lone.receive({ tag: Tag.offer, ranges: [{ level: 0, prefix: 0 }] });
  } else if (draw < 0.8) {
    lone.receive({ tag: Tag.nakMiss, oldest: sequence });
  } else if (draw < 0.85) {
    lone.receive({ tag: Tag.leave });
  } else {
    const transfer = lone.outbox.framesOf(Tag.want).at(-1)?.transfer ?? 1;
    const index = prng.below(40);
    lone.receive({ tag: Tag.chunk, transfer, index, last: false, bytes: new Uint8Array(9) });
  }
  return sequence;
}

test("after a tick the deadline lies ahead, whatever came before", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const prng = new Prng(seed);
    const lone = new LoneReplica();
    let sequence = 1;
    for (let step = 0; step < 2_000; step++) {
      if (prng.chance(0.2)) sequence = disturb(lone, prng, sequence);
      else lone.nowMs = Math.max(lone.nowMs, lone.replica.deadline());
      lone.tick();
      const dueMs = lone.replica.deadline();
      assert(dueMs > lone.nowMs, `seed ${seed}, step ${step}: due ${dueMs} at ${lone.nowMs}`);
    }
    assert(lone.nowMs > 1_000, "time passed");
  }
});

test("a loss too large for one NAK is asked for in several, a moment apart", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat({ sequence: 1 }));
  lone.receive(peerHeartbeat({ sequence: 1 + 4 * limits.nakSequencesMax }));
  lone.pass(limits.nakDelayMs + limits.nakJitterMs);
  assert.equal(lone.outbox.framesOf(Tag.nak).length, 1);
  lone.pass(2 * limits.nakPauseMs);
  assert.equal(lone.outbox.framesOf(Tag.nak).length, 3);
});

test("a hello is answered at once by a heartbeat to who asked, and to nobody else", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat({ hello: true, phase: "joining" }));
  const { to, frames } = onlyOf(lone.outbox.takeSent());
  assert.equal(to, peerAddress);
  const answer = onlyOf(frames);
  assert(answer.tag === Tag.heartbeat);
  assert.deepEqual([answer.name, answer.hello, answer.phase], ["self", false, "ready"]);
});

test("a ping is acknowledged with its nonce", () => {
  const lone = new LoneReplica();
  lone.receive({ tag: Tag.ping, nonce: 77 });
  const answer = onlyOf(lone.outbox.takeSent());
  assert.deepEqual(answer, { to: peerAddress, frames: [{ tag: Tag.ack, nonce: 77 }] });
});

test("a replica does not listen to itself", () => {
  const lone = new LoneReplica();
  const boot = "00000000aaaa000000000001";
  const datagram = {
    boot,
    counter: 1,
    tail: 0,
    clock: 1,
    frames: [peerHeartbeat({ hello: true })],
  };
  lone.replica.receive(datagram, "self:1", lone.now);
  assert.deepEqual([lone.outbox.sent, [...lone.replica.peers.all()]], [[], []]);
});

test("a peer's delta is applied when it arrives, and only once", () => {
  const lone = new LoneReplica();
  lone.receiveDeltas(5, created("s", lone.peerTime, "first"));
  assert.equal(lone.replica.get("s", lone.now)?.attributes[0]?.value, "first");
  lone.receiveDeltas(5, created("s", lone.peerTime + 1, "never looked at"));
  assert.equal(lone.replica.get("s", lone.now)?.attributes[0]?.value, "first");
  assert.equal(lone.replica.counters.stream.duplicates, 1);
});

test("what is missing of a peer's stream is asked for, of that start and by unicast", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat({ sequence: 0 }));
  lone.receiveDeltas(1, created("one", lone.peerTime));
  lone.receiveDeltas(4, created("four", lone.peerTime));
  lone.pass(limits.nakDelayMs + limits.nakJitterMs);
  const { to, frames } = onlyOf(lone.outbox.takeSent());
  assert.equal(to, peerAddress);
  assert.deepEqual(frames, [{ tag: Tag.nak, boot: peerBoot, ranges: [{ first: 2, count: 2 }] }]);
});

test("a loss that the sender can no longer repair starts a round of anti-entropy at once", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat({ sequence: 1 }));
  lone.receiveDeltas(4, created("four", lone.peerTime));
  lone.receive({ tag: Tag.nakMiss, oldest: 4 });
  lone.tick();
  const digest = onlyOf(lone.outbox.framesOf(Tag.digest));
  assert.deepEqual([digest.level, digest.nodes.length], [0, 1]);
  const { naks, reconcile } = lone.replica.counters;
  assert.deepEqual([naks.missesReceived, naks.sequencesLost, reconcile.rounds], [1, 2, 1]);
});

test("what a peer owed when it left is counted apart from what repair gave up", () => {
  const lone = withReadyPeer();
  lone.receive(peerHeartbeat({ sequence: 1 }));
  lone.receiveDeltas(4, created("four", lone.peerTime));
  lone.receive({ tag: Tag.leave });
  lone.pass(100);
  const { naks } = lone.replica.counters;
  assert.deepEqual([naks.sent, naks.sequencesAbandoned, naks.sequencesLost], [0, 3, 0]);
});

test("a difference that lasts starts a round, one that repair clears in time does not", () => {
  const lone = new LoneReplica();
  lone.settle();
  const different = peerHeartbeat({ digest: { high: 1, low: 1 }, count: 1 });
  lone.receive(different);
  lone.pass(limits.mismatchMs - 1);
  lone.receive(peerHeartbeat());
  lone.pass(limits.mismatchMs - 1);
  assert.equal(lone.replica.counters.reconcile.rounds, 0);
  lone.receive(different);
  lone.pass(limits.mismatchMs);
  assert.equal(lone.replica.counters.reconcile.rounds, 1);
});

test("a node that leaves begins a round with a peer who lacks something, and soon", () => {
  const lone = withReadyPeer();
  lone.replica.leave(lone.now);
  lone.tick();
  lone.receive(peerHeartbeat({ digest: { high: 1, low: 1 }, count: 1 }));
  lone.pass(limits.leaveMismatchMs - 1);
  assert.equal(lone.replica.counters.reconcile.rounds, 0);
  lone.pass(1);
  assert.deepEqual([lone.replica.counters.reconcile.rounds, lone.replica.hasLeft], [1, false]);
});

/** One of several peers, and it does not hold the same. */
function differs(lone: LoneReplica, number: number): void {
  const heartbeat = peerHeartbeat({ name: `peer-${number}`, digest: { high: 1, low: number } });
  lone.receiveFrom(`00000000aaaa00000000001${number}`, `p:${number}`, "unicast", heartbeat);
}

test("a node that leaves compares with all who lack something, whenever the last round was", () => {
  const lone = withReadyPeer();
  differs(lone, 1);
  lone.pass(limits.mismatchMs);
  assert.equal(lone.replica.counters.reconcile.rounds, 1);
  for (const number of [1, 2, 3]) differs(lone, number);
  lone.replica.leave(lone.now);
  lone.pass(limits.leaveMismatchMs + 2 * limits.leaveHelloMs);
  const asked = lone.outbox.sent.filter(({ frames }) => frames.some((f) => f.tag === Tag.digest));
  assert.deepEqual(
    asked.map(({ to }) => to),
    ["p:1", "p:1", "p:2", "p:3"],
  );
});

/** Rounds for so many seconds with a peer whose state is not taken in; when they began. */
function fruitlessRounds(lone: LoneReplica, seconds: number): number[] {
  const roundsMs: number[] = [];
  for (const endMs = lone.nowMs + seconds * 1_000; lone.nowMs < endMs; ) {
    lone.receive(peerHeartbeat({ digest: { high: 1, low: 1 }, count: 1 }));
    lone.pass(1_000);
    // The peer offers what it has; its transfer brings a record that this node does not take in.
    for (const _ of lone.outbox.framesOf(Tag.digest)) {
      roundsMs.push(lone.nowMs);
      lone.receive({ tag: Tag.offer, ranges: [{ level: 4, prefix: 7 }] });
    }
    for (const { transfer } of lone.outbox.framesOf(Tag.want)) {
      lone.receive({ tag: Tag.chunk, transfer, index: 0, last: true, bytes: new Uint8Array(0) });
    }
    lone.outbox.takeSent();
  }
  return roundsMs;
}

test("rounds with a peer that bring nothing new become rarer, and never stop", () => {
  const lone = new LoneReplica();
  lone.settle();
  const roundsMs = fruitlessRounds(lone, 600);
  const pauses = roundsMs.slice(1).map((atMs, index) => atMs - (roundsMs[index] ?? 0));
  assert(pauses.length >= 10 && pauses.length <= 20, `${pauses}`);
  assert(pauses.every((pauseMs) => pauseMs <= limits.roundEveryMsMax + 2_000));
  assert((pauses.at(-1) ?? 0) >= limits.roundEveryMsMax - 2_000);
});

test("what was in the way of rounds is over: the next one comes soon", () => {
  const lone = new LoneReplica();
  lone.settle();
  /** Until one has just begun, and the next is far. */
  const rarely = () => {
    fruitlessRounds(lone, 300);
    while (fruitlessRounds(lone, 1).length === 0);
  };
  const nextMs = () => {
    const fromMs = lone.nowMs;
    return (fruitlessRounds(lone, 60)[0] ?? Number.POSITIVE_INFINITY) - fromMs;
  };
  lone.peerAheadMs = 3_600_000;
  rarely();
  lone.peerAheadMs = 0;
  assert(nextMs() <= 3_000, "after the peer's clock was set right");
  rarely();
  lone.receiveDeltas(1, created("s", lone.peerTime));
  lone.receiveDeltas(9, created("t", lone.peerTime));
  while (lone.replica.counters.naks.sequencesLost === 0) lone.pass(100);
  assert(nextMs() <= 3_000, "after a loss");
});

test("stores with nothing in common tell some leaves a second, and pull the rest", () => {
  const lone = withReadyPeer();
  for (let number = 0; number < 60_000; number++) {
    lone.replica.create(`s${number}`, [], byDefault, lone.now);
  }
  const talk = (nodes = 4_096) => {
    lone.outbox.takeSent();
    for (let prefix = 0; prefix < nodes; prefix++) {
      const children = new Array<number>(32).fill(1);
      lone.receive({ tag: Tag.digest, level: 3, nodes: [{ prefix, children }] });
    }
    const told = lone.outbox.framesOf(Tag.leaves).flatMap(({ leaves }) => leaves).length;
    return { told, offered: lone.outbox.framesOf(Tag.offer).flatMap(({ ranges }) => ranges) };
  };
  const first = talk();
  assert.equal(first.told, limits.leavesToldPerRoundMax);
  // Sixteen leaves under one name: all that differs fits the peer's queue.
  assert(first.offered.length < limits.rangesWaitingMax, `${first.offered.length}`);
  const whole = first.offered.filter(({ level }) => level === 3);
  assert(whole.length >= 4_096 - limits.leavesToldPerRoundMax / 8, `${whole.length}`);
  assert.deepEqual(talk(1), { told: 0, offered: [{ level: 3, prefix: 0 }] });
  assert(lone.replica.counters.reconcile.rangesDropped === 0);
  lone.pass(limits.roundEveryMs);
  assert.equal(talk().told, limits.leavesToldPerRoundMax);
});

test("where few of a node's leaves differ, beyond what is told, these are pulled", () => {
  const lone = withReadyPeer();
  for (let number = 0; number < 60_000; number++) {
    lone.replica.create(`s${number}`, [], byDefault, lone.now);
  }
  const { trie } = lone.replica.store;
  const talk = (prefix: number, differing: number) => {
    lone.outbox.takeSent();
    const children = trie.children(3, prefix);
    for (let child = 0; child < differing; child++) children[child * 2] = 1;
    lone.receive({ tag: Tag.digest, level: 3, nodes: [{ prefix, children }] });
    return lone.outbox.framesOf(Tag.offer).flatMap(({ ranges }) => ranges);
  };
  for (let prefix = 0; prefix < limits.leavesToldPerRoundMax / 8; prefix++) talk(prefix, 16);
  assert(talk(4_095, 8).every(({ level }) => level === leafLevel));
  assert.deepEqual(talk(4_094, 9), [{ level: 3, prefix: 4_094 }]);
});

test("a range that waits to be pulled is not asked for twice", () => {
  const lone = withReadyPeer();
  const ranges = Array.from({ length: 600 }, (_, prefix) => ({ level: 4, prefix }));
  const asked: number[] = [];
  const give = () => {
    for (const { transfer, ranges } of lone.outbox.framesOf(Tag.want)) {
      asked.push(...ranges.map(({ prefix }) => prefix));
      lone.outbox.takeSent();
      lone.receive({ tag: Tag.chunk, transfer, index: 0, last: true, bytes: new Uint8Array(0) });
    }
  };
  for (let frame = 0; frame < 6; frame++) {
    const offered = ranges.slice(100 * frame, 100 * frame + 100);
    lone.receive({ tag: Tag.offer, ranges: offered });
    lone.receive({ tag: Tag.offer, ranges: offered });
  }
  for (let turn = 0; turn < 10; turn++) give();
  // The first hundred were under way already when they were named again.
  assert.equal(asked.length, 700);
  assert.equal(new Set(asked).size, 600);
});

/** A node that gets so many writes for so many seconds, and a peer that differs all the time. */
function overloaded(lone: LoneReplica, seconds: number, writesPerSecond: number) {
  const text = "v".repeat(1_000);
  const children = new Array<number>(32).fill(0);
  const begun: Digest[] = [];
  let answered = 0;
  for (let second = 0; second < seconds; second++) {
    for (let write = 0; write < writesPerSecond; write++) {
      const attribute = { name: "text", value: text + second };
      lone.replica.set(`s-${write}`, [attribute], byDefault, lone.now);
    }
    lone.receive(peerHeartbeat({ digest: { high: 1, low: 1 }, count: 1 }));
    lone.pass(1_000);
    begun.push(...lone.outbox.framesOf(Tag.digest));
    lone.outbox.takeSent();
    lone.receive({ tag: Tag.digest, level: 0, nodes: [{ prefix: 0, children }] });
    answered += lone.outbox.framesOf(Tag.offer).length;
    lone.outbox.takeSent();
  }
  return { begun, answered };
}

test("a node that is behind with sending compares by sixteenths, and all once it is not", () => {
  const lone = new LoneReplica({ rateBytesPerSecondMax: limits.rateBytesPerSecondMin });
  lone.settle();
  overloaded(lone, 3, 200);
  const before = { ...lone.replica.counters.reconcile };
  const seconds = (16 * limits.sliceEveryMs) / 1_000;
  const busy = overloaded(lone, seconds, 200);
  assert.equal(busy.answered, 0);
  assert(busy.begun.every(({ level }) => level === 2));
  const prefixes = busy.begun.flatMap(({ nodes }) => nodes.map(({ prefix }) => prefix));
  assert.equal(new Set(prefixes).size, 256, "in so many rounds it comes to every part");
  assert.equal(prefixes.length, 256, "and to none twice");
  const { rounds, slices, roundsPutOff } = lone.replica.counters.reconcile;
  assert.deepEqual([rounds - before.rounds, slices - before.slices], [0, 16]);
  assert(roundsPutOff - before.roundsPutOff >= seconds);
  overloaded(lone, 3, 0);
  const calm = overloaded(lone, 10, 0);
  assert(calm.begun.length >= 4 && calm.answered >= 7);
  assert(calm.begun.every(({ level }) => level === 0));
});

test("what still waits to be sent is no difference that a node which is behind tells of", () => {
  const lone = new LoneReplica({ rateBytesPerSecondMax: limits.rateBytesPerSecondMin });
  lone.settle();
  lone.receiveDeltas(1, created("sent", lone.peerTime));
  overloaded(lone, 4, 200);
  const { store } = lone.replica;
  const waiting = Array.from({ length: 200 }, (_, index) => `s-${index}`).find(
    (id) => store.peek(id)?.dirtySince !== undefined,
  );
  const leaves = ["sent", waiting ?? ""].map((id) => store.leafOf(id));
  const askedOf = (leaf: number) => {
    const node = { prefix: leaf >> 4, children: new Array<number>(32).fill(1) };
    lone.receive({ tag: Tag.digest, level: 3, nodes: [node] });
    const told = lone.outbox.framesOf(Tag.leaves).flatMap((frame) => frame.leaves);
    lone.receive({ tag: Tag.leaves, leaves: [{ leaf, records: [{ key: 1, high: 1, low: 1 }] }] });
    const offered = lone.outbox.framesOf(Tag.offer).flatMap(({ ranges }) => ranges);
    lone.outbox.takeSent();
    return [told.some((one) => one.leaf === leaf), offered.length > 0];
  };
  assert.deepEqual(leaves.map(askedOf), [
    [true, true],
    [false, false],
  ]);
  lone.replica.leave(lone.now);
  assert.deepEqual(askedOf(leaves[1] ?? 0), [true, true], "unless nobody else would have it then");
});

test("a leaving peer is answered also by a node that is behind", () => {
  const lone = new LoneReplica({ rateBytesPerSecondMax: limits.rateBytesPerSecondMin });
  lone.settle();
  overloaded(lone, 4, 200);
  const children = new Array<number>(32).fill(0);
  const digest: Digest = { tag: Tag.digest, level: 0, nodes: [{ prefix: 0, children }] };
  lone.receive(digest);
  assert.equal(lone.outbox.framesOf(Tag.offer).length, 0);
  lone.receive(peerHeartbeat({ phase: "leaving", digest: { high: 1, low: 1 }, count: 1 }));
  lone.receive(digest);
  assert(lone.outbox.framesOf(Tag.offer).length > 0);
});

test("a peer that lacks something has its turn beside one that always does", () => {
  const lone = withReadyPeer();
  differs(lone, 1);
  lone.pass(1_000);
  const asked: string[] = [];
  for (let second = 0; second < 8; second++) {
    for (const number of [1, 2]) differs(lone, number);
    lone.pass(1_000);
    for (const { to, frames } of lone.outbox.takeSent()) {
      if (frames.some(({ tag }) => tag === Tag.digest)) asked.push(`${to}`);
    }
  }
  assert(asked.filter((to) => to === "p:2").length >= 3, `${asked}`);
});

test("a session that came in fragments is put together", () => {
  const lone = new LoneReplica();
  const block = blockOf([created("large", lone.peerTime, "v".repeat(5_000))]);
  const count = Math.ceil(block.length / fragmentBytesMax);
  for (const index of [2, 0, 3, 1]) {
    const bytes = block.subarray(index * fragmentBytesMax, (index + 1) * fragmentBytesMax);
    lone.receive({ tag: Tag.fragment, sequence: 10 + index, index, count, bytes });
  }
  assert.equal(lone.replica.get("large", lone.now)?.attributes[0]?.value?.length, 5_000);
});

test("a peer whose clock is too far ahead is shown, and its writes are refused", () => {
  const lone = new LoneReplica();
  lone.peerAheadMs = limits.clockDriftMsMax + 2_000;
  lone.receiveDeltas(1, created("s", lone.peerTime));
  lone.receiveDeltas(2, created("s", lone.peerTime));
  assert.equal(lone.replica.get("s", lone.now), undefined);
  assert.equal(lone.replica.counters.stream.skewedDeltas, 2);
  const [skewed, ...more] = lone.outbox.takeEvents();
  assert(skewed?.event === "peer_skewed" && more.length === 0, "told once");
  assert.equal(skewed.aheadMs, lone.peerAheadMs);
  assert.equal(lone.replica.peers.get(peerBoot)?.skewMs, lone.peerAheadMs);
});

test("a peer that is ahead does not drag this node's clock with it", () => {
  const lone = new LoneReplica();
  lone.peerAheadMs = 3_600_000;
  lone.receiveDeltas(1, created("s", lone.peerTime));
  const { stamp } = lone.replica.create("mine", value, byDefault, lone.now);
  assert.equal(stampWallMs(stamp?.time ?? 0), startWallMs);
});

test("a peer whose clock came right is heard again, and shown again, not too often", () => {
  const lone = new LoneReplica();
  lone.peerAheadMs = 2_000;
  lone.receiveDeltas(1, created("s", lone.peerTime));
  lone.peerAheadMs = limits.clockDriftMsMax;
  lone.receiveDeltas(2, created("s", lone.peerTime));
  assert.notEqual(lone.replica.get("s", lone.now), undefined);
  assert.equal(lone.replica.peers.get(peerBoot)?.skewMs, 0);
  lone.peerAheadMs = 2_000;
  for (let seconds = 0; seconds < 130; seconds++) {
    lone.receive(peerHeartbeat());
    lone.nowMs += 1_000;
  }
  assert.equal(lone.replica.peers.get(peerBoot)?.skewMs, 2_000);
  const events = lone.outbox.takeEvents().map(({ event }) => event);
  const shown = events.filter((event) => event === "peer_skewed");
  assert.equal(shown.length, 3, "at once, then at most once a minute");
});

test("a peer whose clock is behind is heard: an old stamp is merely an old write", () => {
  const lone = new LoneReplica();
  lone.peerAheadMs = -59_000;
  lone.receiveDeltas(1, created("s", lone.peerTime));
  assert.notEqual(lone.replica.get("s", lone.now), undefined);
});

test("a session's start that is older than tombstones are kept is not taken by the stream", () => {
  const lone = new LoneReplica();
  lone.peerAheadMs = -61_000;
  lone.receiveDeltas(1, created("s", lone.peerTime));
  assert.equal(lone.replica.get("s", lone.now), undefined);
  assert.equal(lone.replica.counters.stream.ancientDeltas, 1);
});

test("a delta whose session is already over is counted and not taken in", () => {
  const lone = new LoneReplica();
  const over = created("s", lone.peerTime);
  const expiry = { stamp: over.life?.stamp ?? { time: 1, tag: 1 }, idleMs: 1, idleDeadlineMs: 1 };
  lone.receiveDeltas(1, { ...over, expiry });
  assert.equal(lone.replica.counters.stream.lateDeltas, 1);
  assert.equal(lone.replica.store.recordCount, 0);
});

test("a node without peers leaves at once: it sends what is unsent and says good-bye", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.replica.create("s", value, byDefault, lone.now);
  lone.replica.leave(lone.now);
  assert.equal(lone.replica.phase, "leaving");
  lone.tick();
  const tags = lone.outbox.sent.map(({ to, frames }) => [to, onlyOf(frames).tag]);
  assert.deepEqual(tags, [
    [undefined, Tag.delta],
    [undefined, Tag.heartbeat],
    [undefined, Tag.leave],
    [undefined, Tag.leave],
    [undefined, Tag.leave],
  ]);
  assert.equal(lone.replica.hasLeft, true);
  assert.equal(lone.replica.deadline(), Number.POSITIVE_INFINITY);
});

test("a node leaves when its peers hold what it holds", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat({ hello: true }));
  lone.replica.create("s", value, byDefault, lone.now);
  lone.replica.leave(lone.now);
  lone.pass(250);
  assert.equal(lone.replica.hasLeft, false);
  const hellos = lone.outbox.framesOf(Tag.heartbeat).filter(({ hello }) => hello);
  assert.equal(hellos.length, 3, "asked again and again");
  lone.receive(peerHeartbeat({ digest: lone.replica.store.trie.root, count: 1 }));
  lone.tick();
  assert.equal(lone.replica.hasLeft, true);
  assert.equal(lone.outbox.framesOf(Tag.leave).length, 3);
});

test("a node leaves after a second though a peer never comes to hold the same", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat({ digest: { high: 5, low: 5 }, count: 9 }));
  lone.replica.leave(lone.now);
  lone.pass(limits.leaveMsMax - 1);
  assert.equal(lone.replica.hasLeft, false);
  lone.pass(1);
  assert.equal(lone.replica.hasLeft, true);
});

test("what a node wrote just before it left is with its peers, though much was lost", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const cluster = new VirtualCluster({ seed, nodes: 3, faults: { loss: 0.3 } });
    cluster.startAll();
    cluster.advance(3_000);
    cluster.node(0).replica.create("s", value, byDefault, cluster.now);
    cluster.node(0).leave();
    cluster.advance(1_500);
    assert.equal(cluster.node(0).running, false);
    assert.notEqual(cluster.node(1).replica.get("s", cluster.now), undefined, `seed ${seed}`);
  }
});

const garbage: readonly (readonly [string, Frame])[] = [
  ["an empty block", { tag: Tag.delta, sequence: 2, block: new Uint8Array(0) }],
  ["a block of noise", { tag: Tag.delta, sequence: 2, block: new Uint8Array(99).fill(0xa5) }],
  [
    "a chunk of no transfer",
    { tag: Tag.chunk, transfer: 1, index: 0, last: true, bytes: blockOf([created("s", 1)]) },
  ],
  ["a credit of no transfer", { tag: Tag.credit, transfer: 1, next: 9, window: 9, missing: [9] }],
  ["an end of no transfer", { tag: Tag.credit, transfer: 1, next: 0, window: 0, missing: [] }],
  ["a NAK for another start", { tag: Tag.nak, boot: peerBoot, ranges: [{ first: 1, count: 9 }] }],
  ["an unasked acknowledgement", { tag: Tag.ack, nonce: 1 }],
  ["a miss of nothing", { tag: Tag.nakMiss, oldest: 2 ** 48 - 1 }],
  [
    "a piece of a block",
    { tag: Tag.fragment, sequence: 2, index: 1, count: 3, bytes: new Uint8Array(1) },
  ],
];

for (const [what, frame] of garbage) {
  test(`${what} changes no session and no digest`, () => {
    const lone = new LoneReplica();
    lone.replica.create("s", value, byDefault, lone.now);
    lone.receiveDeltas(1, created("t", lone.peerTime));
    lone.settle();
    const before = [lone.replica.store.trie.root, lone.replica.get("s", lone.now)];
    for (let times = 0; times < 3; times++) lone.receive(frame);
    lone.pass(100);
    assert.deepEqual([lone.replica.store.trie.root, lone.replica.get("s", lone.now)], before);
    assert.equal(lone.replica.store.recordCount, 2);
  });
}

test("blocks that cannot be read are counted", () => {
  const lone = new LoneReplica();
  lone.receive({ tag: Tag.delta, sequence: 1, block: new Uint8Array(50).fill(255) });
  assert.equal(lone.replica.counters.stream.badBlocks, 1);
});

test("octets that are no datagram never reach the replica", () => {
  const cluster = new VirtualCluster({ seed: 2, nodes: 1 });
  cluster.startAll();
  cluster.advance(1_000);
  const node = cluster.node(0);
  node.replica.create("s", value, byDefault, cluster.now);
  node.wake();
  const shown = () => [node.digest, node.replica.counters, node.replica.get("s", cluster.now)];
  const before = structuredClone(shown());
  const prng = new Prng(3);
  for (let count = 0; count < 2_000; count++) {
    const bytes = Buffer.from(Array.from({ length: prng.below(200) }, () => prng.below(256)));
    node.deliver(bytes, 0, "unicast");
  }
  assert.deepEqual(structuredClone(shown()), before);
  assert.deepEqual([...node.replica.peers.all()], []);
});

test("a session that is over leaves the store and the digest on the common schedule", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.replica.create("s", value, { idleMs: 1_000, absoluteMs: 0 }, lone.now);
  lone.pass(1_250);
  assert.equal(lone.replica.get("s", lone.now), undefined);
  lone.pass(2 * limits.expirySlotMs);
  assert.equal(lone.replica.store.recordCount, 0);
  assert.deepEqual(lone.replica.store.trie.root, { high: 0, low: 0 });
  assert.equal(lone.replica.counters.store.expired, 1);
});

test("every datagram's clock moves this node's clock on, so that its next write is later", () => {
  const lone = new LoneReplica();
  lone.peerAheadMs = limits.clockDriftMsMax;
  lone.receive(peerHeartbeat());
  const { stamp } = lone.replica.create("s", value, byDefault, lone.now);
  assert((stamp?.time ?? 0) > stampTimeOf(startWallMs + limits.clockDriftMsMax));
});
