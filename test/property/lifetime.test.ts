import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ExpiryWheel, isPast } from "../../src/core/store/expiry-wheel.ts";
import {
  expiresAtMs,
  forgetAtMs,
  isVisible,
  touchWindowMs,
  visibleUntilMs,
} from "../../src/core/store/lifetime.ts";
import { StoredRecord } from "../../src/core/store/stored-record.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hashId } from "../../src/session/fingerprint.ts";
import { stampTimeOf, stampWallMs } from "../../src/session/stamp.ts";
import { hashKey } from "../support/hash-key.ts";
import { crowded, type DeltaRanges, deltas, joinOf } from "../support/session-arbitraries.ts";

const startMs = 1_800_000_000_000;
const runs = { numRuns: 500 };
const retentionMs = 60_000;
const all = Number.POSITIVE_INFINITY;
const times = fc.integer({ min: startMs - 100_000, max: startMs + 100_000 });
const ranges: DeltaRanges = {
  ...crowded,
  stamp: times.map((wallMs) => ({ time: stampTimeOf(wallMs), tag: 1 })),
  deadlineMs: fc.oneof(fc.constant(0), times),
};
const delta = deltas(ranges).map((each) => ({
  ...each,
  expiry: each.expiry && { ...each.expiry, idleMs: each.expiry.idleMs % 3_600_000 },
}));
const states = fc.array(delta, { maxLength: 6 }).map((history) => joinOf(history).state);

test("law 10: a live record is kept for as long as anybody may still see it", () => {
  const law = fc.property(states, times, (state, wallMs) => {
    if (!isVisible(state, wallMs)) return;
    const forgetAt = forgetAtMs(state, retentionMs);
    assert.equal(forgetAt, visibleUntilMs(state));
    assert.equal(isPast(forgetAt, wallMs), false);
  });
  fc.assert(law, runs);
});

test("law 10: a tombstone is kept for its retention, counted from the destroy", () => {
  const law = fc.property(states, (state) => {
    fc.pre(!state.life.alive && state.life.stamp.time > 0);
    const destroyedMs = stampWallMs(state.life.stamp.time);
    assert.equal(forgetAtMs(state, retentionMs), destroyedMs + retentionMs);
  });
  fc.assert(law, runs);
});

test("law 10: an update without its create is kept for a while after its newest part", () => {
  const law = fc.property(states, (state) => {
    fc.pre(state.life.stamp.time === 0);
    const stamps = [state.floor, state.expiry.stamp, ...state.attributes.map(({ stamp }) => stamp)];
    const newest = Math.max(...stamps.map(({ time }) => time));
    const forgetAt = forgetAtMs(state, retentionMs);
    assert.equal(forgetAt, stampWallMs(newest) + limits.unbornRetentionMs);
  });
  fc.assert(law, runs);
});

test("a session ends at the earlier of its two deadlines, and a dead one is never visible", () => {
  const law = fc.property(states, times, (state, wallMs) => {
    const { idleMs, idleDeadlineMs } = state.expiry;
    const granted = idleDeadlineMs > 0 ? idleDeadlineMs + touchWindowMs(idleMs) : 0;
    const ends = [granted, state.life.absoluteDeadlineMs].filter((end) => end);
    const visible = state.life.alive && ends.every((end) => wallMs < end);
    assert.equal(isVisible(state, wallMs), visible);
    assert.equal(visibleUntilMs(state), ends.length === 0 ? 0 : Math.min(...ends));
  });
  fc.assert(law, runs);
});

test("what clients are told as the end is never later than the end", () => {
  const law = fc.property(states, fc.nat(1_000), (state, share) => {
    const { idleMs, idleDeadlineMs } = state.expiry;
    // A use that is not replicated moves the deadline by a window at most.
    const moved = Math.floor((touchWindowMs(idleMs) * share) / 1_000);
    const ownDeadlineMs = idleDeadlineMs === 0 ? 0 : idleDeadlineMs + moved;
    const told = expiresAtMs(state, ownDeadlineMs);
    const end = visibleUntilMs(state);
    assert.equal(told === 0, end === 0);
    assert(told <= end);
  });
  fc.assert(law, runs);
});

test("the touch window is a twentieth of the idle time, at least 5 s, at most a quarter", () => {
  const law = fc.property(fc.nat(10_000_000_000), (idleMs) => {
    const window = touchWindowMs(idleMs);
    assert(Number.isInteger(window));
    assert(window * limits.touchWindowIdleShare <= idleMs);
    const wanted = Math.max(limits.touchWindowMsMin, idleMs / limits.touchWindowIdleDivisor);
    assert(window === Math.floor(wanted) || window === Math.floor(idleMs / 4));
  });
  fc.assert(law, runs);
  assert.deepEqual(
    [0, 1_000, 20_000, 100_000, 1_800_000].map(touchWindowMs),
    [0, 250, 5_000, 5_000, 90_000],
  );
});

test("an end is past in the slot that begins at it or next after it", () => {
  const law = fc.property(times, fc.nat(5_000), (atMs, laterMs) => {
    assert.equal(isPast(atMs, atMs - 1), false);
    assert.equal(isPast(atMs, atMs + limits.expirySlotMs), true);
    if (isPast(atMs, atMs + laterMs)) assert(isPast(atMs, atMs + laterMs + 1));
    assert.equal(isPast(0, atMs), false);
  });
  fc.assert(law, runs);
});

