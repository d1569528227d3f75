import assert from "node:assert/strict";
import { test } from "node:test";
import { framed } from "../../src/core/reconcile/block-assembler.ts";
import { type Chunk, type Credit, type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import {
  blockOf,
  created,
  LoneReplica,
  peerBoot,
  peerHeartbeat,
  withReadyPeer,
} from "../support/lone-replica.ts";
import { onlyOf } from "../support/recording-outbox.ts";

/** Answers to what was asked for, and to what was not, or is not any more: each of these counts. */

const ownBoot = "00000000aaaa000000000001";
const otherBoot = "00000000bbbb000000000003";
const all = { level: 0, prefix: 0 } as const;
const empty = new Uint8Array(0);

/** How many of these, one after the other, find nothing that they answer. */
function unaskedOf(lone: LoneReplica, ...frames: Frame[]): number {
  const { guard } = lone.replica.counters;
  const before = guard.unasked;
  for (const frame of frames) lone.receive(frame);
  return guard.unasked - before;
}

/** The first answers, the second comes too late. */
function answersOnce(lone: LoneReplica, frame: Frame): void {
  assert.equal(unaskedOf(lone, frame), 0, "it is asked for");
  assert.equal(unaskedOf(lone, frame), 1, "and then not any more");
}

function chunkOf(transfer: number, index: number, last: boolean, bytes: Uint8Array = empty): Chunk {
  return { tag: Tag.chunk, transfer, index, last, bytes };
}

function creditOf(transfer: number, next: number, window: number): Credit {
  return { tag: Tag.credit, transfer, next, window, missing: [] };
}

function foundWith(lone: LoneReplica, nonce: number): Frame {
  return { tag: Tag.found, nonce, kept: true, block: blockOf([created("s", lone.peerTime)]) };
}

test("of a node that has asked for nothing every answer is unasked, and counted once", () => {
  const answers: ((lone: LoneReplica) => Frame)[] = [
    () => ({ tag: Tag.ack, nonce: 0 }),
    () => ({ tag: Tag.vouch, nonce: 0, boot: otherBoot }),
    () => ({ tag: Tag.vouch, nonce: 0, boot: peerBoot }),
    () => ({ tag: Tag.confirmed, boot: ownBoot, first: 1, last: 1 }),
    () => ({ tag: Tag.confirmed, boot: otherBoot, first: 1, last: 1 }),
    () => ({ tag: Tag.nakMiss, oldest: 9 }),
    () => chunkOf(7, 0, true),
    () => creditOf(7, 0, 0),
    () => creditOf(7, 0, 16),
    (lone) => foundWith(lone, 7),
    () => ({ tag: Tag.found, nonce: 7, kept: true, block: empty }),
    () => ({ tag: Tag.absent, nonce: 7 }),
    () => ({ tag: Tag.evicted, nonce: 7 }),
  ];
  for (const answer of answers) {
    const lone = withReadyPeer();
    const frame = answer(lone);
    assert.equal(unaskedOf(lone, frame), 1, `frame ${frame.tag}`);
  }
});

test("questions, deltas and what a node says of itself are no answers", () => {
  const lone = withReadyPeer();
  const frames: Frame[] = [
    peerHeartbeat({ hello: true }),
    { tag: Tag.ping, nonce: 1 },
    { tag: Tag.delta, sequence: 1, block: blockOf([created("s", lone.peerTime)]) },
    { tag: Tag.nak, boot: ownBoot, ranges: [{ first: 1, count: 1 }] },
    { tag: Tag.digest, level: 0, nodes: [] },
    { tag: Tag.leaves, leaves: [] },
    { tag: Tag.offer, ranges: [] },
    { tag: Tag.want, transfer: 1, ranges: [all] },
    { tag: Tag.fetch, nonce: 1, id: "none" },
    { tag: Tag.confirm, first: 1, last: 1 },
    { tag: Tag.suspect, boot: otherBoot },
    { tag: Tag.pingRequest, nonce: 1, boot: otherBoot },
    { tag: Tag.copies, leaseMs: 10_000 },
    { tag: Tag.leave },
  ];
  assert.equal(unaskedOf(lone, ...frames), 0);
});

test("a node that joins has asked nobody to compare", () => {
  const comparisons: Frame[] = [
    { tag: Tag.digest, level: 0, nodes: [] },
    { tag: Tag.leaves, leaves: [] },
    { tag: Tag.offer, ranges: [all] },
  ];
  const joining = new LoneReplica();
  assert.equal(unaskedOf(joining, ...comparisons), comparisons.length);
  assert.deepEqual(joining.outbox.framesOf(Tag.want), []);
});

test("an ack answers the last ping, once", () => {
  const lone = withReadyPeer();
  lone.pass(limits.pingAfterMs);
  const { nonce } = onlyOf(lone.outbox.framesOf(Tag.ping));
  assert.equal(unaskedOf(lone, { tag: Tag.ack, nonce: nonce + 1 }), 1, "it answers something else");
  answersOnce(lone, { tag: Tag.ack, nonce });
});

test("somebody vouches for a peer as long as that is suspected", () => {
  const lone = withReadyPeer();
  lone.receiveFrom(otherBoot, "other:1", "unicast", peerHeartbeat({ name: "other" }));
  while (lone.outbox.framesOf(Tag.pingRequest).length === 0) {
    lone.pass(100);
    lone.receive({ tag: Tag.suspect, boot: otherBoot });
  }
  const [{ nonce } = { nonce: 0 }] = lone.outbox.framesOf(Tag.pingRequest);
  const vouch = { tag: Tag.vouch, nonce, boot: otherBoot };
  assert.equal(unaskedOf(lone, vouch, { ...vouch, nonce: nonce + 1 }), 1);
  lone.receiveFrom(otherBoot, "other:1", "unicast", { tag: Tag.ping, nonce: 1 });
  assert.equal(unaskedOf(lone, vouch), 1);
});

test("a peer confirms a write as long as its client waits", () => {
  const lone = withReadyPeer();
  const { replica } = lone;
  replica.create("s", [], { idleMs: undefined, absoluteMs: undefined }, lone.now);
  replica.confirm("s", { peers: 1, timeoutMs: 100 }, lone.now);
  lone.tick();
  const { first, last } = onlyOf(lone.outbox.framesOf(Tag.confirm));
  const confirmed = { tag: Tag.confirmed, boot: ownBoot, first, last };
  assert.equal(unaskedOf(lone, { ...confirmed, boot: otherBoot }), 1, "of a former start");
  answersOnce(lone, confirmed);
});

test("a peer cannot repeat what is missing; what is not it need not", () => {
  const lone = withReadyPeer();
  lone.receiveDeltas(1, created("one", lone.peerTime));
  lone.receiveDeltas(4, created("four", lone.peerTime));
  answersOnce(lone, { tag: Tag.nakMiss, oldest: 4 });
});

test("answers to a fetch count until it ends", () => {
  const answers: ((lone: LoneReplica, nonce: number) => Frame)[] = [
    (_, nonce) => ({ tag: Tag.absent, nonce }),
    (lone, nonce) => foundWith(lone, nonce),
  ];
  for (const answer of answers) {
    const { lone, nonce } = fetching();
    answersOnce(lone, answer(lone, nonce));
  }
  const { lone, nonce } = fetching();
  const still: Frame[] = [
    { tag: Tag.evicted, nonce },
    { tag: Tag.found, nonce, kept: true, block: empty },
  ];
  assert.equal(unaskedOf(lone, ...still), 0);
  lone.pass(limits.fetchMsMax);
  assert.equal(unaskedOf(lone, ...still), 2, "it was given up");
});

/** A node that has not joined yet and asks its peer for one session. */
function fetching(): { lone: LoneReplica; nonce: number } {
  const lone = new LoneReplica();
  lone.receive(peerHeartbeat());
  lone.replica.fetch("s", undefined, lone.now);
  lone.tick();
  const [fetch] = lone.outbox.framesOf(Tag.fetch);
  assert(fetch !== undefined);
  return { lone, nonce: fetch.nonce };
}

/** A ready node that pulls everything from its peer. */
function pulling(): { lone: LoneReplica; transfer: number } {
  const lone = withReadyPeer();
  lone.receive({ tag: Tag.offer, ranges: [all] });
  const { transfer } = onlyOf(lone.outbox.framesOf(Tag.want));
  return { lone, transfer };
}

test("chunks come once, from the donor, within the window, and as long as they are pulled", () => {
  const { lone, transfer } = pulling();
  const bytes = framed({ kind: "records", bytes: blockOf([created("s", lone.peerTime)]) });
  const ahead = chunkOf(transfer, 1, true, bytes.subarray(9));
  answersOnce(lone, ahead);
  assert.equal(unaskedOf(lone, chunkOf(transfer, limits.transferWindowChunks, false)), 1);
  const stranger = chunkOf(transfer, 0, false, bytes.subarray(0, 9));
  lone.receiveFrom(otherBoot, "other:1", "unicast", peerHeartbeat({ name: "other" }));
  lone.receiveFrom(otherBoot, "other:1", "unicast", stranger);
  assert.equal(lone.replica.counters.guard.unasked, 3);
  answersOnce(lone, stranger);
  assert.equal(lone.replica.store.recordCount, 1, "it was whole");
  assert.equal(lone.replica.counters.reconcile.chunksReceived, 6);
});

test("a donor refuses what it was asked for, once", () => {
  const { lone, transfer } = pulling();
  answersOnce(lone, creditOf(transfer, 0, 0));
  assert.equal(lone.replica.counters.reconcile.transfersFailed, 1);
});

test("credits are for chunks that were sent, until the transfer ends", () => {
  const lone = withReadyPeer();
  const transfer = 5;
  lone.receive({ tag: Tag.want, transfer, ranges: [all] });
  const sent = lone.outbox.framesOf(Tag.chunk).length;
  assert.equal(unaskedOf(lone, creditOf(transfer, sent, 16)), 0);
  assert.equal(unaskedOf(lone, creditOf(transfer, sent + 1, 16)), 1, "nobody can have that");
  answersOnce(lone, creditOf(transfer, sent, 0));
});
