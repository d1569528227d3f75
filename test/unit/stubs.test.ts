import { strict as assert } from "node:assert";
import { test } from "node:test";
import { framed } from "../../src/core/reconcile/block-assembler.ts";
import { packStubs, readStubs } from "../../src/core/reconcile/stub-block.ts";
import { slotOf } from "../../src/core/store/expiry-wheel.ts";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { type Hash64, hashId } from "../../src/session/fingerprint.ts";
import { tagOf } from "../../src/session/stamp.ts";
import { hashKey } from "../support/hash-key.ts";
import {
  blockOf,
  created,
  LoneReplica,
  peerBoot,
  peerHeartbeat,
  startWallMs,
  withReadyPeer,
} from "../support/lone-replica.ts";
import { onlyOf } from "../support/recording-outbox.ts";

/** Room for two sessions; of "old" there is only a stub. */
function withStub(): LoneReplica {
  const lone = new LoneReplica({ countMax: 2 });
  lone.settle();
  lone.receive(peerHeartbeat());
  const [old, ...others] = ["old", "a", "b"].map((id) => created(id, lone.peerTime));
  assert(old);
  lone.receiveDeltas(1, old);
  lone.receiveDeltas(2, ...others);
  lone.tick();
  lone.outbox.takeSent();
  assert.equal(lone.replica.store.has("old"), false);
  assert.equal(lone.replica.store.hasStub("old"), true);
  return lone;
}

function asked(lone: LoneReplica): number {
  assert.notEqual(lone.replica.fetch("old", undefined, lone.now), undefined);
  lone.tick();
  return onlyOf(lone.outbox.framesOf(Tag.fetch)).nonce;
}

function ended(lone: LoneReplica): boolean | undefined {
  lone.tick();
  return lone.outbox.fetches[0]?.known;
}

const rootOf = ({ replica }: LoneReplica) => ({ ...replica.store.trie.root });

test("what is evicted is not known to be absent, and counts in the digest", () => {
  const lone = withStub();
  assert.equal(lone.replica.knows("old"), false);
  assert.equal(lone.replica.knows("never heard of"), true);
  const roomy = new LoneReplica();
  roomy.settle();
  roomy.receiveDeltas(1, ...["old", "a", "b"].map((id) => created(id, lone.peerTime)));
  assert.deepEqual(rootOf(lone), rootOf(roomy));
});

test("what peers do with a session that has no room here is told all the same", () => {
  const lone = withStub();
  const told: string[] = [];
  lone.replica.store.observer = (id, change) => told.push(`${id} ${change}`);
  const stamp = { time: lone.peerTime + 1, tag: 2 };
  const patch = { id: "old", life: undefined, floor: undefined, expiry: undefined };
  lone.receiveDeltas(3, { ...patch, attributes: [{ name: "a", stamp, value: "w" }] });
  const expiry = { stamp, idleMs: 1_000, idleDeadlineMs: lone.now.wallMs + 1_000 };
  lone.receiveDeltas(4, { ...patch, attributes: [], expiry });
  assert.deepEqual(told, ["old changed", "old touched"]);
  const life = { stamp: { ...stamp, time: stamp.time + 1 }, alive: false, absoluteDeadlineMs: 0 };
  lone.receiveDeltas(5, { ...patch, attributes: [], life, floor: life.stamp });
  assert.deepEqual(told.slice(2), ["old destroyed"]);
});

test("stubs of destroyed sessions end with tombstones that are kept for less time", () => {
  const { store } = new LoneReplica({ tombstoneRetentionMs: 1_000_000 }).replica;
  const [wallMs, day] = [startWallMs, 86_400_000];
  const stub = (high: number, bytes: number) => ({
    idHash: { high, low: 1 },
    fingerprint: { high: 1, low: high },
    endSlot: slotOf(wallMs + 30 * day),
    bytes,
    version: 0,
  });
  const endOf = ({ idHash }: { idHash: Hash64 }) => store.stubs.find(idHash)?.endSlot;
  store.retainTombstones(30 * day, wallMs);
  const [dead, live, late] = [stub(1, 0), stub(2, 100), stub(3, 0)];
  for (const each of [dead, live]) assert.equal(store.meet(each, wallMs), true);
  assert.deepEqual([endOf(dead), endOf(live)], [dead.endSlot, live.endSlot]);
  store.retainTombstones(day, wallMs);
  assert.deepEqual([endOf(dead), endOf(live)], [slotOf(wallMs + day), live.endSlot]);
  store.meet(dead, wallMs);
  assert.equal(store.meet(late, wallMs), true);
  assert.deepEqual([endOf(dead), endOf(late)], Array(2).fill(slotOf(wallMs + day)));
  store.sweep(wallMs + day);
  assert.deepEqual([endOf(dead), endOf(late)], [undefined, undefined]);
});

