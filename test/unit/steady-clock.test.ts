import { strict as assert } from "node:assert";
import { test } from "node:test";
import { SteadyClock } from "../../src/net/steady-clock.ts";

const start = 1_800_000_000_000;
const hour = 3_600_000;

function started() {
  const steps: number[] = [];
  return { clock: new SteadyClock(0, start, (byMs) => steps.push(byMs)), steps };
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
  const { clock, steps } = started();
  for (let ms = 0; ms <= 12_000; ms += 10) clock.now(ms, start + ms + hour);
  assert.equal(clock.now(12_010, start + 12_010 + hour).wallMs, start + 12_010 + hour);
  assert.deepEqual(steps, [hour]);
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
