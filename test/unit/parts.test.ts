import { strict as assert } from "node:assert";
import { test } from "node:test";
import { framed } from "../../src/core/reconcile/block-assembler.ts";
import { packStubs } from "../../src/core/reconcile/stub-block.ts";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hashId } from "../../src/session/fingerprint.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import { hashKey } from "../support/hash-key.ts";
import {
  blockOf,
  created,
  LoneReplica,
  peerBoot,
  peerHeartbeat,
  withReadyPeer,
} from "../support/lone-replica.ts";
import { onlyOf } from "../support/recording-outbox.ts";

/** What a node does about a session of which it holds an update without the create. */

function patched(time: number, id = "s"): SessionDelta {
  const attributes = [{ name: "b", stamp: { time, tag: 2 }, value: "later" }];
  return { id, life: undefined, floor: undefined, attributes, expiry: undefined };
}

/** A ready node that holds a part of "s". */
function withPart(): LoneReplica {
  const lone = withReadyPeer();
  lone.receiveDeltas(2, patched(lone.peerTime));
  lone.tick();
  lone.outbox.takeSent();
  return lone;
}

function asked(lone: LoneReplica): number {
  assert.notEqual(lone.replica.fetch("s", undefined, lone.now), undefined);
  lone.tick();
  return onlyOf(lone.outbox.framesOf(Tag.fetch)).nonce;
}

function ended(lone: LoneReplica): boolean | undefined {
  lone.tick();
  return lone.outbox.fetches[0]?.known;
}

/** What a peer that asks for it is told. */
function answerOf(lone: LoneReplica): number | undefined {
  lone.outbox.takeSent();
  lone.receive({ tag: Tag.fetch, nonce: 1, id: "s" });
  return onlyOf(lone.outbox.takeSent()).frames[0]?.tag;
}

test("an update without its create is no answer: the session is asked for, and then whole", () => {
  const lone = withPart();
  assert.equal(lone.replica.knows("s"), false);
  assert.equal(lone.replica.knows("never heard of"), true);
  const nonce = asked(lone);
  const block = blockOf([created("s", lone.peerTime - 1)]);
  lone.receive({ tag: Tag.found, nonce, kept: true, block });
  assert.equal(ended(lone), true);
  assert.equal(lone.replica.knows("s"), true);
  const names = lone.replica.get("s", lone.now)?.attributes.map(({ name }) => name);
  assert.deepEqual(names?.toSorted(), ["a", "b"]);
});

test("the create may also come by itself", () => {
  const lone = withPart();
  asked(lone);
  lone.receiveDeltas(1, created("s", lone.peerTime - 1));
  assert.equal(ended(lone), true);
  assert.equal(lone.replica.knows("s"), true);
});

test("a node that joined with a part of what its donor had evicted does not deny it", () => {
  const lone = new LoneReplica();
  lone.receive(peerHeartbeat({ stubs: 1 }));
  lone.receiveDeltas(1, patched(lone.peerTime));
  const fingerprint = { high: 0, low: 0 };
  const idHash = hashId(hashKey, "s");
  const stubs = packStubs([{ idHash, fingerprint, endSlot: 0, bytes: 900, version: 0 }]);
  const bytes = framed({ kind: "stubs", bytes: stubs });
  lone.tick();
  for (const { transfer } of lone.outbox.framesOf(Tag.want)) {
    lone.receive({ tag: Tag.chunk, transfer, index: 0, last: true, bytes });
  }
  lone.tick();
  assert.equal(lone.replica.phase, "ready");
  assert.equal(lone.replica.store.hasStub("s"), false);
  assert.equal(lone.replica.knows("s"), false);
  assert.equal(lone.replica.get("s", lone.now), undefined);
});

test("what no peer can complete is gone, and is not asked for again", () => {
  const lone = withPart();
  const root = { ...lone.replica.store.trie.root };
  lone.receive({ tag: Tag.absent, nonce: asked(lone) });
  assert.equal(ended(lone), true);
  assert.equal(lone.replica.knows("s"), true);
  assert.equal(lone.replica.get("s", lone.now), undefined);
  assert.equal(lone.replica.store.lackSome, false);
  assert.equal(lone.replica.store.has("s"), true, "it has its time, and counts in the digest");
  assert.deepEqual({ ...lone.replica.store.trie.root }, root);
});

