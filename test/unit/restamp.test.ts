import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyState, type SessionState } from "../../src/session/record.ts";
import { restamp } from "../../src/session/restamp.ts";
import { type Stamp, stampsPerMs } from "../../src/session/stamp.ts";

const hour = 3_600_000;
const correction = { acceptedTime: 1_000 * stampsPerMs, aheadMs: hour };

/** A stamp of the wrong clock, or of a right one, at a right time in milliseconds. */
function wrong(atMs: number, tag = 1): Stamp {
  return { time: (atMs + hour) * stampsPerMs, tag };
}
function right(atMs: number, tag = 1): Stamp {
  return { time: atMs * stampsPerMs, tag };
}

function millisecondOf({ time }: Stamp): number {
  return Math.floor(time / stampsPerMs);
}

function stateOf(parts: Partial<SessionState>): SessionState {
  return Object.assign(emptyState("s"), parts);
}

test("what a wrong clock stamped gets the time at which it was made", () => {
  const state = stateOf({
    life: { stamp: wrong(10), alive: true, absoluteDeadlineMs: hour + 99_000 },
    floor: wrong(10),
    attributes: [{ name: "a", stamp: wrong(20), value: "v" }],
    expiry: { stamp: wrong(30), idleMs: 500, idleDeadlineMs: hour + 530 },
  });
  assert.equal(restamp(state, correction), true);
  assert.deepEqual(state.life, { stamp: right(10), alive: true, absoluteDeadlineMs: 99_000 });
  assert.deepEqual(state.floor, right(10));
  assert.deepEqual(state.attributes, [{ name: "a", stamp: right(20), value: "v" }]);
  assert.deepEqual(state.expiry, { stamp: right(30), idleMs: 500, idleDeadlineMs: 530 });
});

test("what has its right time keeps it", () => {
  const state = stateOf({
    life: { stamp: right(10), alive: true, absoluteDeadlineMs: 0 },
    expiry: { stamp: right(10), idleMs: 500, idleDeadlineMs: 510 },
  });
  assert.equal(restamp(state, correction), false);
  assert.deepEqual(state.life.stamp, right(10));
});

test("nothing gets before what it followed: a destroy stays after the create", () => {
  const state = stateOf({
    life: { stamp: wrong(10), alive: false, absoluteDeadlineMs: 0 },
    floor: wrong(10),
    attributes: [],
    expiry: { stamp: right(900), idleMs: 0, idleDeadlineMs: 0 },
  });
  restamp(state, correction);
  assert.equal(millisecondOf(state.life.stamp), 901);
  assert.deepEqual(state.floor, state.life.stamp, "one request's changes share one stamp still");
});

test("stamps that follow each other go on to, and an end is never turned into none", () => {
  const state = stateOf({
    life: { stamp: right(900), alive: true, absoluteDeadlineMs: 0 },
    attributes: [
      { name: "b", stamp: wrong(20, 2), value: "2" },
      { name: "a", stamp: wrong(20, 1), value: "1" },
      { name: "c", stamp: wrong(10), value: undefined },
    ],
    expiry: { stamp: wrong(30), idleMs: 5, idleDeadlineMs: 35 },
  });
  restamp(state, correction);
  const times = new Map(state.attributes.map(({ name, stamp }) => [name, stamp.time]));
  const inOrder = ["c", "a", "b"].map((name) => Math.floor((times.get(name) ?? 0) / stampsPerMs));
  assert.deepEqual(inOrder, [901, 902, 903]);
  assert.equal(state.expiry.idleDeadlineMs, 1);
});

test("different late writes behind one right write get different stamps, equal ones equal", () => {
  const moved = (late: Stamp): Stamp | undefined => {
    const state = stateOf({
      life: { stamp: right(900), alive: true, absoluteDeadlineMs: 0 },
      attributes: [{ name: "a", stamp: late, value: "v" }],
    });
    restamp(state, correction);
    return state.attributes[0]?.stamp;
  };
  const first = { time: wrong(20).time + 5, tag: 1 };
  assert.notDeepEqual(moved(first), moved({ ...first, time: first.time + 1 }));
  assert.notDeepEqual(moved(first), moved({ ...first, time: first.time + 3 * stampsPerMs }));
  assert.deepEqual(moved(first), moved(first));
});