test("a session that is fetched is there again, and another had to go", () => {
  const lone = withStub();
  const before = rootOf(lone);
  const nonce = asked(lone);
  const block = blockOf([created("old", lone.peerTime)]);
  lone.receive({ tag: Tag.found, nonce, kept: true, block });
  assert.equal(ended(lone), true);
  assert.notEqual(lone.replica.get("old", lone.now), undefined);
  assert.deepEqual(
    ["a", "b"].map((id) => lone.replica.knows(id)),
    [false, true],
  );
  assert.deepEqual(rootOf(lone), before);
});

test("all peers that are up together say that a session is gone, and then it is", () => {
  const lone = withStub();
  lone.receive({ tag: Tag.evicted, nonce: asked(lone) });
  assert.equal(ended(lone), true);
  assert.equal(lone.replica.knows("old"), true);
  assert.equal(lone.replica.get("old", lone.now), undefined);
  assert.equal(lone.replica.store.stubs.size, 0);
});

test("who lacked a session before it came may have it since, though it found no room here", () => {
  const large = { bytesMax: 4_000, values: ["v".repeat(5_000)] };
  const many = { countMax: 2, values: ["v", "v", "v"] };
  for (const { values, ...room } of [large, many]) {
    const lone = withReadyPeer(room);
    const stamp = { time: lone.peerTime, tag: tagOf(peerBoot) };
    assert.notEqual(lone.replica.fetch("old", stamp, lone.now), undefined);
    lone.tick();
    const { nonce } = onlyOf(lone.outbox.framesOf(Tag.fetch));
    lone.receive({ tag: Tag.evicted, nonce });
    assert.equal(ended(lone), undefined);
    const ids = ["old", "a", "b"];
    lone.receiveDeltas(1, ...values.map((value, at) => created(`${ids[at]}`, stamp.time, value)));
    assert.equal(ended(lone), undefined);
    assert.equal(lone.replica.store.hasStub("old"), true);
    // What was asked before says nothing now; asked again, it says that it has not got it since.
    lone.receive({ tag: Tag.evicted, nonce });
    assert.equal(ended(lone), undefined);
    lone.outbox.takeSent();
    lone.pass(limits.fetchRetryMs);
    const again = onlyOf(lone.outbox.framesOf(Tag.fetch));
    lone.receive({ tag: Tag.evicted, nonce: again.nonce });
    assert.equal(ended(lone), true);
    assert.equal(lone.replica.store.hasStub("old"), false);
  }
});

test("a node that sees nobody does not claim that a session is gone", () => {
  const lone = withStub();
  lone.pass(limits.downAfterMs + 1_000);
  assert.equal(lone.replica.peers.get(peerBoot)?.state, "down");
  assert.notEqual(lone.replica.fetch("old", undefined, lone.now), undefined);
  lone.pass(limits.fetchMsMax);
  assert.equal(ended(lone), false);
  assert.equal(lone.replica.store.stubs.size, 1);
});

test("one without peers knows that a session it evicted is gone", () => {
  const lone = new LoneReplica({ countMax: 1 });
  lone.settle();
  for (const id of ["old", "new"]) {
    lone.replica.create(id, [], { idleMs: undefined, absoluteMs: undefined }, lone.now);
  }
  assert.notEqual(lone.replica.fetch("old", undefined, lone.now), undefined);
  assert.equal(ended(lone), true);
  assert.equal(lone.replica.knows("old"), true);
});

test("what is too large for this node is not said to be absent", () => {
  const lone = new LoneReplica({ bytesMax: 4_000 });
  lone.settle();
  lone.receive(peerHeartbeat());
  const large = created("old", lone.peerTime, "v".repeat(5_000));
  lone.receiveDeltas(1, large);
  const nonce = asked(lone);
  lone.receive({ tag: Tag.found, nonce, kept: true, block: blockOf([large]) });
  lone.receive(peerHeartbeat());
  lone.pass(limits.fetchMsMax);
  assert.equal(ended(lone), false);
});

test("who has a session gives it, who knows of it says so, who does not says that as well", () => {
  const lone = withStub();
  for (const [nonce, id] of ["a", "old", "never heard of"].entries()) {
    lone.receive({ tag: Tag.fetch, nonce, id });
  }
  const answers = lone.outbox.sent.flatMap(({ frames }) => frames).map(({ tag }) => tag);
  assert.deepEqual(answers, [Tag.found, Tag.evicted, Tag.absent]);
});

