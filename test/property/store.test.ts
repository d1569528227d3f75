/** The store against a plain map of sessions, and its bounds under whatever comes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isVisible } from "../../src/core/store/lifetime.ts";
import type { Store } from "../../src/core/store/store.ts";
import type { StoredRecord } from "../../src/core/store/stored-record.ts";
import { limits } from "../../src/protocol/limits.ts";
import { ownerName, type SessionDelta } from "../../src/session/record.ts";
import { stampTimeOf } from "../../src/session/stamp.ts";
import { type DeltaRanges, deltas } from "../support/session-arbitraries.ts";
import { assertSound, recordsOf, StoreModel, storeWith } from "../support/store-model.ts";

const startMs = 1_800_000_000_000;
const retentionMs = 30_000;
const offsets = fc.integer({ min: -40_000, max: 40_000 });
const ranges: DeltaRanges = {
  id: fc.nat(11).map((number) => `session-${number}`),
  name: fc.constantFrom("a", "b", ownerName),
  stamp: fc.record({
    time: offsets.map((offset) => stampTimeOf(startMs + offset)),
    tag: fc.integer({ min: 1, max: 3 }),
  }),
  // Short ones are equal often enough for sessions to have an owner in common.
  value: fc.oneof(fc.nat(2), fc.nat(300)).map((length) => "v".repeat(length)),
  deadlineMs: fc.oneof(
    fc.constant(0),
    offsets.map((offset) => startMs + offset + 40_000),
  ),
  attributesMax: 3,
};
const delta = deltas(ranges).map((each) => ({
  ...each,
  expiry: each.expiry && { ...each.expiry, idleMs: each.expiry.idleMs % 100_000 },
}));

type Step = { readonly delta: SessionDelta } | { readonly passMs: number };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: delta.map((each) => ({ delta: each })) },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: limits.expirySlotMs, max: 15_000 })
        .map((passMs) => ({ passMs })),
    },
  ),
  { minLength: 10, maxLength: 80, size: "max" },
);

/** A delta may share its attributes with a record that goes on to change them. */
function copyOf(each: SessionDelta): SessionDelta {
  return { ...each, attributes: [...each.attributes] };
}

function visibleAt(store: Store, wallMs: number): string[] {
  const visible = recordsOf(store).filter((record) => isVisible(record, wallMs));
  return visible.map(({ id }) => id).sort();
}

test("law 10: within its bounds the store is a map of merged and swept sessions", () => {
  const law = fc.property(steps, (sequence) => {
    const store = storeWith({ tombstoneRetentionMs: retentionMs });
    const model = new StoreModel(retentionMs);
    let wallMs = startMs;
    for (const step of sequence) {
      if ("delta" in step) {
        store.apply(copyOf(step.delta), wallMs);
        model.apply(copyOf(step.delta), wallMs);
      } else {
        wallMs += step.passMs;
        store.sweep(wallMs);
        model.sweep(wallMs);
      }
      assert.deepEqual(store.trie.root, model.digest);
      assert.equal(store.recordCount, model.records.size);
      assert.equal(store.live.size, model.aliveCount);
    }
    assert.deepEqual(visibleAt(store, wallMs), model.visibleAt(wallMs));
    assertSound(store);
  });
  fc.assert(law, { numRuns: 400 });
});

test("law 10: everything is forgotten once its end is long past, and the digest is empty", () => {
  const law = fc.property(fc.array(delta, { maxLength: 30 }), (sequence) => {
    const store = storeWith({ tombstoneRetentionMs: retentionMs });
    for (const each of sequence) store.apply(copyOf(each), startMs);
    store.sweep(startMs + 10_000_000);
    const endless = recordsOf(store).every(
      ({ life, expiry }) => life.alive && !life.absoluteDeadlineMs && !expiry.idleDeadlineMs,
    );
    assert(endless, "only sessions without a deadline are left");
    assertSound(store);
  });
  fc.assert(law, { numRuns: 300 });
});

