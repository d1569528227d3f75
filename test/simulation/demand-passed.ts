import { strict as assert } from "node:assert";
import type { Outcome } from "./run.ts";

/** Fails with the rule that was broken, and how to see it again. */
export function demandPassed({ options, failure }: Outcome): void {
  if (failure === undefined) return;
  const replay = `node dist/test/simulation/main.js --seed ${options.seed}`;
  assert.fail(`${failure.rule}: ${failure.detail}\nreplay: ${replay}`);
}
