import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OrderedIds } from "../../src/core/store/ordered-ids.ts";

const ids = fc.oneof(
  fc.nat(3_000).map((number) => `s-${number}`),
  fc.string({ maxLength: 3 }),
);

test("whatever comes and goes, the ids are in order, and those of a prefix are all there", () => {
  const law = fc.property(
    fc.array(ids, { size: "max", maxLength: 4_000 }),
    ids,
    (toggled, some) => {
      const ordered = new OrderedIds();
      const model = new Set<string>();
      for (const id of toggled) {
        if (model.delete(id)) ordered.remove(id);
        else {
          model.add(id);
          ordered.add(id);
        }
      }
      const expected = [...model].sort();
      assert.equal(ordered.size, model.size);
      assert.deepEqual([...ordered.from("", "")].slice(0, 1), expected.filter(Boolean).slice(0, 1));
      for (const prefix of ["", "s-1", some]) {
        const ofPrefix = expected.filter((id) => id.startsWith(prefix));
        assert.deepEqual(
          [...ordered.from(prefix, "s-17")],
          ofPrefix.filter((id) => id > "s-17"),
        );
      }
    },
  );
  fc.assert(law, { numRuns: 60 });
});

test("a hundred thousand ids come out sorted, and none is left in the end", () => {
  const ordered = new OrderedIds();
  const count = 100_000;
  const all = Array.from({ length: count }, (_, index) => `${(index * 7_919) % count}`);
  for (const id of all) ordered.add(id);
  assert.deepEqual([...ordered.from("", "")], all.toSorted());
  for (const id of all) ordered.remove(id);
  assert.deepEqual([ordered.size, ...ordered.from("", "")], [0]);
});
