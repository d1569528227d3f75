import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Outcome, runSeed } from "./run.ts";

/** A part of the seeds of `npm test`: files run beside each other, and each has its time. */
export function testSeeds(first: number, last: number): void {
  test(`clusters of the seeds ${first} to ${last} come through chaos to rest`, () => {
    for (let seed = first; seed <= last; seed++) demandPassed(runSeed(seed));
  });
}

/** Fails with the rule that was broken, and how to see it again. */
export function demandPassed({ options, failure }: Outcome): void {
  if (failure === undefined) return;
  const replay = `node dist/test/simulation/main.js --seed ${options.seed}`;
  assert.fail(`${failure.rule}: ${failure.detail}\nreplay: ${replay}`);
}
