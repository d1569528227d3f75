/** The laws of session state; their numbers are those of PROTOCOL.md, "State laws". */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isVisible } from "../../src/core/store/lifetime.ts";
import { deltaSince, type SessionDelta, wholeDelta } from "../../src/session/record.ts";
import { compareStamps } from "../../src/session/stamp.ts";
import {
  canonical,
  crowded,
  deltas,
  type Joined,
  joinOf,
  mergeInto,
  snapshot,
} from "../support/session-arbitraries.ts";

const delta = deltas(crowded);
const histories = fc.array(delta, { maxLength: 8 });
const runs = { numRuns: 600 };

/** A copy, because merge changes a state in place and `wholeDelta` shares its attributes. */
function wholeOf(history: readonly SessionDelta[]): SessionDelta {
  return structuredClone(wholeDelta(joinOf(history).state));
}

function assertSame(left: Joined, right: Joined): void {
  assert.deepEqual(snapshot(left), snapshot(right));
}

test("law 1: merge is commutative", () => {
  const law = fc.property(histories, histories, (left, right) => {
    assertSame(joinOf([...left, wholeOf(right)]), joinOf([...right, wholeOf(left)]));
  });
  fc.assert(law, runs);
});

test("law 1: merge is associative", () => {
  const law = fc.property(histories, histories, histories, (first, second, third) => {
    const lastTwo = structuredClone(wholeDelta(joinOf([...second, wholeOf(third)]).state));
    assertSame(joinOf([...first, wholeOf(second), wholeOf(third)]), joinOf([...first, lastTwo]));
  });
  fc.assert(law, runs);
});

test("law 1: merge is idempotent, and says that nothing changed", () => {
  const law = fc.property(histories, (history) => {
    const joined = joinOf(history);
    const before = snapshot(joined);
    assert.equal(mergeInto(joined, wholeOf(history)), false);
    for (const each of history) assert.equal(mergeInto(joined, each), false);
    assert.deepEqual(snapshot(joined), before);
  });
  fc.assert(law, runs);
});

test("merge says that something changed exactly when the state did", () => {
  const law = fc.property(histories, delta, (history, last) => {
    const joined = joinOf(history);
    const before = canonical(joined.state);
    const changed = mergeInto(joined, last);
    assert.equal(changed, canonical(joined.state) !== before);
  });
  fc.assert(law, runs);
});

test("law 2: a tie of stamps with different contents ends alike in both orders", () => {
  const stamp = fc.constant({ time: 3, tag: 1 });
  const tied = deltas({ ...crowded, stamp });
  const law = fc.property(tied, tied, tied, (first, second, third) => {
    assertSame(joinOf([first, second, third]), joinOf([third, second, first]));
    assertSame(joinOf([first, second, third]), joinOf([second, third, first]));
  });
  fc.assert(law, runs);
});

test("law 3: the fingerprint kept up by merge is the one computed from scratch", () => {
  const law = fc.property(histories, (history) => {
    const { kept, fromScratch } = snapshot(joinOf(history));
    assert.deepEqual(kept, fromScratch);
  });
  fc.assert(law, runs);
});

test("law 4: order, repetition and loss do not matter once the whole state was resent", () => {
  const deliveries = fc.array(fc.nat(), { maxLength: 20 });
  const law = fc.property(histories, deliveries, (history, picks) => {
    const delivered = picks.flatMap((pick) => history[pick % Math.max(1, history.length)] ?? []);
    assertSame(joinOf([...delivered, wholeOf(history)]), joinOf(history));
    assertSame(joinOf([wholeOf(history), ...delivered]), joinOf(history));
  });
  fc.assert(law, runs);
});

test("law 4: any order of the same deltas gives the same record", () => {
  const shuffled = fc
    .array(delta, { maxLength: 8 })
    .chain((history) =>
      fc.tuple(fc.constant(history), fc.shuffledSubarray(history, { minLength: history.length })),
    );
  const law = fc.property(shuffled, ([history, reordered]) => {
    assertSame(joinOf(history), joinOf(reordered));
  });
  fc.assert(law, runs);
});

test("law 5: no update brings a destroyed session back, however late its stamp", () => {
  const destroyed = { time: 4, tag: 2 };
  const destroy: SessionDelta = {
    id: "session",
    life: { stamp: destroyed, alive: false, absoluteDeadlineMs: 0 },
    floor: destroyed,
    attributes: [],
    expiry: undefined,
  };
  const isEarlier = ({ life }: SessionDelta) =>
    life === undefined || compareStamps(life.stamp, destroyed) < 0;
  const earlier = fc.array(delta.filter(isEarlier), { maxLength: 6 });
  const updates = fc.array(
    delta.map((each) => ({ ...each, life: undefined })),
    { maxLength: 6 },
  );
  const law = fc.property(earlier, updates, fc.nat(12), (before, after, position) => {
    const sequence = [...before, ...after];
    sequence.splice(position % (sequence.length + 1), 0, destroy);
    const { state } = joinOf(sequence);
    assert.equal(state.life.alive, false);
    assert.equal(isVisible(state, 0), false);
    for (const attribute of state.attributes) {
      assert(compareStamps(attribute.stamp, destroyed) >= 0, "what was before it is gone");
    }
  });
  fc.assert(law, runs);
});

test("law 6: what each writer sends of its own is together the whole record", () => {
  const law = fc.property(histories, (history) => {
    const { state } = joinOf(history);
    const parts = [3, 1, 2].map((tag) => structuredClone(deltaSince(state, { time: 0, tag })));
    assertSame(joinOf(parts), joinOf(history));
  });
  fc.assert(law, runs);
});

test("law 6: a writer sends what it stamped from a time on, and nothing else", () => {
  const law = fc.property(histories, crowded.stamp, (history, since) => {
    const { state } = joinOf(history);
    const sent = deltaSince(state, since);
    const stamps = [sent.life?.stamp, sent.floor, sent.expiry?.stamp]
      .concat(sent.attributes.map(({ stamp }) => stamp))
      .filter((stamp) => stamp !== undefined);
    const held = [state.life.stamp, state.floor, state.expiry.stamp].concat(
      state.attributes.map(({ stamp }) => stamp),
    );
    const own = held.filter(({ time, tag }) => tag === since.tag && time >= since.time);
    assert.deepEqual(stamps, own);
  });
  fc.assert(law, runs);
});
