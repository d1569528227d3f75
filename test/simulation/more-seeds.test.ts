import { test } from "node:test";
import { demandPassed } from "./demand-passed.ts";
import { runSeed } from "./run.ts";

/** The second half; in a file of its own, as files run beside each other and have their time. */
const [first, last] = [161, 320];

test(`clusters of the seeds ${first} to ${last} come through chaos to rest`, () => {
  for (let seed = first; seed <= last; seed++) demandPassed(runSeed(seed));
});
