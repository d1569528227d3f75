import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { IncomingStream } from "../../src/core/stream/incoming-stream.ts";
import { limits } from "../../src/protocol/limits.ts";

function started(baseline = 10): IncomingStream {
  const stream = new IncomingStream(new Prng(1));
  stream.accept(baseline, 0);
  return stream;
}

/** Asks as the replica does, exactly when something is due, and notes when. */
function asksUntilSilent(stream: IncomingStream): { atMs: number; numbers: number }[] {
  const asks: { atMs: number; numbers: number }[] = [];
  for (let round = 0; stream.dueMs < Number.POSITIVE_INFINITY; round++) {
    assert(round < 1_000, "asking ends");
    const atMs = stream.dueMs;
    const ranges = stream.takeDue(atMs);
    const numbers = ranges.reduce((sum, { count }) => sum + count, 0);
    if (numbers > 0) asks.push({ atMs, numbers });
  }
  return asks;
}

test("the first number heard is the baseline, and nothing before it is asked for", () => {
  const stream = new IncomingStream(new Prng(1));
  assert.equal(stream.accept(500, 0), true);
  assert.deepEqual([stream.missingCount, stream.highest], [0, 500]);
  assert.equal(stream.dueMs, Number.POSITIVE_INFINITY);
});

test("a heartbeat that is heard first sets the baseline too", () => {
  const stream = new IncomingStream(new Prng(1));
  stream.announce(500, 0);
  assert.deepEqual([stream.missingCount, stream.highest], [0, 500]);
  assert.equal(stream.accept(501, 0), true);
  assert.equal(stream.missingCount, 0);
});

test("a peer that has sent nothing yet has baseline 0, and its first number is no gap", () => {
  const stream = new IncomingStream(new Prng(1));
  stream.announce(0, 0);
  assert.equal(stream.accept(1, 0), true);
  assert.equal(stream.missingCount, 0);
});

test("what was sent before the baseline and arrives late is news", () => {
  assert.equal(started(10).accept(7, 0), true);
});

test("numbers in a row leave no gap", () => {
  const stream = started();
  for (let sequence = 11; sequence < 100; sequence++) assert(stream.accept(sequence, 0));
  assert.deepEqual([stream.missingCount, stream.dueMs], [0, Number.POSITIVE_INFINITY]);
});

test("a number that arrives again is a duplicate", () => {
  const stream = started();
  assert.equal(stream.accept(10, 0), false);
  assert.equal(stream.accept(11, 0), true);
  assert.equal(stream.accept(11, 0), false);
});

test("a gap is asked for after a short delay, as one range", () => {
  const stream = started();
  stream.accept(15, 100);
  assert.equal(stream.missingCount, 4);
  assert(stream.dueMs >= 100 + limits.nakDelayMs);
  assert(stream.dueMs <= 100 + limits.nakDelayMs + limits.nakJitterMs);
  assert.deepEqual(stream.takeDue(100 + limits.nakDelayMs - 1), []);
  assert.deepEqual(stream.takeDue(stream.dueMs), [{ first: 11, count: 4 }]);
});

test("a lost tail is noticed by the number in a heartbeat", () => {
  const stream = started();
  stream.announce(12, 0);
  assert.deepEqual(stream.takeDue(stream.dueMs), [{ first: 11, count: 2 }]);
});

test("a heartbeat that arrives late takes nothing back", () => {
  const stream = started();
  stream.accept(11, 0);
  stream.announce(5, 0);
  assert.deepEqual([stream.highest, stream.missingCount], [11, 0]);
});

test("what only came out of order is not asked for", () => {
  const stream = started();
  stream.accept(13, 0);
  assert.equal(stream.accept(12, 1), true);
  assert.equal(stream.accept(11, 2), true);
  assert.equal(stream.missingCount, 0);
  assert.deepEqual(stream.takeDue(1_000), []);
  assert.equal(stream.accept(12, 3), false);
});

test("several gaps become several ranges of one NAK", () => {
  const stream = started();
  for (const sequence of [12, 15, 16, 18]) stream.accept(sequence, 0);
  const ranges = stream.takeDue(limits.nakDelayMs + limits.nakJitterMs);
  assert.deepEqual(ranges, [
    { first: 11, count: 1 },
    { first: 13, count: 2 },
    { first: 17, count: 1 },
  ]);
});

test("a gap is asked for eight times at growing intervals, then given up", () => {
  const stream = started();
  stream.accept(12, 0);
  const asks = asksUntilSilent(stream);
  assert.equal(asks.length, limits.nakTriesMax);
  const waits = asks.slice(1).map(({ atMs }, index) => atMs - (asks[index]?.atMs ?? 0));
  for (const [index, expectedMs] of [12, 24, 48, 96, 192, 320, 320].entries()) {
    const waitMs = waits[index] ?? 0;
    assert(waitMs >= expectedMs && waitMs <= expectedMs + limits.nakJitterMs, `${waitMs}`);
  }
  assert.equal(stream.missingCount, 0);
  assert.equal(stream.takeLost(), 1);
  assert.equal(stream.takeLost(), 0);
});

