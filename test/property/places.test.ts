/** Where records are kept, against lru-cache and a Map, which did the same at a higher price. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LRUCache } from "lru-cache";
import { type PlaceBounds, Places } from "../../src/core/store/places.ts";
import { measureBytes, StoredRecord } from "../../src/core/store/stored-record.ts";
import { hashId } from "../../src/session/fingerprint.ts";
import { hashKey } from "../support/hash-key.ts";

const stamp = { time: 1, tag: 1 };

/** The rules, in terms of a cache that is known to keep them. */
class Oracle {
  readonly left: string[] = [];
  readonly tombstones = new Map<string, true>();
  readonly sessions: LRUCache<string, true>;
  readonly #bounds: PlaceBounds;

  constructor(bounds: PlaceBounds) {
    this.#bounds = bounds;
    this.sessions = new LRUCache({
      maxSize: bounds.bytesMax,
      dispose: (_, id, reason) => {
        if (reason === "evict") this.left.push(`evicted ${id}`);
      },
    });
  }

  put(id: string, bytes: number, dead: boolean): void {
    const { bytesMax, countMax, tombstonesMax } = this.#bounds;
    if (dead) {
      this.sessions.delete(id);
      this.tombstones.set(id, true);
      const [oldest] = this.tombstones.keys();
      if (this.tombstones.size <= tombstonesMax || oldest === undefined) return;
      this.tombstones.delete(oldest);
      this.left.push(`dropped ${oldest}`);
      return;
    }
    this.tombstones.delete(id);
    if (this.sessions.info(id)?.size === bytes) return;
    this.sessions.delete(id);
    if (bytes > bytesMax) this.left.push(`evicted ${id}`);
    else this.sessions.set(id, true, { size: bytes });
    if (this.sessions.size > countMax) this.sessions.pop();
  }

  used(id: string): void {
    const { bytesMax, countMax } = this.#bounds;
    const { size, calculatedSize } = this.sessions;
    if (size * 2 > countMax || calculatedSize * 2 > bytesMax) this.sessions.get(id);
  }

  take(id: string): void {
    this.sessions.delete(id);
    this.tombstones.delete(id);
  }
}

/** Places with the same, and all that it says. */
class Subject {
  readonly left: string[] = [];
  readonly places: Places;
  readonly #records = new Map<string, StoredRecord>();

  constructor(bounds: PlaceBounds) {
    this.places = new Places(bounds, {
      evicted: ({ id, place }) => this.left.push(place === "none" ? `evicted ${id}` : "too early"),
      tombstoneDropped: ({ id }) => this.left.push(`dropped ${id}`),
    });
  }

  /** Its charge. */
  put(id: string, valueBytes: number, dead: boolean): number {
    const record = this.record(id);
    record.life = { stamp, alive: !dead, absoluteDeadlineMs: 0 };
    record.attributes = [{ name: "a", stamp, value: "v".repeat(valueBytes) }];
    this.places.put(record);
    return measureBytes(record);
  }

  record(id: string): StoredRecord {
    const held = this.#records.get(id) ?? new StoredRecord(id, hashId(hashKey, id));
    this.#records.set(id, held);
    return held;
  }

  idsIn(place: StoredRecord["place"]): string[] {
    const ids = [...this.#records.values()].filter((record) => record.place === place);
    return ids.map(({ id }) => id).sort();
  }
}

const ids = fc.nat(9).map((number) => `s-${number}`);
const puts = fc.record({
  id: ids,
  put: fc.record({
    valueBytes: fc.oneof(fc.constantFrom(0, 40), fc.nat(3_000)),
    dead: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  }),
});
const others = fc.record({ id: ids, act: fc.constantFrom("used", "used", "take") });
const steps = fc.array(fc.oneof(puts, others), { maxLength: 120, size: "max" });
const bounds = fc.record({
  bytesMax: fc.integer({ min: 550, max: 5_000 }),
  countMax: fc.integer({ min: 1, max: 8 }),
  tombstonesMax: fc.integer({ min: 1, max: 3 }),
});

test("who stays, and who leaves in which order, is as with lru-cache and a Map", () => {
  const law = fc.property(bounds, steps, (limits, sequence) => {
    const oracle = new Oracle(limits);
    const subject = new Subject(limits);
    for (const step of sequence) {
      const { id } = step;
      if ("put" in step) {
        const bytes = subject.put(id, step.put.valueBytes, step.put.dead);
        oracle.put(id, bytes, step.put.dead);
      } else if (step.act === "used") {
        subject.places.used(subject.record(id));
        oracle.used(id);
      } else {
        subject.places.take(subject.record(id));
        oracle.take(id);
      }
      const { places } = subject;
      assert.deepEqual(subject.left, oracle.left);
      assert.deepEqual(
        [places.sessions, places.bytes, places.tombstones],
        [oracle.sessions.size, oracle.sessions.calculatedSize, oracle.tombstones.size],
      );
      assert.deepEqual(subject.idsIn("sessions"), [...oracle.sessions.keys()].sort());
      assert.deepEqual(subject.idsIn("tombstones"), [...oracle.tombstones.keys()].sort());
    }
  });
  fc.assert(law, { numRuns: 1_000 });
});
