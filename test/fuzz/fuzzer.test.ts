/** That the fuzzer finds what is hidden, always the same, and knows which inputs are news. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { fuzz } from "./fuzzer.ts";
import { Mutator } from "./mutator.ts";
import { breedSections, joinSections, splitSections } from "./sections.ts";
import type { FuzzTarget } from "./target.ts";

/** A parser of `kind, length, octets` with faults planted behind one another. */
function toy(fault: (input: Buffer) => boolean, features: (input: Buffer) => string[]): FuzzTarget {
  return {
    name: "toy",
    about: "a parser with a fault",
    bytesMax: 64,
    executions: 0,
    corpus: () => [Buffer.from([1, 3, 10, 20, 30])],
    run(input) {
      if (fault(input)) throw new Error("found");
      return features(input);
    },
  };
}

const budget = 100_000;
const isOver = (executions: number) => executions >= budget;

/** Three right octets in a row: one step at a time, or all at once by a rare chance. */
const door = [0xa7, 0x3c, 0x91];
const stepsOf = (input: Buffer) => {
  const wrong = door.findIndex((octet, index) => input[index] !== octet);
  return wrong < 0 ? door.length : wrong;
};

test("a length beyond the octets that are there is found soon", async () => {
  const overrun = toy(
    (input) => input.length > 2 && (input[1] ?? 0) > 0x7f,
    () => [],
  );
  const { find, executions } = await fuzz(overrun, { seed: 1, isOver });
  assert(find !== undefined && executions < 2_000, `${executions}`);
  assert.throws(() => overrun.run(find.input), /found/);
});

test("what lies behind several steps is found since each step is kept", async () => {
  const isOpen = (input: Buffer) => stepsOf(input) === door.length;
  const guided = toy(isOpen, (input) => [`step ${stepsOf(input)}`]);
  const { find, corpusSize, features } = await fuzz(guided, { seed: 1, isOver });
  assert(find !== undefined);
  assert.deepEqual([corpusSize, features], [door.length, door.length]);
  const blind = await fuzz(
    toy(isOpen, () => []),
    { seed: 1, isOver },
  );
  assert.equal(blind.find, undefined, "without such hints it is not");
});

test("one seed gives one campaign, and another another", async () => {
  const tried = async (seed: number) => {
    const inputs: string[] = [];
    const open = toy(
      () => false,
      (input) => [`${input.length}`],
    );
    await fuzz(open, {
      seed,
      isOver: (executions) => executions >= 500,
      trying: (input) => inputs.push(input.toString("hex")),
    });
    return inputs.join();
  };
  assert.equal(await tried(5), await tried(5));
  assert.notEqual(await tried(5), await tried(6));
});

test("a find is also what is thrown later, and what is in the corpus itself", async () => {
  const later: FuzzTarget = {
    ...toy(
      () => false,
      () => [],
    ),
    run: () => Promise.reject(new Error("later")),
  };
  const { find, executions } = await fuzz(later, { seed: 1, isOver });
  assert.equal(executions, 1);
  assert.deepEqual(find?.input, Buffer.from([1, 3, 10, 20, 30]));
});

test("inputs stay within their size and all changes come up", () => {
  const mutator = new Mutator(new Prng(3), 40);
  const [input, other] = [Buffer.alloc(30, 1), Buffer.alloc(40, 2)];
  const lengths = new Set<number>();
  const octets = new Set<number>();
  for (let round = 0; round < 5_000; round++) {
    const bred = mutator.mutate(input, other);
    assert(bred.length <= 40);
    lengths.add(bred.length);
    for (const octet of bred) octets.add(octet);
  }
  assert.equal(lengths.size, 41);
  assert(octets.size > 250);
  assert.deepEqual(input, Buffer.alloc(30, 1), "the parent is as it was");
});

test("sections are bred so that their lengths are right", () => {
  const sections = [
    { kind: 5, body: Buffer.from("abc") },
    { kind: 7, body: Buffer.alloc(0) },
  ];
  const joined = joinSections(sections);
  assert.deepEqual(splitSections(joined), sections);
  assert.deepEqual(splitSections(joined.subarray(0, 5)), [{ kind: 5, body: Buffer.from("ab") }]);
  const prng = new Prng(1);
  for (let round = 0; round < 1_000; round++) {
    const bred = breedSections(joined, joined, prng, () => (body) => Buffer.concat([body, body]));
    assert.deepEqual(joinSections(splitSections(bred)), bred);
  }
});