test("what was gone and is written to again is asked for again", () => {
  const lone = withPart();
  lone.receive({ tag: Tag.evicted, nonce: asked(lone) });
  assert.equal(ended(lone), true);
  lone.receiveDeltas(3, patched(lone.peerTime));
  assert.equal(lone.replica.knows("s"), true, "that is no news");
  lone.receiveDeltas(4, patched(lone.peerTime + 1));
  assert.equal(lone.replica.knows("s"), false);
});

test("a part ends with its time, and with it what is asked for", () => {
  const lone = withPart();
  lone.nowMs += limits.unbornRetentionMs + 2 * limits.expirySlotMs;
  lone.tick();
  assert.equal(lone.replica.store.has("s"), false);
  assert.equal(lone.replica.store.lackSome, false);
  assert.equal(lone.replica.knows("s"), true);
});

test("a node that sees nobody does not claim that a session of which it has a part is gone", () => {
  const lone = withPart();
  lone.pass(limits.downAfterMs + 1_000);
  assert.equal(lone.replica.peers.get(peerBoot)?.state, "down");
  assert.notEqual(lone.replica.fetch("s", undefined, lone.now), undefined);
  lone.pass(limits.fetchMsMax);
  assert.equal(ended(lone), false);
  assert.equal(lone.replica.knows("s"), false);
});

test("what peers denied before the session was written to does not count", () => {
  const lone = withPart();
  const other = "00000000bbbb000000000003";
  const name = "other";
  lone.receiveFrom(other, "other:1", "unicast", peerHeartbeat({ name }));
  assert.notEqual(lone.replica.fetch("s", undefined, lone.now), undefined);
  lone.outbox.takeSent();
  lone.tick();
  const { nonce } = lone.outbox.framesOf(Tag.fetch)[0] ?? {};
  assert(nonce !== undefined);
  lone.receiveFrom(other, "other:1", "unicast", { tag: Tag.absent, nonce });
  lone.receiveDeltas(3, patched(lone.peerTime + 1));
  // What was on its way meanwhile does not count either.
  lone.receive({ tag: Tag.absent, nonce });
  lone.receiveFrom(other, "other:1", "unicast", { tag: Tag.absent, nonce });
  assert.equal(ended(lone), undefined);
  lone.outbox.takeSent();
  lone.pass(limits.fetchRetryMs);
  const again = lone.outbox.framesOf(Tag.fetch)[0]?.nonce;
  assert(again !== undefined && again !== nonce);
  lone.receive({ tag: Tag.absent, nonce: again });
  assert.equal(ended(lone), undefined);
  lone.receiveFrom(other, "other:1", "unicast", { tag: Tag.absent, nonce: again });
  assert.equal(ended(lone), true);
});

test("a peer that gives a part only has not answered", () => {
  const lone = withPart();
  const nonce = asked(lone);
  const block = blockOf([patched(lone.peerTime + 1)]);
  lone.receive({ tag: Tag.found, nonce, kept: true, block });
  assert.equal(ended(lone), true, "it is alone, and has not got the rest");
  assert.equal(lone.replica.get("s", lone.now), undefined);
});

test("who holds a part says that it knows of the session, until nobody has the rest of it", () => {
  const lone = withPart();
  assert.equal(answerOf(lone), Tag.evicted);
  lone.receive({ tag: Tag.absent, nonce: asked(lone) });
  assert.equal(ended(lone), true);
  assert.equal(answerOf(lone), Tag.absent);
  lone.receiveDeltas(1, created("s", lone.peerTime - 1));
  assert.equal(answerOf(lone), Tag.found);
});

test("whose sessions it holds is not told for certain while it holds a part of one", () => {
  const lone = withPart();
  assert.equal(lone.replica.destroyAll("ada", undefined, lone.now).complete, false);
  lone.receiveDeltas(1, created("s", lone.peerTime - 1));
  assert.equal(lone.replica.destroyAll("ada", undefined, lone.now).complete, true);
});