test("whatever comes, count, octets and tombstones keep their bounds, the digest is right", () => {
  const bounds = fc.record({
    countMax: fc.integer({ min: 1, max: 8 }),
    bytesMax: fc.integer({ min: 2_000, max: 6_000 }),
    tombstonesMax: fc.integer({ min: 1, max: 4 }),
  });
  const law = fc.property(bounds, steps, ({ countMax, bytesMax, tombstonesMax }, sequence) => {
    const store = storeWith({
      countMax,
      bytesMax,
      tombstonesMax,
      tombstoneRetentionMs: retentionMs,
    });
    let wallMs = startMs;
    // As in a block: all are found first, and may be gone when it is their turn.
    const sought = sequence.flatMap((step) => ("delta" in step ? [step.delta] : []));
    const found = new Map<SessionDelta, StoredRecord | undefined>();
    for (const step of sequence) {
      if ("delta" in step) {
        if (!found.has(step.delta)) {
          const few = sought.splice(0, 5);
          for (const [index, record] of store.findAll(few).entries()) {
            found.set(few[index] as SessionDelta, record);
          }
        }
        store.prefetch(sequence.flatMap((each) => ("delta" in each ? [each.delta] : [])));
        store.apply(copyOf(step.delta), wallMs, found.get(step.delta));
      } else {
        wallMs += step.passMs;
        store.sweep(wallMs);
      }
      assert(store.tombstoneCount <= tombstonesMax);
      assert(store.recordCount - store.tombstoneCount <= countMax);
      assert(store.bytes >= 0 && store.bytes <= bytesMax);
      assert(store.live.size >= 0 && store.live.size <= countMax);
      assertSound(store);
    }
  });
  fc.assert(law, { numRuns: 300 });
});

test("the least recently used session is evicted first, and a read counts as a use", () => {
  const indexes = fc.array(fc.nat(7), { maxLength: 40 });
  const law = fc.property(indexes, (reads) => {
    const store = storeWith({ countMax: 8 });
    let order = Array.from({ length: 8 }, (_, index) => `session-${index}`);
    for (const id of order) store.apply(born(id, 0), startMs);
    for (const read of reads) {
      const id = `session-${read}`;
      // Only what is really read counts.
      store.prefetch(order.toReversed().map((other) => ({ id: other })));
      if (read % 2 === 0) store.find(id);
      else store.findAll([{ id }]);
      order = [...order.filter((other) => other !== id), id];
    }
    for (let count = 0; count < 8; count++) {
      const [evicted] = order;
      store.apply(born(`new-${count}`, 0), startMs);
      order = order.slice(1);
      const left = recordsOf(store).map(({ id }) => id);
      assert.equal(left.includes(evicted ?? ""), false);
      assert(order.every((id) => left.includes(id)));
    }
    assertSound(store);
  });
  fc.assert(law, { numRuns: 300 });
});

test("no number of live sessions evicts a tombstone", () => {
  const law = fc.property(fc.integer({ min: 1, max: 5 }), (dead) => {
    const store = storeWith({ countMax: 3, bytesMax: 3_000, tombstonesMax: 5 });
    for (let number = 0; number < dead; number++) {
      const destroyed = { ...born(`dead-${number}`, 0), expiry: undefined };
      const life = { stamp: stampAt(1), alive: false, absoluteDeadlineMs: 0 };
      store.apply({ ...destroyed, life, floor: stampAt(1), attributes: [] }, startMs);
    }
    for (let number = 0; number < 40; number++) store.apply(born(`live-${number}`, 20), startMs);
    assert.equal(store.tombstoneCount, dead);
    for (let number = 0; number < dead; number++) {
      store.apply({ ...born(`dead-${number}`, 50), life: undefined, floor: undefined }, startMs);
      assert.equal(store.find(`dead-${number}`)?.life.alive, false);
    }
    assertSound(store);
  });
  fc.assert(law, { numRuns: 300 });
});

test("a session larger than the whole store is not kept, and leaves nothing behind", () => {
  const store = storeWith({ bytesMax: 10_000 });
  store.apply(born("small", 10), startMs);
  for (const valueBytes of [8_000, 20_000]) {
    store.apply(born("large", valueBytes), startMs);
    const larger = { name: "b", stamp: stampAt(200), value: "v".repeat(20_000) };
    store.apply({ ...born("large", 0), attributes: [larger] }, startMs);
    assert.equal(store.find("large"), undefined);
    assertSound(store);
  }
  assert.notEqual(store.find("small"), undefined);
});

test("beyond their bound the oldest tombstone goes first, and is counted", () => {
  const store = storeWith({ tombstonesMax: 3 });
  for (let number = 0; number < 5; number++) {
    const life = { stamp: stampAt(number), alive: false, absoluteDeadlineMs: 0 };
    store.apply({ ...born(`dead-${number}`, 0), life, floor: life.stamp, attributes: [] }, startMs);
  }
  const left = recordsOf(store).map(({ id }) => id);
  assert.deepEqual(left.sort(), ["dead-2", "dead-3", "dead-4"]);
});

function stampAt(offset: number) {
  return { time: stampTimeOf(startMs) + offset, tag: 1 };
}

function born(id: string, valueBytes: number): SessionDelta {
  const stamp = stampAt(0);
  return {
    id,
    life: { stamp, alive: true, absoluteDeadlineMs: 0 },
    floor: stamp,
    attributes: [{ name: "a", stamp: stampAt(100), value: "v".repeat(valueBytes) }],
    expiry: { stamp, idleMs: 0, idleDeadlineMs: 0 },
  };
}