test("a node that joins is not told by one without room that there is no session", () => {
  const lone = new LoneReplica();
  lone.receive(peerHeartbeat({ stubs: 1 }));
  lone.receive({ tag: Tag.evicted, nonce: asked(lone) });
  assert.equal(ended(lone), undefined);
});

test("part of a session of which there is a stub is neither kept nor confirmed", () => {
  const lone = withStub();
  const before = rootOf(lone);
  const stamp = { time: lone.peerTime + 1, tag: 2 };
  const attributes = [{ name: "b", stamp, value: "later" }];
  const patch = { life: undefined, floor: undefined, expiry: undefined, attributes };
  lone.receiveDeltas(3, { id: "old", ...patch });
  assert.equal(lone.replica.store.has("old"), false);
  assert.notDeepEqual(rootOf(lone), before);
  assert.equal(lone.replica.counters.stream.stubDeltas, 1);
  lone.receive({ tag: Tag.confirm, first: 3, last: 3 });
  lone.receiveDeltas(4, { id: "b", ...patch });
  lone.receive({ tag: Tag.confirm, first: 4, last: 4 });
  assert.equal(onlyOf(lone.outbox.framesOf(Tag.confirmed)).first, 4);
});

test("a destroy of a session of which there is a stub leaves a tombstone", () => {
  const lone = withStub();
  const stamp = { time: lone.peerTime + 1, tag: 2 };
  const life = { stamp, alive: false, absoluteDeadlineMs: 0 };
  lone.receiveDeltas(3, { id: "old", life, floor: stamp, attributes: [], expiry: undefined });
  assert.equal(lone.replica.knows("old"), true);
  assert.equal(lone.replica.store.find("old")?.place, "tombstones");
  assert.equal(lone.replica.store.stubs.size, 0);
});

test("a peer that knows the same, but does not hold it all, has not confirmed a write", () => {
  for (const [stubs, confirmed] of [
    [1, undefined],
    [0, 1],
  ] as const) {
    const lone = new LoneReplica();
    lone.settle();
    lone.receive(peerHeartbeat());
    lone.replica.create("s", [], { idleMs: undefined, absoluteMs: undefined }, lone.now);
    const ticket = lone.replica.confirm("s", { peers: 1, timeoutMs: 5_000 }, lone.now);
    assert.notEqual(ticket, undefined);
    lone.tick();
    lone.receive(peerHeartbeat({ digest: rootOf(lone), stubs }));
    assert.equal(lone.outbox.confirmations[0]?.peers, confirmed);
  }
});

test("stubs of a transfer are taken over, but not of what is held or over", () => {
  const lone = withStub();
  lone.receive({ tag: Tag.offer, ranges: [{ level: 0, prefix: 0 }] });
  const { transfer } = onlyOf(lone.outbox.framesOf(Tag.want));
  const stubOf = (id: string, endSlot = 0) => {
    const fingerprint = { high: -1, low: 7 };
    return { idHash: hashId(hashKey, id), fingerprint, endSlot, bytes: 900, version: 0 };
  };
  const stubs = [stubOf("a"), stubOf("over", 5), stubOf("new"), stubOf("old")];
  const bytes = framed({ kind: "stubs", bytes: packStubs(stubs) });
  lone.receive({ tag: Tag.chunk, transfer, index: 0, last: true, bytes });
  assert.deepEqual(
    ["over", "new"].map((id) => lone.replica.knows(id)),
    [true, false],
  );
  assert.notEqual(lone.replica.get("a", lone.now), undefined);
  const { stubs: own } = lone.replica.store;
  const greatest = { high: -1, low: 7 };
  assert.deepEqual(own.find(hashId(hashKey, "old"))?.fingerprint, greatest);
  const lesser = { ...stubOf("old"), fingerprint: { high: 1, low: 9 } };
  assert.equal(lone.replica.store.meet(lesser, lone.now.wallMs), false);
  assert.deepEqual(own.find(hashId(hashKey, "old"))?.fingerprint, greatest);
  lone.replica.store.meet({ ...lesser, version: 1 }, lone.now.wallMs);
  assert.deepEqual(own.find(hashId(hashKey, "old"))?.fingerprint, lesser.fingerprint);
});

test("blocks of stubs are read as they were written, and nothing else is", () => {
  const fingerprint = { high: -2, low: 2 };
  const stub = { idHash: { high: -1, low: 1 }, fingerprint, endSlot: 3, bytes: 4, version: 5 };
  const block = packStubs([stub, stub]);
  assert.deepEqual(readStubs(block), [stub, stub]);
  assert.equal(readStubs(block.subarray(1)), undefined);
  const negative = packStubs([{ ...stub, endSlot: -1 }]);
  assert.equal(readStubs(negative), undefined);
});