const wheelSteps = fc.array(
  fc.oneof(
    fc.record({ record: fc.nat(4), atMs: fc.integer({ min: 1, max: 60_000 }) }),
    fc.record({ removed: fc.nat(4) }),
    fc.record({ passMs: fc.integer({ min: limits.expirySlotMs, max: 20_000 }) }),
  ),
  { maxLength: 40 },
);

test("the wheel brings each record up once, in the slot of the earliest end it was given", () => {
  const law = fc.property(wheelSteps, (steps) => {
    const wheel = new ExpiryWheel();
    const records = Array.from({ length: 5 }, (_, index) => recordOf(`${index}`));
    const earliest = new Map<StoredRecord, number>();
    let wallMs = startMs;
    wheel.due(wallMs, all);
    for (const step of steps) {
      if ("passMs" in step) {
        wallMs += step.passMs;
        const due = [...earliest].filter(([, atMs]) => isPast(atMs, wallMs));
        const expected = due.map(([record]) => record.id).sort();
        assert.deepEqual(
          wheel
            .due(wallMs, all)
            .map(({ id }) => id)
            .sort(),
          expected,
        );
        for (const [record] of due) earliest.delete(record);
        assert.equal(wheel.size, earliest.size, "the wheel keeps nothing else");
        continue;
      }
      const record = records["removed" in step ? step.removed : step.record];
      assert(record !== undefined);
      if ("removed" in step) {
        wheel.remove(record);
        earliest.delete(record);
        continue;
      }
      const atMs = wallMs + step.atMs;
      wheel.schedule(record, atMs, wallMs);
      earliest.set(record, Math.min(atMs, earliest.get(record) ?? atMs));
    }
  });
  fc.assert(law, { numRuns: 400 });
});

const partSteps = fc.array(
  fc.oneof(
    fc.record({ record: fc.nat(9), atMs: fc.integer({ min: 1, max: 30_000 }) }),
    fc.record({ removed: fc.nat(9) }),
    fc.record({ passMs: fc.integer({ min: -10_000, max: 20_000 }), part: fc.nat(3) }),
  ),
  { maxLength: 60 },
);

test("what comes up in parts comes up once, and only what still waits", () => {
  const law = fc.property(partSteps, (steps) => {
    const wheel = new ExpiryWheel();
    const records = Array.from({ length: 10 }, (_, index) => recordOf(`${index}`));
    const waiting = new Map<StoredRecord, number>();
    let wallMs = startMs;
    const take = (part: number) => {
      const found = wheel.due(wallMs, part);
      assert(found.length <= part);
      for (const record of found) assert(waiting.delete(record), "it waits");
    };
    for (const step of steps) {
      if ("passMs" in step) {
        wallMs += step.passMs;
        take(step.part);
      } else if ("removed" in step) {
        const record = records[step.removed] as StoredRecord;
        wheel.remove(record);
        waiting.delete(record);
      } else {
        const record = records[step.record] as StoredRecord;
        const atMs = wallMs + step.atMs;
        wheel.schedule(record, atMs, wallMs);
        waiting.set(record, Math.min(atMs, waiting.get(record) ?? atMs));
      }
      assert.equal(wheel.size, waiting.size);
    }
    do take(2);
    while (wheel.behind);
    for (const atMs of waiting.values()) assert(!isPast(atMs, wallMs), "what has come was taken");
    wallMs += 10 ** 9;
    take(all);
    assert.equal(waiting.size, 0);
  });
  fc.assert(law, { numRuns: 1_000 });
});

test("a slot that comes again before all of it was taken out loses nothing", () => {
  const wheel = new ExpiryWheel();
  const [early, late] = [startMs + 4_000, startMs + 4_000 + limits.expirySlotMs];
  for (const id of ["a", "b", "c"]) wheel.schedule(recordOf(id), early, startMs);
  const taken = wheel.due(late, 1);
  // The clock is set back meanwhile.
  wheel.schedule(recordOf("d"), early, startMs);
  while (wheel.behind) taken.push(...wheel.due(late, 1));
  assert.deepEqual(taken.map(({ id }) => id).sort(), ["a", "b", "c", "d"]);
});

test("a wall clock that was set back and forth loses nothing that waits in the wheel", () => {
  const jumps = fc.array(fc.integer({ min: -10_000_000, max: 10_000_000 }), { maxLength: 10 });
  const law = fc.property(jumps, (sequence) => {
    const wheel = new ExpiryWheel();
    const waiting = new Set(sequence.map((_, index) => `${index}`));
    let wallMs = startMs;
    for (const [index, jumpMs] of sequence.entries()) {
      wheel.schedule(recordOf(`${index}`), startMs + index * 1_000, wallMs);
      wallMs += jumpMs;
      for (const record of wheel.due(wallMs, all)) assert(waiting.delete(record.id));
    }
    for (const record of wheel.due(startMs + 10 ** 9, all)) assert(waiting.delete(record.id));
    assert.equal(waiting.size, 0);
  });
  fc.assert(law, { numRuns: 300 });
});

test("after the wall clock was set back, ends come up at their time and not an hour later", () => {
  const wheel = new ExpiryWheel();
  wheel.due(startMs + 3_600_000, all);
  const record = recordOf("s");
  wheel.schedule(record, startMs + 5_000, startMs);
  assert.deepEqual(wheel.due(startMs + 5_000 + limits.expirySlotMs, all), [record]);
});

function recordOf(id: string): StoredRecord {
  return new StoredRecord(id, hashId(hashKey, id));
}
