import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Confirm, type Frame, Tag } from "../../src/protocol/frames.ts";
import { fragmentBytesMax, limits } from "../../src/protocol/limits.ts";
import { stampTimeOf } from "../../src/session/stamp.ts";
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

const value = [{ name: "a", value: "v" }];
const byDefault = { idleMs: undefined, absoluteMs: undefined };
/** Of the replica under test. */
const boot = "00000000aaaa000000000001";
const ack = { peers: 1, timeoutMs: 1_000 };

function writeAndWait(lone: LoneReplica, asked = ack): number {
  lone.replica.create("s", value, byDefault, lone.now);
  const ticket = lone.replica.confirm("s", asked, lone.now);
  assert(ticket !== undefined);
  lone.tick();
  return ticket;
}

function question(lone: LoneReplica): Confirm {
  return onlyOf(lone.outbox.framesOf(Tag.confirm));
}

test("after the flush the group is asked for what it sent, and the answer ends the wait", () => {
  const lone = withReadyPeer();
  const ticket = writeAndWait(lone);
  const { first, last } = question(lone);
  const sent = onlyOf(lone.outbox.framesOf(Tag.delta)).sequence;
  assert.deepEqual([first, last], [sent, sent]);
  assert.deepEqual(lone.outbox.confirmations, []);
  lone.receive({ tag: Tag.confirmed, boot, first, last });
  assert.deepEqual(lone.outbox.confirmations, [{ ticket, peers: 1 }]);
  lone.outbox.takeSent();
  lone.pass(300);
  assert.deepEqual(lone.outbox.framesOf(Tag.confirm), [], "nobody waits any more");
});

/** Ready, with a peer, and bound to fall behind: it has room for few and may send little. */
function crowded(options: { countMax?: number; bytesMax?: number }): LoneReplica {
  const lone = withReadyPeer({ ...options, rateBytesPerSecondMax: limits.rateBytesPerSecondMin });
  for (let number = 0; number < 5_000; number++) {
    lone.replica.create(`first${number}`, value, byDefault, lone.now);
  }
  lone.tick();
  lone.outbox.takeSent();
  return lone;
}

test("a write that is evicted before it was sent, and given up, is confirmed by nobody", () => {
  const lone = crowded({ countMax: 10_000 });
  const ticket = writeAndWait(lone);
  for (let number = 0; number < limits.dirtyRecordsMin; number++) {
    lone.replica.create(`s${number}`, value, byDefault, lone.now);
  }
  assert(lone.replica.counters.stream.evictedUnsent > 0);
  lone.tick();
  assert.deepEqual(lone.outbox.confirmations, [{ ticket, peers: 0 }]);
});

test("a write that has no room here is confirmed once it has left, and not before", () => {
  const lone = crowded({ bytesMax: 600_000 });
  const large = [{ name: "a", value: "v".repeat(900_000) }];
  lone.replica.create("large", large, byDefault, lone.now);
  assert.equal(lone.replica.get("large", lone.now), undefined);
  assert.notEqual(lone.replica.confirm("large", ack, lone.now), undefined);
  lone.tick();
  assert.equal(lone.replica.pending, true);
  assert.deepEqual(lone.outbox.framesOf(Tag.confirm), []);
});

test("the answer to another question does not count", () => {
  const lone = withReadyPeer();
  writeAndWait(lone);
  const { first, last } = question(lone);
  lone.receive({ tag: Tag.confirmed, boot, first: first + 1, last: last + 1 });
  lone.receive({ tag: Tag.confirmed, boot, first: 1, last: last + 1 });
  assert.deepEqual(lone.outbox.confirmations, []);
});

test("an answer to a former start of this node does not count", () => {
  const lone = withReadyPeer();
  writeAndWait(lone);
  const { first, last } = question(lone);
  lone.receive({ tag: Tag.confirmed, boot: "00000000aaaa000000000000", first, last });
  assert.deepEqual(lone.outbox.confirmations, []);
});

test("the question is repeated with growing pauses, and the end says how many have it", () => {
  const lone = withReadyPeer();
  const ticket = writeAndWait(lone, { peers: 2, timeoutMs: 500 });
  const { first, last } = question(lone);
  lone.receive({ tag: Tag.confirmed, boot, first, last });
  lone.pass(499);
  assert.equal(lone.outbox.framesOf(Tag.confirm).length, 7);
  assert.deepEqual(lone.outbox.confirmations, []);
  lone.receive(peerHeartbeat({ sequence: 0 }));
  lone.pass(1);
  assert.deepEqual(lone.outbox.confirmations, [{ ticket, peers: 1 }]);
  assert.equal(lone.replica.counters.confirmations.tooFew, 1);
});

