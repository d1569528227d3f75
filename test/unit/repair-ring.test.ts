import assert from "node:assert/strict";
import { test } from "node:test";
import { RepairRing } from "../../src/core/stream/repair-ring.ts";
import { type DeltaFrame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";

const scratch = new Uint8Array(limits.datagramBytesMax);

/** In memory that the next frame takes, as the sender's is. */
function frame(sequence: number, bytes = 10): DeltaFrame {
  return { tag: Tag.delta, sequence, block: contentOf(sequence, bytes) };
}

function contentOf(sequence: number, bytes: number): Uint8Array {
  return scratch.subarray(0, bytes).fill(sequence % 251);
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

test("beyond its octets the ring drops the oldest, and what it holds is whole", () => {
  const ring = new RepairRing();
  const sizes = [1_372, 1_100, 1_371, 900];
  const sizeOf = (sequence: number) => sizes[sequence % sizes.length] ?? 0;
  const last = 3 * (limits.repairRingBytesMax / 1_000);
  for (let sequence = 1; sequence <= last; sequence++) {
    ring.push(frame(sequence, sizeOf(sequence)));
    assert(ring.bytes <= limits.repairRingBytesMax);
  }
  assert(ring.bytes > limits.repairRingBytesMax - 2 * 1_472);
  assert.equal(ring.get(ring.oldest - 1), undefined);
  for (let sequence = ring.oldest; sequence <= last; sequence++) {
    const sent = ring.get(sequence)?.frame;
    assert(sent?.tag === Tag.delta && sent.sequence === sequence);
    assert(Buffer.from(contentOf(sequence, sizeOf(sequence))).equals(sent.block));
  }
});

test("fragments are given back as they were, also in the place of another frame", () => {
  const ring = new RepairRing();
  const piece = (sequence: number) => {
    const bytes = contentOf(sequence, 20);
    return { tag: Tag.fragment, sequence, index: sequence % 7, count: 8, bytes } as const;
  };
  const last = limits.repairRingDatagramsMax + 3;
  for (let sequence = 1; sequence <= last; sequence++) {
    ring.push(sequence % 2 === 0 ? piece(sequence) : frame(sequence, 20));
    const sent = ring.get(sequence);
    assert(sent !== undefined && sent.requester === "");
    sent.requester = "somebody";
  }
  assert.deepEqual(ring.get(last)?.frame, frame(last, 20));
  assert.deepEqual(ring.get(last - 1)?.frame, piece(last - 1));
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
