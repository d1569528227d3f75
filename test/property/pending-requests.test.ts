import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SessioncastError } from "../../src/client/errors.ts";
import { PendingRequests } from "../../src/client/pending-requests.ts";

const hour = 3_600_000;
const never = () => assert.fail("nothing is decoded here");
const nothing = () => {};

const stepOf = <S extends string>(step: S, countMax: number) =>
  fc.record({
    step: fc.constant(step),
    count: fc.integer({ min: 1, max: countMax }),
    seed: fc.nat(),
  });

/** Requests come, come and are answered at once, or are answered in whatever order. */
const steps = fc.array(fc.oneof(stepOf("add", 300), stepOf("pass", 2_000), stepOf("take", 300)), {
  maxLength: 20,
});

test("whatever the order of answers, each request is found once; the rest ends by age", () => {
  fc.assert(
    fc.property(steps, (all) => {
      let emptied = 0;
      let emptiedInTruth = 0;
      const pending = new PendingRequests(hour, () => (emptied += 1), never);
      const rejected: number[] = [];
      const waiting: number[] = [];
      const add = () => {
        const id = pending.add(never, nothing, () => rejected.push(id));
        waiting.push(id);
      };
      const take = (index: number) => {
        const [id] = waiting.splice(index, 1);
        assert.ok(id !== undefined);
        assert.equal(pending.take(id)?.id, id);
        assert.equal(pending.take(id), undefined);
        if (waiting.length === 0) emptiedInTruth += 1;
      };
      for (const { step, count, seed } of all) {
        for (let left = count; left > 0; left--) {
          if (step !== "take") add();
          if (step === "pass") take(waiting.length - 1);
          if (step === "take" && waiting.length > 0) take((seed * left) % waiting.length);
        }
        assert.equal(pending.size, waiting.length);
      }
      if (waiting.length > 0) emptiedInTruth += 1;
      pending.rejectAll(() => new SessioncastError("SESSIONCAST_CLOSED", "closed"));
      assert.deepEqual(rejected, waiting);
      assert.equal(emptied, emptiedInTruth);
      assert.equal(pending.size, 0);
    }),
  );
});
