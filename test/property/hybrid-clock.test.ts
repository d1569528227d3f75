import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HybridClock } from "../../src/session/hybrid-clock.ts";
import { stampEpochMs, stampsPerMs, stampTimeOf, stampWallMs } from "../../src/session/stamp.ts";

const driftMaxMs = 500;
const nowMs = 1_800_000_000_000;
/** Clocks that jump, run back, stand still, or were never set. */
const walls = fc.oneof(
  fc.integer({ min: nowMs - 2_000, max: nowMs + 2_000 }),
  fc.integer({ min: 0, max: 2 * nowMs }),
  fc.double({ min: nowMs, max: nowMs + 10, noNaN: true }),
  fc.constant(nowMs),
);
const times = fc.oneof(
  fc.integer({ min: stampTimeOf(nowMs - 1_000), max: stampTimeOf(nowMs + 1_000) }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
);
const steps = fc.array(
  fc.record({ wallMs: walls, observed: fc.option(times, { nil: undefined }) }),
  { maxLength: 40 },
);
const runs = { numRuns: 500 };

test("law 7: stamps only grow, whatever the wall clock and the peers say", () => {
  const law = fc.property(steps, (sequence) => {
    const clock = new HybridClock(driftMaxMs);
    let latest = 0;
    for (const { wallMs, observed } of sequence) {
      if (observed === undefined) {
        const issued = clock.issue(wallMs);
        assert(issued > latest, "later than all that was issued or observed");
        assert(Number.isSafeInteger(issued), "an exact number");
        latest = issued;
      } else if (clock.observe(observed, wallMs)) {
        latest = Math.max(latest, observed);
      }
      assert.equal(clock.time, latest);
    }
  });
  fc.assert(law, runs);
});

test("law 7: a stamp is never earlier than the wall clock of its moment", () => {
  const law = fc.property(steps, walls, (sequence, wallMs) => {
    const clock = new HybridClock(driftMaxMs);
    for (const step of sequence) if (step.observed === undefined) clock.issue(step.wallMs);
    const issued = clock.issue(wallMs);
    assert(wallMs < stampEpochMs || issued >= stampTimeOf(wallMs));
  });
  fc.assert(law, runs);
});

test("law 8: observing never takes a clock further ahead than the limit", () => {
  const law = fc.property(fc.array(fc.tuple(times, walls), { maxLength: 40 }), (sequence) => {
    const clock = new HybridClock(driftMaxMs);
    let latestWallMs = 0;
    for (const [time, wallMs] of sequence) {
      clock.observe(time, wallMs);
      latestWallMs = Math.max(latestWallMs, wallMs);
      const aheadMs = stampWallMs(clock.time) - latestWallMs;
      assert(clock.time === 0 || aheadMs <= driftMaxMs);
    }
  });
  fc.assert(law, runs);
});

test("law 8: only the future is refused, and a refusal leaves the clock as it was", () => {
  const law = fc.property(steps, times, walls, (sequence, time, wallMs) => {
    const clock = new HybridClock(driftMaxMs);
    for (const step of sequence) clock.observe(step.observed ?? 1, step.wallMs);
    const before = clock.time;
    const tooFar = stampWallMs(time) > wallMs + driftMaxMs;
    assert.equal(clock.isAhead(time, wallMs), tooFar);
    assert.equal(clock.observe(time, wallMs), !tooFar);
    assert.equal(clock.time, tooFar ? before : Math.max(before, time));
  });
  fc.assert(law, runs);
});

test("4096 stamps fit one millisecond, and the next one borrows from the future", () => {
  const clock = new HybridClock(driftMaxMs);
  for (let count = 0; count < stampsPerMs; count++) {
    assert.equal(stampWallMs(clock.issue(nowMs)), nowMs);
  }
  assert.equal(stampWallMs(clock.issue(nowMs)), nowMs + 1);
});

test("the physical part of a stamp is what the clock showed", () => {
  const law = fc.property(fc.integer({ min: stampEpochMs, max: 2 * nowMs }), (wallMs) => {
    assert.equal(stampWallMs(stampTimeOf(wallMs)), wallMs);
    assert.equal(stampWallMs(stampTimeOf(wallMs) + stampsPerMs - 1), wallMs);
  });
  fc.assert(law, runs);
});
