import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { demandPassed } from "./demand-passed.ts";
import { runSeed } from "./run.ts";

/** A seed that once failed, and what it showed. */
interface Regression {
  readonly seed: number;
  readonly showed: string;
}

const compiled = dirname(fileURLToPath(import.meta.url));
const path = join(compiled, "..", "..", "..", "test", "simulation", "regressions.json");
const regressions = JSON.parse(readFileSync(path, "utf8")) as Regression[];

/** Every second one: two files run beside each other, and each has its time. */
export function testRegressions(half: 0 | 1): void {
  for (const [index, { seed, showed }] of regressions.entries()) {
    if (index % 2 !== half) continue;
    test(`seed ${seed} once showed: ${showed}`, () => demandPassed(runSeed(seed)));
  }
}
