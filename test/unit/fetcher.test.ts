import { strict as assert } from "node:assert";
import { test } from "node:test";
import { framed } from "../../src/core/reconcile/block-assembler.ts";
import { type Fetch, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { tagOf } from "../../src/session/stamp.ts";
import {
  blockOf,
  created,
  LoneReplica,
  peerAddress,
  peerBoot,
  peerHeartbeat,
  withReadyPeer,
} from "../support/lone-replica.ts";
import { onlyOf } from "../support/recording-outbox.ts";

const peerTag = tagOf(peerBoot);
const nothing = { life: undefined, floor: undefined, expiry: undefined };

function fetch(lone: LoneReplica, write: { time: number; tag: number }): Fetch {
  assert.notEqual(lone.replica.fetch("s", write, lone.now), undefined);
  lone.tick();
  return onlyOf(lone.outbox.framesOf(Tag.fetch));
}

/** A whole transfer that brings the session, in a state that shows no write of the peer. */
function wholeTransfer(lone: LoneReplica) {
  const bytes = framed({ kind: "records", bytes: blockOf([created("s", lone.peerTime)]) });
  return { tag: Tag.chunk, index: 0, last: true, bytes } as const;
}

function ended(lone: LoneReplica): boolean | undefined {
  lone.tick();
  return lone.outbox.fetches[0]?.known;
}

test("an id that looks like another question is a question of its own", () => {
  const lone = withReadyPeer();
  const write = { time: lone.peerTime, tag: peerTag };
  fetch(lone, write);
  lone.outbox.takeSent();
  const other = `s ${write.time} ${write.tag}`;
  assert.notEqual(lone.replica.fetch(other, undefined, lone.now), undefined);
  assert.equal(lone.replica.buffers.fetches, 2);
});

test("a state includes a write whose stamp it shows", () => {
  const lone = withReadyPeer();
  const write = { time: lone.peerTime, tag: 2 };
  assert.equal(lone.replica.knows("s"), true, "it is ready");
  assert.equal(lone.replica.knows("s", write), false);
  lone.receiveDeltas(1, created("s", write.time));
  assert.equal(lone.replica.knows("s", write), true);
  assert.equal(lone.replica.knows("s", { ...write, tag: 3 }), false);
});

test("a later write of the same node does not show that an earlier one has arrived", () => {
  const lone = withReadyPeer();
  const early = { time: lone.peerTime, tag: 2 };
  const stamp = { time: lone.peerTime + 1, tag: 2 };
  const attributes = [{ name: "a", stamp, value: "later" }];
  lone.receiveDeltas(2, { ...nothing, id: "s", attributes });
  assert.equal(lone.replica.knows("s", early), false);
});

test("a destroy includes all writes before it", () => {
  const lone = withReadyPeer();
  const stamp = { time: lone.peerTime + 5, tag: 2 };
  const life = { stamp, alive: false, absoluteDeadlineMs: 0 };
  lone.receiveDeltas(1, { id: "s", life, floor: stamp, attributes: [], expiry: undefined });
  assert.equal(lone.replica.knows("s", { time: lone.peerTime, tag: 7 }), true);
});

test("own writes are there", () => {
  const lone = withReadyPeer();
  const own = { time: lone.peerTime, tag: tagOf("00000000aaaa000000000001") };
  assert.equal(lone.replica.knows("s", own), true);
});

test("the answer of the writer settles it, even when the write no longer shows", () => {
  const lone = withReadyPeer();
  const { nonce } = fetch(lone, { time: lone.peerTime, tag: peerTag });
  const block = blockOf([created("s", lone.peerTime + 9)]);
  lone.receive({ tag: Tag.found, nonce, kept: true, block });
  assert.equal(ended(lone), true);
  assert.equal(lone.replica.store.has("s"), true);
});

test("that the writer has nothing settles it, too", () => {
  const lone = withReadyPeer();
  const { nonce } = fetch(lone, { time: lone.peerTime, tag: peerTag });
  lone.receive({ tag: Tag.absent, nonce });
  assert.equal(ended(lone), true);
});

test("what another peer has or has not settles nothing unless the write shows", () => {
  const lone = withReadyPeer();
  const write = { time: lone.peerTime, tag: 2 };
  assert.notEqual(write.tag, peerTag);
  const { nonce } = fetch(lone, write);
  lone.receive({ tag: Tag.absent, nonce });
  assert.equal(ended(lone), undefined);
  // Attribute "a" of the asked write may be what was replaced, and "b" be missing.
  const stamp = { time: write.time + 9, tag: 2 };
  const patched = { ...nothing, id: "s", attributes: [{ name: "a", stamp, value: "later" }] };
  const block = blockOf([created("s", write.time - 9), patched]);
  lone.receive({ tag: Tag.found, nonce, kept: true, block });
  assert.equal(ended(lone), undefined);
  lone.receive(peerHeartbeat());
  lone.pass(limits.fetchMsMax);
  assert.equal(ended(lone), false);
  assert.equal(lone.replica.counters.reconcile.fetchesFailed, 1);
});

test("the write may also come by itself", () => {
  const lone = withReadyPeer();
  const write = { time: lone.peerTime, tag: 2 };
  fetch(lone, write);
  lone.receiveDeltas(1, created("s", write.time));
  assert.equal(ended(lone), true);
});

test("a session too large for a datagram is pulled once, not at every question", () => {
  const lone = withReadyPeer();
  const { nonce } = fetch(lone, { time: lone.peerTime, tag: peerTag });
  for (let answers = 0; answers < 3; answers++) {
    lone.receive({ tag: Tag.found, nonce, kept: true, block: new Uint8Array(0) });
  }
  const { transfer } = onlyOf(lone.outbox.framesOf(Tag.want));
  assert.equal(ended(lone), undefined);
  lone.receive({ ...wholeTransfer(lone), transfer });
  assert.equal(ended(lone), true, "the writer has answered");
  assert.equal(lone.outbox.framesOf(Tag.want).length, 1, "nothing else was waiting");
});

test("a transfer that does not bring the session is no answer: its donor has evicted it", () => {
  const lone = withReadyPeer();
  const { nonce } = fetch(lone, { time: lone.peerTime, tag: peerTag });
  lone.receive({ tag: Tag.found, nonce, kept: true, block: new Uint8Array(0) });
  const { transfer } = onlyOf(lone.outbox.framesOf(Tag.want));
  lone.receive({ ...wholeTransfer(lone), bytes: new Uint8Array(0), transfer });
  assert.equal(ended(lone), undefined);
  lone.receive({ tag: Tag.absent, nonce });
  assert.equal(ended(lone), true, "asked again, the writer has nothing");
});

test("a transfer that began before a write was asked for does not answer for it", () => {
  const lone = withReadyPeer();
  const tooLarge = { tag: Tag.found, kept: true, block: new Uint8Array(0) } as const;
  const last = wholeTransfer(lone);
  const early = fetch(lone, { time: lone.peerTime, tag: peerTag });
  lone.receive({ ...tooLarge, nonce: early.nonce });
  const before = onlyOf(lone.outbox.framesOf(Tag.want));
  lone.outbox.takeSent();
  lone.nowMs += 1;
  const late = fetch(lone, { time: lone.peerTime, tag: peerTag });
  lone.receive({ ...tooLarge, nonce: late.nonce });
  lone.receive({ ...last, transfer: before.transfer });
  lone.tick();
  assert.equal(lone.outbox.fetches.length, 1);
  const after = onlyOf(lone.outbox.framesOf(Tag.want));
  assert.notEqual(after.transfer, before.transfer);
  lone.receive({ ...last, transfer: after.transfer });
  lone.tick();
  assert.deepEqual(
    lone.outbox.fetches.map(({ known }) => known),
    [true, true],
  );
});

test("questions get rarer: a client that asks for nonsense cannot make a flood of them", () => {
  const lone = withReadyPeer();
  fetch(lone, { time: lone.peerTime, tag: 2 });
  lone.receive(peerHeartbeat());
  lone.pass(limits.fetchMsMax);
  assert.equal(lone.outbox.framesOf(Tag.fetch).length, 5);
  assert.equal(ended(lone), false);
});

/** A node that joins, from a complete peer that gives nothing. */
function joiningWithPeer(): LoneReplica {
  const lone = new LoneReplica();
  lone.receive(peerHeartbeat({ count: 10 }));
  lone.tick();
  return lone;
}

/** A client reads the id: whether the network was asked. The peer says that it has not. */
function readAbsent(lone: LoneReplica, id: string): boolean {
  if (lone.replica.knows(id)) return false;
  assert.notEqual(lone.replica.fetch(id, undefined, lone.now), undefined);
  lone.tick();
  const asked = lone.outbox.framesOf(Tag.fetch).filter((frame) => frame.id === id);
  lone.receive({ tag: Tag.absent, nonce: onlyOf(asked).nonce });
  lone.outbox.takeSent();
  return true;
}

test("a joining node remembers for a moment what a complete one denied, and asks no more", () => {
  const lone = joiningWithPeer();
  assert.equal(readAbsent(lone, "nobody"), true);
  for (let reads = 0; reads < 50; reads++) assert.equal(readAbsent(lone, "nobody"), false);
  lone.receive(peerHeartbeat({ count: 10 }));
  lone.pass(limits.absenceMs - 1);
  assert.equal(readAbsent(lone, "nobody"), false);
  lone.pass(1);
  assert.equal(readAbsent(lone, "nobody"), true, "it may have been created meanwhile");
});

test("what a joining node denies is forgotten as soon as it hears of it", () => {
  const lone = joiningWithPeer();
  readAbsent(lone, "s");
  lone.receiveDeltas(1, created("s", lone.peerTime));
  assert.equal(lone.replica.knows("s"), true);
  assert.notEqual(lone.replica.get("s", lone.now), undefined);
});

test("what a ready node with far less than another has not is not taken for absent", () => {
  const lone = joiningWithPeer();
  const [small, address] = ["2".repeat(24), "peer:2"];
  const heartbeat = peerHeartbeat({ name: "small", count: 5, phase: "ready" });
  lone.receiveFrom(small, address, "unicast", heartbeat);
  lone.outbox.takeSent();
  assert.notEqual(lone.replica.fetch("s", undefined, lone.now), undefined);
  lone.tick();
  const [first, second] = lone.outbox.takeSent().filter(({ frames: [f] }) => f?.tag === Tag.fetch);
  assert(first && second);
  assert.deepEqual([first.to, second.to], [peerAddress, address], "who can have all comes first");
  const { nonce } = first.frames[0] as Fetch;
  lone.receiveFrom(small, address, "unicast", { tag: Tag.absent, nonce });
  assert.equal(ended(lone), undefined);
  assert.equal(lone.replica.knows("s"), false);
  lone.receive({ tag: Tag.absent, nonce });
  assert.equal(ended(lone), true);
});

test("what another joining node has not is not taken for absent", () => {
  const lone = joiningWithPeer();
  lone.receive(peerHeartbeat({ count: 10, phase: "joining" }));
  readAbsent(lone, "nobody");
  assert.equal(lone.replica.knows("nobody"), false);
});

test("so many absences are remembered and no more, and none once it is ready", () => {
  const lone = joiningWithPeer();
  for (let id = 0; id <= limits.absencesMax; id++) {
    if (id % 1_000 === 0) lone.nowMs += 1;
    readAbsent(lone, `nobody-${id}`);
  }
  assert.equal(lone.replica.buffers.absences, limits.absencesMax);
  assert.equal(lone.replica.knows("nobody-0"), false);
  lone.replica.leave(lone.now);
  lone.tick();
  assert.equal(lone.replica.buffers.absences, 0);
});

test("beyond so many questions a second a client is refused at once, and then no more", () => {
  const lone = joiningWithPeer();
  const ask = (id: number) => lone.replica.fetch(`nobody-${id}`, undefined, lone.now);
  let asked = 0;
  for (let id = 0; id < 2 * limits.fetchAsksPerSecondMax; id++) {
    if (ask(id) === undefined) break;
    asked += 1;
    lone.tick();
    for (const { nonce } of lone.outbox.framesOf(Tag.fetch))
      lone.receive({ tag: Tag.absent, nonce });
    lone.outbox.takeSent();
  }
  assert.equal(asked, limits.fetchAsksPerSecondMax);
  const { fetchesRefused, fetchesThrottled } = lone.replica.counters.reconcile;
  assert.deepEqual([fetchesRefused, fetchesThrottled], [1, 1]);
  lone.nowMs += 1;
  assert.notEqual(ask(-1), undefined, "a few more every millisecond");
});
