import { strict as assert } from "node:assert";
import { test } from "node:test";
import { digestOfLeaf, framesOfLeaves, rangesAhead } from "../../src/core/reconcile/leaf-digest.ts";
import { type LeafDigest, type RecordDigest, Tag } from "../../src/protocol/frames.ts";
import { framesBytesMax, limits } from "../../src/protocol/limits.ts";
import { ByteWriter } from "../../src/wire/byte-writer.ts";
import { writeFrame } from "../../src/wire/frame-codec.ts";
import { recordsOf, storeWith } from "../support/store-model.ts";

const stamp = { time: 1_000_000_000_000, tag: 3 };
const record = (key: number, low: number): RecordDigest => ({ key, high: 7, low });
const leafOf = (...records: RecordDigest[]): LeafDigest => ({ leaf: 0xabcd, records });
const wholeLeaf = { level: 4, prefix: 0xabcd };

test("a leaf is told by the keys and the fingerprints of its records", () => {
  const store = storeWith();
  const life = { stamp, alive: true, absoluteDeadlineMs: 0 };
  store.apply({ id: "s", life, floor: stamp, attributes: [], expiry: undefined }, 0);
  const [held] = recordsOf(store);
  assert(held !== undefined);
  const { high, low } = held.fingerprint;
  const told = { leaf: held.leaf, records: [{ key: held.idHash.high & 0xffff, high, low }] };
  assert.deepEqual(digestOfLeaf(store, held.leaf), told);
  assert.equal(digestOfLeaf(store, held.leaf ^ 1), undefined);
});

test("of a leaf in which one record differs only that one is named", () => {
  const mine = leafOf(record(1, 1), record(2, 1), record(65_535, 1));
  const theirs = leafOf(record(65_535, 2), record(2, 1), record(1, 1));
  assert.deepEqual(rangesAhead(theirs, mine), [{ level: 8, prefix: 0xabcdffff }]);
  assert.deepEqual(rangesAhead(mine, mine), []);
});

test("what one side lacks is ahead on the other side only", () => {
  const mine = leafOf(record(1, 1), record(2, 1));
  const theirs = leafOf(record(1, 1), record(2, 1), record(3, 1));
  assert.deepEqual(rangesAhead(theirs, mine), [{ level: 8, prefix: 0xabcd0003 }]);
  assert.deepEqual(rangesAhead(mine, theirs), []);
});

test("a leaf that differs in most of its records is named as a whole", () => {
  assert.deepEqual(rangesAhead(leafOf(record(1, 1), record(2, 2)), undefined), [wholeLeaf]);
  const theirs = leafOf(record(1, 1), record(2, 1), record(3, 1));
  assert.deepEqual(rangesAhead(theirs, leafOf(record(1, 1))), [wholeLeaf]);
});

test("records that share a key are compared by their XOR, in any order", () => {
  const others = [record(2, 2), record(3, 3), record(4, 4)];
  const mine = leafOf(record(1, 5), record(1, 9), ...others);
  assert.deepEqual(rangesAhead(leafOf(record(1, 9), record(1, 5), ...others), mine), []);
  const ahead = rangesAhead(leafOf(record(1, 9), ...others), mine);
  assert.deepEqual(ahead, [{ level: 8, prefix: 0xabcd0001 }]);
});

test("the smallest leaves are as many to a frame as its reader takes", () => {
  const leaves = Array.from({ length: 300 }, (_, leaf) => ({ leaf, records: [record(1, 1)] }));
  const counts = framesOfLeaves(leaves).map((some) => some.length);
  assert.equal(Math.max(...counts), limits.leavesPerFrameMax);
});

test("leaves that are told fill frames, and each fits a datagram", () => {
  const records = Array.from({ length: limits.leafRecordsMax }, (_, key) => record(key, key));
  const leaves = Array.from({ length: 200 }, (_, leaf) => ({
    leaf,
    records: records.slice(0, 1 + (leaf % limits.leafRecordsMax)),
  }));
  const frames = framesOfLeaves(leaves);
  assert.deepEqual(frames.flat(), leaves);
  const sizes = frames.map((some) => {
    const writer = new ByteWriter();
    writeFrame(writer, { tag: Tag.leaves, leaves: some });
    return writer.position;
  });
  assert(Math.max(...sizes) <= framesBytesMax, `${Math.max(...sizes)} octets`);
  const sum = sizes.reduce((left, right) => left + right);
  assert(frames.length <= Math.ceil(sum / (framesBytesMax - 330)), `${frames.length} frames`);
});
