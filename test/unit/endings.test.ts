import assert from "node:assert/strict";
import { test } from "node:test";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { LoneReplica, peerHeartbeat } from "../support/lone-replica.ts";

const { sweptPerTurnMax, expirySlotMs } = limits;
const count = 2 * sweptPerTurnMax + 1;
const unlimited = { idleMs: undefined, absoluteMs: undefined };

function withSessions(options: { tombstoneRetentionMs?: number } = {}): LoneReplica {
  const lone = new LoneReplica({ tombstonesMax: 10 * count, ...options });
  lone.settle();
  for (let index = 0; index < count; index++) {
    lone.replica.create(`s${index}`, [], { idleMs: 0, absoluteMs: 60_000 }, lone.now);
  }
  return lone;
}

test("of sessions that end together each turn forgets a part, and the next comes at once", () => {
  const lone = withSessions();
  const { store } = lone.replica;
  lone.pass(60_000);
  assert.equal(store.recordCount, count);
  lone.nowMs += expirySlotMs;
  const left: number[] = [];
  while (store.recordCount > 0) {
    lone.tick();
    left.push(store.recordCount);
    if (store.recordCount > 0) assert(lone.replica.deadline() <= lone.nowMs, "there is more to do");
  }
  assert.deepEqual(left, [count - sweptPerTurnMax, 1, 0]);
  assert(lone.replica.deadline() > lone.nowMs);
  assert.equal(lone.replica.counters.store.expired, count);
});

test("when tombstones are kept for less time all of them end earlier, also part by part", () => {
  const lone = withSessions({ tombstoneRetentionMs: 4 * expirySlotMs });
  const { replica } = lone;
  // As if a peer that is gone now had asked for it.
  replica.store.retainTombstones(3_600_000, lone.now.wallMs);
  for (let index = 0; index < count; index++) replica.destroy(`s${index}`, lone.now);
  replica.create("live", [], unlimited, lone.now);
  lone.pass(limits.retentionFallsAfterMs);
  assert.equal(replica.store.tombstoneCount, count);
  lone.pass(3 * expirySlotMs);
  assert.deepEqual([replica.store.tombstoneCount, replica.store.live.size], [0, 1]);
});

test("tombstones are not moved in one turn", () => {
  const lone = withSessions({ tombstoneRetentionMs: 3_600_000 });
  const { replica } = lone;
  for (let index = 0; index < count; index++) replica.destroy(`s${index}`, lone.now);
  lone.pass(expirySlotMs);
  replica.store.retainTombstones(60_000, lone.now.wallMs);
  const turns = [1, 2, 3].map(() => {
    replica.store.sweep(lone.now.wallMs);
    return replica.store.isSweeping;
  });
  assert.deepEqual(turns, [true, true, false]);
});

test("while it forgets it compares nothing, as others may be further with that", () => {
  const lone = withSessions();
  lone.receive(peerHeartbeat({ digest: { high: 1, low: 1 } }));
  lone.nowMs += 60_000 + expirySlotMs;
  const { replica } = lone;
  const { reconcile } = replica.counters;
  const children = Array<number>(32).fill(1);
  const compared = () => {
    lone.outbox.takeSent();
    lone.receive({ tag: Tag.digest, level: 0, nodes: [{ prefix: 0, children }] });
    return lone.outbox.framesOf(Tag.digest).length;
  };
  assert.notEqual(compared(), 0);
  lone.tick();
  assert(replica.store.isSweeping);
  assert.equal(compared(), 0);
  assert.deepEqual([reconcile.rounds, reconcile.roundsPutOff], [0, 1]);
  lone.receive(peerHeartbeat({ digest: { high: 1, low: 1 }, phase: "leaving" }));
  assert.notEqual(compared(), 0, "who leaves cannot wait");
  lone.receive(peerHeartbeat({ digest: { high: 1, low: 1 } }));
  while (replica.store.isSweeping) lone.tick();
  lone.tick();
  assert.equal(reconcile.rounds, 1);
});
