import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Outcome, runSeed } from "./run.ts";

/** A seed that once failed, and what it showed. */
interface Regression {
  readonly seed: number;
  readonly showed: string;
}

const seeds = 320;
const replayedTwice = [2, 8, 19, 36, 42];

const compiled = dirname(fileURLToPath(import.meta.url));
const path = join(compiled, "..", "..", "..", "test", "simulation", "regressions.json");
const regressions = JSON.parse(readFileSync(path, "utf8")) as Regression[];

function demandPassed({ options, failure }: Outcome): void {
  if (failure === undefined) return;
  const replay = `node dist/test/simulation/main.js --seed ${options.seed}`;
  assert.fail(`${failure.rule}: ${failure.detail}\nreplay: ${replay}`);
}

test(`${seeds} clusters come through chaos to rest`, () => {
  for (let seed = 1; seed <= seeds; seed++) demandPassed(runSeed(seed));
});

test("a seed replays to the last datagram", () => {
  for (const seed of replayedTwice) {
    const [first, second] = [runSeed(seed), runSeed(seed)];
    assert.equal(second.hash, first.hash, `seed ${seed}`);
    assert.equal(second.datagrams, first.datagrams, `seed ${seed}`);
  }
});

test("different seeds leave different traces", () => {
  const hashes = new Set(replayedTwice.map((seed) => runSeed(seed).hash));
  assert.equal(hashes.size, replayedTwice.length);
});

for (const { seed, showed } of regressions) {
  test(`seed ${seed} once showed: ${showed}`, () => demandPassed(runSeed(seed)));
}
