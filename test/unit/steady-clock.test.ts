import { strict as assert } from "node:assert";
import { test } from "node:test";
import { SteadyClock } from "../../src/net/steady-clock.ts";

const start = 1_800_000_000_000;
const hour = 3_600_000;

/** A clock, what it told, and what others vote; undefined: nobody is there. */
function started() {
  const steps: number[] = [];
  const refusals: number[] = [];
  const others: { votes: number | undefined; asked: number; settled: number } = {
    votes: undefined,
    asked: 0,
    settled: 0,
  };
  const clock = new SteadyClock(0, start, {
    votes: () => {
      others.asked += 1;
      return others.votes;
    },
    stepped: (byMs) => steps.push(byMs),
    refused: (byMs) => refusals.push(byMs),
    settled: () => {
      others.settled += 1;
    },
  });
  /** Looks at it until then, while the machine shows so much more. */
  let nowMs = 0;
  const run = (untilMs: number, aheadMs: number): number => {
    let wallMs = 0;
    for (; nowMs <= untilMs; nowMs += 10) ({ wallMs } = clock.now(nowMs, start + nowMs + aheadMs));
    return wallMs - start - (nowMs - 10);
  };
  return { clock, steps, refusals, others, run };
}

test("a clock that agrees is passed on", () => {
  const { clock, steps } = started();
  for (let ms = 0; ms < 5_000; ms += 10) assert.equal(clock.now(ms, start + ms).wallMs, start + ms);
  assert.deepEqual(steps, []);
});

test("a step that is taken back within seconds is never seen", () => {
  for (const step of [hour, -hour]) {
    const { clock, steps } = started();
    for (let ms = 0; ms < 9_000; ms += 10) {
      const wrong = ms > 1_000 && ms < 8_000 ? step : 0;
      assert.equal(clock.now(ms, start + ms + wrong).wallMs, start + ms);
    }
    assert.deepEqual(steps, []);
  }
});

test("a step that lasts is believed once, and told", () => {
  for (const votes of [undefined, 0, 1]) {
    const { steps, refusals, others, run } = started();
    others.votes = votes;
    assert.equal(run(9_990, hour), 0);
    assert.equal(run(12_000, hour), hour);
    assert.deepEqual([steps, refusals, others.settled], [[hour], [], 0]);
  }
});

test("a step that leads away from others is not believed, and that is told once", () => {
  for (const step of [hour, -hour]) {
    const { clock, steps, refusals, others, run } = started();
    others.votes = -1;
    assert.equal(run(60_000, step), 0);
    assert.deepEqual([steps, refusals, others.settled], [[], [step], 0]);
    assert.equal(others.asked, 51, "once a second");
    assert.deepEqual([clock.refuses, clock.machineAheadMs], [true, step]);
  }
});

test("a clock that is set back to what others show has never been followed", () => {
  const { clock, steps, refusals, others, run } = started();
  others.votes = -1;
  run(20_000, hour);
  assert.equal(run(40_000, 0), 0);
  assert.deepEqual([steps, refusals, others.settled], [[], [hour], 1]);
  assert.equal(clock.refuses, false);
  others.votes = undefined;
  assert.equal(run(49_000, hour), 0, "the next step has to last as long as any");
});

test("a refused step is followed once others show it, too", () => {
  const { clock, steps, others, run } = started();
  others.votes = -1;
  run(20_000, hour);
  others.votes = 0;
  assert.equal(run(22_000, hour), hour);
  assert.deepEqual([steps, others.settled, clock.refuses], [[hour], 1, false]);
});

test("another step than the refused one has to last as long as any", () => {
  const { steps, others, run } = started();
  others.votes = -1;
  run(20_000, hour);
  others.votes = 0;
  assert.equal(run(29_000, 2 * hour), 0);
  assert.equal(run(31_000, 2 * hour), 2 * hour);
  assert.deepEqual(steps, [2 * hour]);
});

test("a refused step is not believed because the others are gone", () => {
  const { steps, others, run } = started();
  others.votes = -1;
  run(20_000, hour);
  others.votes = undefined;
  assert.equal(run(90_000, hour), 0);
  assert.deepEqual(steps, []);
});

test("a drift is made up for slowly, and time never runs backwards for it", () => {
  const { clock } = started();
  let before = 0;
  for (let ms = 0; ms <= 30_000; ms += 10) {
    const { wallMs } = clock.now(ms, start + ms - 200);
    assert.equal(wallMs >= before, true);
    before = wallMs;
  }
  assert.equal(Math.abs(before - (start + 30_000 - 200)) < 1, true);
});
