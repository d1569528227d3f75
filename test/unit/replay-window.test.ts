import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ReplayWindow } from "../../src/core/membership/replay-window.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampsPerMs } from "../../src/session/stamp.ts";

const { replayWindow, freshMs } = limits;
const via = "multicast";

function dated(counter: number, clock: number, tail = 0) {
  return { counter, clock, tail };
}

test("a counter is fresh once", () => {
  const window = new ReplayWindow();
  for (const counter of [1, 2, 5, 3, 4]) {
    assert.equal(window.isReplayed(counter, via), false);
    assert.equal(window.take(dated(counter, 0), via), "fresh");
    assert.equal(window.isReplayed(counter, via), true);
    assert.equal(window.take(dated(counter, 0), via), "replayed");
  }
});

test("what came by one way is a copy by the other, and that once", () => {
  const window = new ReplayWindow();
  assert.equal(window.take(dated(7, 0), "unicast"), "fresh");
  assert.equal(window.isReplayed(7, "multicast"), false);
  assert.equal(window.take(dated(7, 0), "multicast"), "copy");
  assert.equal(window.take(dated(7, 0), "multicast"), "replayed");
  assert.equal(window.take(dated(7, 0), "unicast"), "replayed");
});

test("one way that is far ahead makes nothing old by the other", () => {
  const window = new ReplayWindow();
  window.take(dated(1, 0), "multicast");
  window.take(dated(50_000, 0), "unicast");
  assert.equal(window.take(dated(2, 0), "multicast"), "fresh");
});

test("a counter just within the window is told apart, and below it all count as seen", () => {
  const window = new ReplayWindow();
  window.take(dated(50_000, 0), via);
  assert.equal(window.take(dated(50_000 - replayWindow + 1, 0), via), "fresh");
  assert.equal(window.take(dated(50_000 - replayWindow, 0), via), "replayed");
  assert.equal(window.take(dated(1, 0), via), "replayed");
});

test("what was seen a window ago is forgotten with its counter, not taken for a new one", () => {
  for (const step of [1, 31, 32, 33, replayWindow - 1, replayWindow, 10 * replayWindow]) {
    const window = new ReplayWindow();
    for (let counter = 1; counter <= replayWindow; counter++) window.take(dated(counter, 0), via);
    const next = replayWindow + step;
    assert.equal(window.take(dated(next, 0), via), "fresh");
    for (let counter = replayWindow + 1; counter < Math.min(next, replayWindow * 2); counter++) {
      if (counter <= next - replayWindow) continue;
      assert.equal(window.take(dated(counter, 0), via), "fresh", `${counter} after ${next}`);
    }
  }
});

test("the window answers as a set of all counters would, where it can tell", () => {
  const counters = fc.array(fc.oneof(fc.nat(200), fc.nat(3 * replayWindow)), { maxLength: 300 });
  const law = fc.property(counters, (list) => {
    const window = new ReplayWindow();
    const seen = new Set<number>();
    let top = 0;
    for (const counter of list.map((number) => number + 1)) {
      const isNew = !seen.has(counter) && counter > top - replayWindow;
      assert.equal(window.take(dated(counter, 0), via), isNew ? "fresh" : "replayed");
      seen.add(counter);
      top = Math.max(top, counter);
    }
  });
  fc.assert(law, { numRuns: 500 });
});

test("a datagram that was held back is stale by its sender's own clock", () => {
  const window = new ReplayWindow();
  const ms = stampsPerMs;
  assert.equal(window.take(dated(10, 50_000 * ms), via), "fresh");
  assert.equal(window.take(dated(9, (50_000 - freshMs) * ms), via), "fresh");
  assert.equal(window.take(dated(8, (50_000 - freshMs) * ms - 1), via), "stale");
  // A clock that was set back shows in later counters, and those decide.
  assert.equal(window.take(dated(11, 1_000 * ms), via), "fresh");
  assert.equal(window.take(dated(7, 1_000 * ms), via), "fresh");
});

test("what comes under a counter that was used for something else is told from a replay", () => {
  const window = new ReplayWindow();
  window.take(dated(5, 0, 77), "multicast");
  assert.equal(window.isOther(5, 77), false);
  assert.equal(window.isOther(5, 78), true);
  assert.equal(window.isOther(5 + limits.tailsKept, 78), false, "nothing came under that one");
  window.take(dated(5 + limits.tailsKept, 0, 79), "multicast");
  assert.equal(window.isOther(5, 78), false, "that is forgotten");
});
