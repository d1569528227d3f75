import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { drawOptions } from "./options.ts";

const main = fileURLToPath(new URL("main.js", import.meta.url));

test("the options of a seed are shown before it runs, since it may hang", () => {
  const words = [main, "--seed", "1", "--nodes", "1", "--trace"];
  const output = execFileSync(process.execPath, words, { encoding: "utf8" });
  const options = JSON.stringify(drawOptions(1, { nodes: 1 }), null, 2);
  assert(output.startsWith(`${options}\n`), output.slice(0, 200));
  assert.equal(output.split('"profile"').length, 2, "and once");
  assert.match(output, /^seed 1 .*\nPASSED 1 from seed 1\n$/m);
});