test("a repair that comes after giving up is not taken for news", () => {
  const stream = started();
  stream.accept(12, 0);
  asksUntilSilent(stream);
  assert.equal(stream.accept(11, 5_000), false);
});

test("a repaired number is not asked for again", () => {
  const stream = started();
  stream.accept(13, 0);
  stream.takeDue(stream.dueMs);
  assert.equal(stream.accept(11, 8), true);
  const ranges = stream.takeDue(40);
  assert.deepEqual(ranges, [{ first: 12, count: 1 }]);
});

test("what the sender can no longer repair is given up at once", () => {
  const stream = started();
  stream.accept(20, 0);
  stream.forget(15);
  assert.equal(stream.missingCount, 5);
  assert.equal(stream.takeLost(), 4);
  assert.deepEqual(stream.takeDue(stream.dueMs), [{ first: 15, count: 5 }]);
});

test("what the sender can no longer repair is not asked for when announced later", () => {
  const stream = started();
  stream.accept(12, 0);
  stream.forget(100);
  assert.equal(stream.takeLost(), 1);
  stream.announce(101, 1);
  assert.equal(stream.missingCount, 2);
  assert.equal(stream.takeLost(), 100 - 13);
  assert.deepEqual(stream.takeDue(1 + limits.nakDelayMs + limits.nakJitterMs), [
    { first: 100, count: 2 },
  ]);
});

test("a huge announcement costs a bounded number of gaps, the latest ones", () => {
  const stream = started();
  const far = 2 ** 48 - 1;
  stream.announce(far, 0);
  assert.equal(stream.missingCount, limits.gapAheadMax);
  assert.equal(stream.takeLost(), far - 10 - limits.gapAheadMax);
  assert.equal(stream.accept(far, 1), true);
  assert.equal(stream.accept(far - limits.gapAheadMax, 1), false);
  stream.announce(far + 2 * limits.gapAheadMax, 2);
  assert(stream.missingCount <= limits.gapAheadMax);
});

test("one NAK asks for a bounded number of numbers, and the rest waits a moment", () => {
  const stream = started();
  stream.announce(10 + 3 * limits.nakSequencesMax, 0);
  let nowMs = limits.nakDelayMs + limits.nakJitterMs;
  for (let nak = 0; nak < 3; nak++) {
    const first = 11 + nak * limits.nakSequencesMax;
    assert.deepEqual(stream.takeDue(nowMs), [{ first, count: limits.nakSequencesMax }]);
    assert.deepEqual(stream.takeDue(nowMs), []);
    if (nak < 2) assert.equal(stream.dueMs, nowMs + limits.nakPauseMs);
    nowMs += limits.nakPauseMs;
  }
});

test("one NAK has a bounded number of ranges", () => {
  const stream = started(0);
  for (let sequence = 2; sequence <= 500; sequence += 2) stream.accept(sequence, 0);
  const nowMs = limits.nakDelayMs + limits.nakJitterMs;
  assert.equal(stream.takeDue(nowMs).length, limits.nakRangesMax);
  assert.equal(stream.takeDue(nowMs + limits.nakPauseMs).length, limits.nakRangesMax);
});

test("every gap of a large loss is asked for as often as a lone one", () => {
  const stream = started();
  stream.announce(10 + 2_000, 0);
  const asked = asksUntilSilent(stream).reduce((sum, { numbers }) => sum + numbers, 0);
  assert.equal(asked, 2_000 * limits.nakTriesMax);
  assert.equal(stream.takeLost(), 2_000);
});

test("of numbers noted before their sender is known, the lowest of late starts the stream", () => {
  const stream = new IncomingStream(new Prng(1));
  for (const sequence of [3, 1, 4]) stream.note(sequence);
  stream.open(0);
  assert.deepEqual([stream.missingCount, stream.highest], [4, 4]);
  const recorded = new IncomingStream(new Prng(1));
  for (const sequence of [5_000, 5_000 - limits.nakSequencesMax - 1, 10]) recorded.note(sequence);
  recorded.open(0);
  assert.equal(recorded.missingCount, 1);
});

test("what was announced before any number came does not start the stream", () => {
  const stream = new IncomingStream(new Prng(1));
  stream.noteAnnounced(7);
  for (const sequence of [9, 6, 8]) stream.note(sequence);
  stream.open(0);
  assert.deepEqual([stream.missingCount, stream.highest], [2, 9]);
});

test("a stream tells once, when it is opened, that it starts later than for its sender", () => {
  const opened = (...noted: number[]) => {
    const stream = new IncomingStream(new Prng(1));
    for (const sequence of noted) stream.note(sequence);
    return stream.open(0);
  };
  assert.deepEqual([opened(), opened(2, 1), opened(2, 3)], [false, false, true]);
  for (const announced of [0, 1]) {
    const stream = new IncomingStream(new Prng(1));
    stream.noteAnnounced(announced);
    assert.equal(stream.open(0), announced > 0);
    stream.note(9);
    assert.equal(stream.open(0), false, "what it sent meanwhile is asked for");
  }
});
