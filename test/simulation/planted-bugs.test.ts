import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { plantedBugs } from "./planted-bugs.ts";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

test("each planted bug fits the code in exactly one place", () => {
  for (const { name, file, find } of plantedBugs) {
    const places = readFileSync(join(dist, "src", file), "utf8").split(find).length - 1;
    assert.equal(places, 1, `${name}: in ${file}`);
  }
});

test("each planted bug has a name of its own", () => {
  const names = new Set(plantedBugs.map(({ name }) => name));
  assert.equal(names.size, plantedBugs.length);
});
