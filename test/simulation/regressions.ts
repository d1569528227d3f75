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
  /** Of many nodes: it takes as long as all the others. */
  readonly large?: boolean;
}

const compiled = dirname(fileURLToPath(import.meta.url));
const path = join(compiled, "..", "..", "..", "test", "simulation", "regressions.json");
const regressions = JSON.parse(readFileSync(path, "utf8")) as Regression[];

/** Files run beside each other, and each has its time. */
export function testRegressions(part: "large" | "others"): void {
  for (const { seed, showed, large = false } of regressions) {
    if (large !== (part === "large")) continue;
    test(`seed ${seed} once showed: ${showed}`, () => demandPassed(runSeed(seed)));
  }
}
