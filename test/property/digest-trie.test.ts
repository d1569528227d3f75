import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DigestTrie, leafCount, leafLevel, leavesOf } from "../../src/core/store/digest-trie.ts";

const toggles = fc.array(
  fc.record({
    leaf: fc.oneof(
      fc.nat(leafCount - 1),
      fc.constantFrom(0, 1, 15, 16, 0x1000, 0x1001, 0xffff, 0xfff0),
    ),
    // Signed halves, as the hash function makes them.
    fingerprint: fc.record({ high: fc.integer(), low: fc.integer() }),
  }),
  { maxLength: 60 },
);

type Toggles = readonly { leaf: number; fingerprint: { high: number; low: number } }[];

function trieOf(sequence: Toggles): DigestTrie {
  const trie = new DigestTrie();
  for (const { leaf, fingerprint } of sequence) trie.toggle(leaf, fingerprint);
  return trie;
}

function sumOf(sequence: Toggles, level: number, prefix: number) {
  const { first, end } = leavesOf({ level, prefix });
  const sum = { high: 0, low: 0 };
  for (const { leaf, fingerprint } of sequence) {
    if (leaf < first || leaf >= end) continue;
    sum.high ^= fingerprint.high;
    sum.low ^= fingerprint.low;
  }
  return sum;
}

function childOf(trie: DigestTrie, level: number, prefix: number, child: number) {
  const halves = trie.children(level, prefix);
  return { high: halves[child * 2], low: halves[child * 2 + 1] };
}

test("law 9: every node is the XOR of the fingerprints below it, as computed from scratch", () => {
  const law = fc.property(toggles, (sequence) => {
    const trie = trieOf(sequence);
    assert.deepEqual(trie.root, sumOf(sequence, 0, 0));
    for (const { leaf } of sequence) {
      for (let level = 1; level <= leafLevel; level++) {
        const prefix = leaf >>> (4 * (leafLevel - level));
        const node = childOf(trie, level - 1, prefix >>> 4, prefix & 15);
        assert.deepEqual(node, sumOf(sequence, level, prefix));
      }
    }
  });
  fc.assert(law, { numRuns: 300 });
});

test("law 9: the children of any node XOR to the node", () => {
  const law = fc.property(toggles, fc.nat(leafCount - 1), (sequence, leaf) => {
    const trie = trieOf(sequence);
    for (let level = 0; level < leafLevel; level++) {
      const prefix = leaf >>> (4 * (leafLevel - level));
      const sum = { high: 0, low: 0 };
      const halves = trie.children(level, prefix);
      assert.equal(halves.length, 32);
      for (let child = 0; child < 16; child++) {
        sum.high ^= halves[child * 2] ?? 0;
        sum.low ^= halves[child * 2 + 1] ?? 0;
      }
      const node = level === 0 ? trie.root : childOf(trie, level - 1, prefix >>> 4, prefix & 15);
      assert.deepEqual(sum, node);
    }
  });
  fc.assert(law, { numRuns: 300 });
});

test("toggling everything again, in another order, leaves an empty trie", () => {
  const law = fc.property(toggles, (sequence) => {
    const trie = trieOf([...sequence, ...sequence.toReversed()]);
    assert.deepEqual(trie.root, { high: 0, low: 0 });
    for (const { leaf } of sequence) {
      assert.deepEqual(childOf(trie, leafLevel - 1, leaf >>> 4, leaf & 15), { high: 0, low: 0 });
    }
  });
  fc.assert(law, { numRuns: 300 });
});

test("the ranges of one level divide all leaves among them", () => {
  for (let level = 0; level <= leafLevel; level++) {
    let next = 0;
    for (let prefix = 0; prefix < 16 ** level; prefix++) {
      const { first, end } = leavesOf({ level, prefix });
      assert.equal(first, next);
      next = end;
    }
    assert.equal(next, leafCount);
  }
});
