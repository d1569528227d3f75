/** The table of records against a Set, with hashes that collide more than any real ones do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RecordTable } from "../../src/core/store/record-table.ts";
import { StoredRecord } from "../../src/core/store/stored-record.ts";
import { type Hash64, hashId } from "../../src/session/fingerprint.ts";
import { hashKey } from "../support/hash-key.ts";

/** Of one part of the table: of few leaves, and of each few and many hashes. */
const hashes: fc.Arbitrary<Hash64> = fc.record({
  high: fc
    .tuple(fc.constantFrom(0, 1, 0x7fff, 0x8000, 0xfffe), fc.oneof(fc.nat(3), fc.nat(0xffff)))
    .map(([leaf, rest]) => (leaf << 16) | rest),
  low: fc.integer({ min: -2, max: 2 }),
});
const toggles = fc.array(fc.tuple(hashes, fc.constantFrom("a", "b")), {
  maxLength: 3_000,
  size: "max",
});

function assertSame(table: RecordTable, held: ReadonlySet<StoredRecord>): void {
  const byLeaf = new Map<number, Set<StoredRecord>>();
  for (const record of held) {
    byLeaf.set(record.leaf, (byLeaf.get(record.leaf) ?? new Set()).add(record));
    assert.equal(table.find(record.id, record.idHash), record);
    assert.equal(table.find(`${record.id}-`, record.idHash), undefined);
    assert(table.holds(record.idHash));
  }
  const sought = [...held].flatMap((record) => [record, new StoredRecord("-", record.idHash)]);
  assert.deepEqual(
    table.findAll(
      sought,
      sought.map(({ idHash }) => idHash),
    ),
    sought.map((record) => (held.has(record) ? record : undefined)),
    "together as one by one",
  );
  for (const leaf of [0, 1, 2, 0x7ffe, 0x7fff, 0x8000, 0xfffd, 0xfffe, 0xffff, ...byLeaf.keys()]) {
    const expected = byLeaf.get(leaf) ?? new Set();
    assert.equal(table.hasLeaf(leaf), expected.size > 0);
    const listed = table.recordsOfLeaf(leaf);
    assert.equal(listed.length, expected.size, "each once");
    assert.deepEqual(new Set(listed), expected);
  }
  const all = [...table.all()];
  assert.equal(all.length, held.size, "each once");
  assert(all.every((record) => held.has(record)));
}

test("whatever comes and goes, records are found by their hash and id, and by their leaf", () => {
  const law = fc.property(toggles, (sequence) => {
    const table = new RecordTable();
    const held = new Map<string, StoredRecord>();
    for (const [hash, name] of sequence) {
      const id = `${hash.high} ${hash.low} ${name}`;
      const record = held.get(id) ?? new StoredRecord(id, hash);
      assert.equal(table.find(id, hash), held.get(id));
      if (held.delete(id)) table.unlink(record);
      else {
        held.set(id, record);
        table.link(record);
      }
    }
    assertSame(table, new Set(held.values()));
    for (const record of held.values()) table.unlink(record);
    assert.deepEqual([...table.all()], []);
  });
  fc.assert(law, { numRuns: 50 });
});

test("a hundred thousand records of real hashes are found, and only they", () => {
  const table = new RecordTable();
  const held = new Set<StoredRecord>();
  for (let number = 0; number < 100_000; number++) {
    const id = `session-${number}`;
    const record = new StoredRecord(id, hashId(hashKey, id));
    held.add(record);
    table.link(record);
  }
  assertSame(table, held);
  assert.equal(table.find("session-x", hashId(hashKey, "session-x")), undefined);
});
