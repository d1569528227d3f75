/**
 * A bounded part of what `npm run fuzz` does without end: a fixed number of inputs from a fixed
 * seed, so that every run of the tests tries the same ones; and all that was ever found, again.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fuzz } from "./fuzzer.ts";
import { targets } from "./targets.ts";

interface OldFind {
  readonly target: string;
  /** What went wrong, before it was mended. */
  readonly fact: string;
  readonly hex: string;
}

const path = join(process.cwd(), "test", "fuzz", "finds.json");
const oldFinds = JSON.parse(readFileSync(path, "utf8")) as readonly OldFind[];
const seed = 20_260_101;

for (const target of targets) {
  test(`${target.name}: ${target.about}`, async () => {
    const isOver = (executions: number) => executions >= target.executions;
    const { executions, features, find } = await fuzz(target, { seed, isOver });
    if (find !== undefined) {
      const hint = `npm run fuzz -- ${target.name} --replay ${find.input.toString("hex")}`;
      throw new Error(`it does not hold; ${hint}`, { cause: find.error });
    }
    assert.equal(executions, target.executions);
    assert(features > 1, "inputs of one kind only prove nothing");
  });
}

for (const [index, { target: name, fact, hex }] of oldFinds.entries()) {
  test(`find ${index + 1}, ${name}: ${fact}`, async () => {
    const target = targets.find((known) => known.name === name);
    assert(target !== undefined, `there is no target ${name}`);
    await target.run(Buffer.from(hex, "hex"));
  });
}
