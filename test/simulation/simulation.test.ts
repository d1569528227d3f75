import { strict as assert } from "node:assert";
import { test } from "node:test";
import { testSeeds } from "./demand-passed.ts";
import { runSeed } from "./run.ts";

const replayedTwice = [2, 8, 19, 36, 42];

testSeeds(1, 110);

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
