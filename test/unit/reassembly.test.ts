import assert from "node:assert/strict";
import { test } from "node:test";
import { Reassembly } from "../../src/core/stream/reassembly.ts";
import { type Fragment, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";

/** Piece `index` of a block whose first piece has the number `first`. */
function piece(first: number, index: number, count: number, bytes?: Uint8Array): Fragment {
  const content = bytes ?? Uint8Array.of(first & 255, index);
  return { tag: Tag.fragment, sequence: first + index, index, count, bytes: content };
}

test("a block is whole when its last missing piece arrives", () => {
  const reassembly = new Reassembly();
  assert.equal(reassembly.add(piece(5, 0, 3), 0), undefined);
  assert.equal(reassembly.add(piece(5, 1, 3), 0), undefined);
  assert.deepEqual(reassembly.add(piece(5, 2, 3), 0), Uint8Array.of(5, 0, 5, 1, 5, 2));
  assert.equal(reassembly.bytes, 0);
});

test("pieces may come in any order, and those of several blocks mixed", () => {
  const reassembly = new Reassembly();
  reassembly.add(piece(5, 2, 3), 0);
  reassembly.add(piece(50, 1, 2), 0);
  reassembly.add(piece(5, 0, 3), 0);
  assert.deepEqual(reassembly.add(piece(50, 0, 2), 0), Uint8Array.of(50, 0, 50, 1));
  assert.deepEqual(reassembly.add(piece(5, 1, 3), 0), Uint8Array.of(5, 0, 5, 1, 5, 2));
});

test("a piece that arrives twice counts once, and the first is kept", () => {
  const reassembly = new Reassembly();
  reassembly.add(piece(5, 0, 2), 0);
  assert.equal(reassembly.add(piece(5, 0, 2, Uint8Array.of(9, 9)), 0), undefined);
  assert.equal(reassembly.bytes, 2);
  assert.deepEqual(reassembly.add(piece(5, 1, 2), 0), Uint8Array.of(5, 0, 5, 1));
});

test("a piece that contradicts the others about their number is ignored", () => {
  const reassembly = new Reassembly();
  reassembly.add(piece(5, 0, 2), 0);
  assert.equal(reassembly.add(piece(5, 1, 3), 0), undefined);
  assert.deepEqual(reassembly.add(piece(5, 1, 2), 0), Uint8Array.of(5, 0, 5, 1));
});

test("a piece is copied out of the datagram that brought it", () => {
  const reassembly = new Reassembly();
  const datagram = Uint8Array.of(1, 2, 3);
  reassembly.add(piece(5, 0, 2, datagram.subarray(1)), 0);
  datagram.fill(0);
  assert.deepEqual(reassembly.add(piece(5, 1, 2), 0), Uint8Array.of(2, 3, 5, 1));
});

test("a block without progress is dropped after a while, and one with progress is not", () => {
  const reassembly = new Reassembly();
  reassembly.add(piece(5, 0, 3), 0);
  reassembly.add(piece(50, 0, 3), 0);
  reassembly.add(piece(50, 1, 3), 1_000);
  reassembly.sweep(limits.reassemblyMs - 1);
  assert.equal(reassembly.takeDropped(), 0);
  reassembly.sweep(limits.reassemblyMs);
  assert.equal(reassembly.takeDropped(), 1);
  assert.equal(reassembly.takeDropped(), 0);
  assert.equal(reassembly.bytes, 4);
  assert.notEqual(reassembly.add(piece(50, 2, 3), limits.reassemblyMs), undefined);
});

test("the number of blocks under construction is bounded, and the oldest goes", () => {
  const reassembly = new Reassembly();
  const blocks = limits.reassemblyMessagesMax + 10;
  for (let block = 0; block < blocks; block++) reassembly.add(piece(1 + block * 2, 0, 2), 0);
  assert.equal(reassembly.takeDropped(), 10);
  assert.equal(reassembly.bytes, limits.reassemblyMessagesMax * 2);
  assert.equal(reassembly.add(piece(1, 1, 2), 0), undefined);
  const latest = 1 + (blocks - 1) * 2;
  assert.notEqual(reassembly.add(piece(latest, 1, 2), 0), undefined);
});

test("the octets held are bounded, and the oldest block goes", () => {
  const reassembly = new Reassembly();
  const bytes = new Uint8Array(1_048_576);
  for (let block = 0; block < 40; block++) {
    reassembly.add(piece(1 + block * 2, 0, 2, bytes), 0);
    assert(reassembly.bytes <= limits.reassemblyBytesMax);
  }
  assert.equal(reassembly.takeDropped(), 40 - limits.reassemblyBytesMax / bytes.length);
});