test("a peer that has left does not count", () => {
  const lone = withReadyPeer();
  const ticket = writeAndWait(lone, { peers: 2, timeoutMs: 500 });
  lone.receive({ tag: Tag.confirmed, boot, ...rangeOf(question(lone)) });
  lone.receive({ tag: Tag.leave });
  lone.pass(500);
  assert.deepEqual(lone.outbox.confirmations, [{ ticket, peers: 0 }]);
});

test("a peer whose digest equals ours has the write, however it came there", () => {
  const lone = withReadyPeer();
  const ticket = writeAndWait(lone);
  lone.receive(peerHeartbeat({ digest: { high: 1, low: 2 } }));
  assert.deepEqual(lone.outbox.confirmations, []);
  lone.receive(peerHeartbeat({ digest: lone.replica.store.trie.root }));
  assert.deepEqual(lone.outbox.confirmations, [{ ticket, peers: 1 }]);
});

test("so many may wait and no more", () => {
  const lone = withReadyPeer();
  for (let count = 0; count < limits.confirmationsMax; count++) {
    assert.notEqual(lone.replica.confirm("s", ack, lone.now), undefined);
  }
  assert.equal(lone.replica.confirm("s", ack, lone.now), undefined);
  assert.equal(lone.replica.counters.confirmations.refused, 1);
  lone.pass(ack.timeoutMs);
  assert.equal(lone.outbox.confirmations.length, limits.confirmationsMax);
  assert.notEqual(lone.replica.confirm("s", ack, lone.now), undefined);
});

function rangeOf({ first, last }: Confirm) {
  return { first, last };
}

/** Whether this node says that it has applied the range. */
function confirms(lone: LoneReplica, first: number, last: number): boolean {
  lone.outbox.takeSent();
  lone.receive({ tag: Tag.confirm, first, last });
  const answers = lone.outbox.framesOf(Tag.confirmed);
  if (answers.length === 0) return false;
  assert.deepEqual(onlyOf(answers), { tag: Tag.confirmed, boot: peerBoot, first, last });
  assert.equal(onlyOf(lone.outbox.sent).to, peerAddress);
  return true;
}

/** A replica that hears a peer's stream from number 11 on. */
function listening(): LoneReplica {
  const lone = new LoneReplica();
  lone.settle();
  lone.receive(peerHeartbeat({ sequence: 10 }));
  return lone;
}

test("what has arrived is confirmed, what has not or was never heard of is not", () => {
  const lone = listening();
  lone.receiveDeltas(11, created("a", lone.peerTime));
  assert.equal(confirms(lone, 11, 11), true);
  assert.equal(confirms(lone, 10, 11), false, "10 was sent before this node heard of the peer");
  assert.equal(confirms(lone, 11, 12), false, "12 is not there yet");
  lone.receiveDeltas(13, created("c", lone.peerTime));
  assert.equal(confirms(lone, 11, 13), false, "12 is missing");
  assert.equal(confirms(lone, 13, 13), true);
  lone.receiveDeltas(12, created("b", lone.peerTime));
  assert.equal(confirms(lone, 11, 13), true);
});

test("what was given up is not confirmed", () => {
  const lone = listening();
  lone.receiveDeltas(13, created("c", lone.peerTime));
  lone.receive({ tag: Tag.nakMiss, oldest: 13 });
  assert.equal(confirms(lone, 12, 13), false);
  assert.equal(confirms(lone, 13, 13), true);
});

test("a write that was refused for its clock, or cannot be read, is not confirmed", () => {
  const lone = listening();
  const ahead = stampTimeOf(startWallMs + 10 * limits.clockDriftMsMax);
  lone.receiveDeltas(11, created("ahead", ahead));
  assert.equal(confirms(lone, 11, 11), false);
  lone.receive({ tag: Tag.delta, sequence: 12, block: Uint8Array.of(255) });
  assert.equal(confirms(lone, 12, 12), false);
  lone.receiveDeltas(13, created("good", lone.peerTime));
  assert.equal(confirms(lone, 13, 13), true);
});

test("a block in pieces is confirmed when it is whole, and not when it was dropped", () => {
  const lone = listening();
  const block = blockOf([created("large", lone.peerTime, "v".repeat(3 * fragmentBytesMax))]);
  const count = Math.ceil(block.length / fragmentBytesMax);
  const piece = (first: number, index: number): Frame => ({
    tag: Tag.fragment,
    sequence: first + index,
    index,
    count,
    bytes: block.subarray(index * fragmentBytesMax, (index + 1) * fragmentBytesMax),
  });
  for (let index = 0; index < count - 1; index++) lone.receive(piece(11, index));
  assert.equal(confirms(lone, 11, 11), false, "the first piece is there, its block is not");
  lone.receive(piece(11, count - 1));
  assert.equal(confirms(lone, 11, 10 + count), true);
  const next = 11 + count;
  lone.receive(piece(next, 0));
  lone.pass(2 * limits.reassemblyMs);
  assert.equal(lone.replica.counters.stream.reassembliesDropped, 1);
  assert.equal(confirms(lone, next, next), false);
});
