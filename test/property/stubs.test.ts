/** Stubs against a plain map, whatever is put and dropped in whatever order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Counters } from "../../src/core/counters.ts";
import { DigestTrie } from "../../src/core/store/digest-trie.ts";
import { type Stub, Stubs } from "../../src/core/store/stubs.ts";

// Few ids, and fewer leaves: rows of one leaf are linked.
const idHashes = fc.nat(39).map((number) => ({
  high: ((number % 3) << 16) | ((number % 2) << 12),
  low: number - 20,
}));
const stubs: fc.Arbitrary<Stub> = fc.record({
  idHash: idHashes,
  fingerprint: fc.record({ high: fc.nat(3), low: fc.nat(3) }),
  endSlot: fc.nat(12),
  bytes: fc.nat(5_000),
  version: fc.nat(5),
});
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: stubs.map((put) => ({ put })) },
    { weight: 2, arbitrary: idHashes.map((drop) => ({ drop })) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }).map((sweep) => ({ sweep })) },
  ),
  { maxLength: 300, size: "max" },
);

const nameOf = ({ high, low }: Stub["idHash"]) => `${high}:${low}`;

function checkSame(found: Stubs, trie: DigestTrie, expected: ReadonlyMap<string, Stub>): void {
  const root = { high: 0, low: 0 };
  let bytes = 0;
  for (const stub of expected.values()) {
    assert.equal(JSON.stringify(found.find(stub.idHash)), JSON.stringify(stub));
    assert(
      found.ofLeaf(stub.idHash.high >>> 16).some(({ idHash }) => idHash.low === stub.idHash.low),
    );
    root.high ^= stub.fingerprint.high;
    root.low ^= stub.fingerprint.low;
    bytes += stub.bytes;
  }
  assert.deepEqual(trie.root, root);
  assert.equal(found.bytes, bytes);
  assert.equal(found.size, expected.size);
  const rows = Array.from({ length: found.rows }, (_, row) => found.at(row));
  assert.equal(rows.filter((stub) => stub !== undefined).length, expected.size);
}

test("what was put is found with its leaf, counts in the digest, and goes in its slot", () => {
  const law = fc.property(steps, (sequence) => {
    const trie = new DigestTrie();
    const found = new Stubs(trie, 1_000, new Counters().store);
    const expected = new Map<string, Stub>();
    for (const step of sequence) {
      if ("put" in step) {
        const before = expected.get(nameOf(step.put.idHash))?.fingerprint ?? { high: 0, low: 0 };
        const { high, low } = step.put.fingerprint;
        assert.equal(found.put(step.put), before.high !== high || before.low !== low);
        expected.set(nameOf(step.put.idHash), step.put);
      } else if ("drop" in step) {
        assert.equal(found.drop(step.drop), expected.delete(nameOf(step.drop)));
      } else {
        found.sweep(step.sweep);
        for (const [name, { endSlot }] of expected) {
          if (endSlot > 0 && endSlot <= step.sweep) expected.delete(name);
        }
      }
    }
    checkSame(found, trie, expected);
    assert.equal(found.lackSome, false);
  });
  fc.assert(law, { numRuns: 500 });
});

test("beyond their bound the oldest goes, and is missed until it would have ended", () => {
  const law = fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(30), (max, beyond) => {
    const counters = new Counters().store;
    const found = new Stubs(new DigestTrie(), max, counters);
    const stubOf = (low: number): Stub => ({
      idHash: { high: low << 20, low },
      fingerprint: { high: 1, low },
      endSlot: 100 + low,
      bytes: 10,
      version: 0,
    });
    for (let low = 1; low <= max + beyond; low++) found.put(stubOf(low));
    assert.equal(found.size, max);
    assert.equal(counters.stubsDropped, beyond);
    for (let low = 1; low <= max + beyond; low++) {
      assert.equal(found.has(stubOf(low).idHash), low > beyond, `stub ${low}`);
    }
    assert.equal(found.lackSome, beyond > 0);
    found.sweep(100 + beyond - 1);
    assert.equal(found.lackSome, beyond > 0);
    found.sweep(100 + beyond);
    assert.equal(found.lackSome, false);
  });
  fc.assert(law, { numRuns: 200 });
});
