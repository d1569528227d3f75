import assert from "node:assert/strict";
import { test } from "node:test";
import { RepairRing } from "../../src/core/stream/repair-ring.ts";
import { type DeltaFrame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";

const shared = new Uint8Array(200_000);

function frame(sequence: number, bytes = 10): DeltaFrame {
  return { tag: Tag.delta, sequence, block: shared.subarray(0, bytes) };
}

test("an empty ring holds nothing, and its oldest is the number that comes first", () => {
  const ring = new RepairRing();
  assert.deepEqual(
    [ring.oldest, ring.bytes, ring.get(0), ring.get(1)],
    [1, 0, undefined, undefined],
  );
});

test("what was pushed is found by its number, as never repaired", () => {
  const ring = new RepairRing();
  for (let sequence = 1; sequence <= 3; sequence++) ring.push(frame(sequence));
  const sent = ring.get(2);
  assert.equal(sent?.frame.sequence, 2);
  assert.equal(sent?.repairedAtMs, Number.NEGATIVE_INFINITY);
  assert.equal(ring.get(4), undefined);
});

test("a number out of turn is a bug of the sender", () => {
  const ring = new RepairRing();
  assert.throws(() => ring.push(frame(2)), /broken invariant/);
});

test("beyond its count the ring drops the oldest", () => {
  const ring = new RepairRing();
  const last = limits.repairRingDatagramsMax + 100;
  for (let sequence = 1; sequence <= last; sequence++) ring.push(frame(sequence));
  assert.equal(ring.oldest, 101);
  assert.equal(ring.get(100), undefined);
  for (const sequence of [101, 5_000, last]) {
    assert.equal(ring.get(sequence)?.frame.sequence, sequence);
  }
  assert.equal(ring.bytes, limits.repairRingDatagramsMax * 110);
});

test("beyond its octets the ring drops the oldest, however few there are", () => {
  const ring = new RepairRing();
  for (let sequence = 1; sequence <= 400; sequence++) {
    ring.push(frame(sequence, shared.length));
    assert(ring.bytes <= limits.repairRingBytesMax);
  }
  const held = Math.floor(limits.repairRingBytesMax / (shared.length + 100));
  assert.equal(ring.oldest, 400 - held + 1);
  assert.equal(ring.get(ring.oldest)?.frame.sequence, ring.oldest);
  assert.equal(ring.get(ring.oldest - 1), undefined);
});

test("the octets counted are those of what is held", () => {
  const ring = new RepairRing();
  let expected = 0;
  for (let sequence = 1; sequence <= 50; sequence++) {
    ring.push(frame(sequence, sequence));
    expected += sequence + 100;
  }
  assert.equal(ring.bytes, expected);
});
