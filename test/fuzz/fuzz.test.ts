/**
 * A bounded part of what `npm run fuzz` does without end: a fixed number of inputs from a fixed
 * seed, so that every run of the tests tries the same ones; and all that was ever found, again.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fuzz } from "./fuzzer.ts";
import { HangWatch } from "./hang-watch.ts";
import { replayCommand } from "./target.ts";
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
    const watch = new HangWatch(target, target.bytesMax);
    const trying = (input: Buffer) => watch.trying(input);
    const campaign = fuzz(target, { seed, trying, isOver }).finally(() => watch.end());
    const { executions, features, find } = await campaign;
    if (find !== undefined) {
      const command = replayCommand(target) + find.input.toString("hex");
      throw new Error(`it does not hold; ${command}`, { cause: find.error });
    }
    assert.equal(executions, target.executions);
    assert(features > 1, "inputs of one kind only prove nothing");
  });
}

for (const [index, { target: name, fact, hex }] of oldFinds.entries()) {
  test(`find ${index + 1}, ${name}: ${fact}`, async () => {
    const target = targets.find((known) => known.name === name);
    assert(target !== undefined, `there is no target ${name}`);
    const input = Buffer.from(hex, "hex");
    const watch = new HangWatch(target, input.length);
    watch.trying(input);
    try {
      await target.run(input);
    } finally {
      await watch.end();
    }
  });
}
