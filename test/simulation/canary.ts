/**
 * Shows that the simulator has teeth: each planted bug is put into a copy of the compiled core, and
 * seeds are run on it until one fails, or a test that it names. One that survives is a hole in the
 * simulator.
 *
 *     npm run sim:canary [-- --runs 1000] [--only text]
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type PlantedBug, plantedBugs } from "./planted-bugs.ts";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const repository = join(dist, "..");
const outputBytesMax = 1 << 28;
/** One run takes a fraction of a second; a bug may make it hang instead. */
const runMsMax = 2_000;

interface Verdict {
  readonly caught: boolean;
  readonly text: string;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A copy of what the simulator needs, to be changed at will. */
function makeCopy(): string {
  const folder = mkdtempSync(join(tmpdir(), "sessioncast-canary-"));
  mkdirSync(join(folder, "test"));
  for (const part of ["src", join("test", "simulation"), join("test", "support")]) {
    cpSync(join(dist, part), join(folder, part), { recursive: true });
  }
  cpSync(join(repository, "package.json"), join(folder, "package.json"));
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Undefined: the bug does not fit the code any more, and the catalogue has to follow. */
function plant(text: string, { find, replace }: PlantedBug): string | undefined {
  return text.split(find).length === 2 ? text.replace(find, () => replace) : undefined;
}

function simulate(folder: string, runs: number): Verdict {
  const main = join(folder, "test", "simulation", "main.js");
  const result = spawnSync(process.execPath, [main, "--runs", String(runs), "--json"], {
    encoding: "utf8",
    maxBuffer: outputBytesMax,
    timeout: runs * runMsMax,
  });
  const lines = result.stdout.trim().split("\n");
  const last = lines.at(-1) ?? "";
  if (result.status === 0) return { caught: false, text: `survived ${lines.length} seeds` };
  if (!last.startsWith("{")) return { caught: true, text: `died: ${result.stderr.slice(0, 200)}` };
  const { options, failure } = JSON.parse(last) as {
    options: { seed: number };
    failure?: { rule: string };
  };
  if (failure === undefined) return { caught: true, text: `hung after seed ${options.seed}` };
  return { caught: true, text: `seed ${options.seed}: ${failure.rule}` };
}

/** A test beside the simulator: its file has to fail. */
function runTest(folder: string, name: string): Verdict {
  const path = join(folder, "test", "simulation", `${name}.test.js`);
  const result = spawnSync(process.execPath, ["--test", path], { encoding: "utf8" });
  if (result.status === 0) return { caught: false, text: `survived the tests on ${name}` };
  return { caught: true, text: `the tests on ${name}` };
}

function tryBug(bug: PlantedBug, runs: number): boolean {
  const folder = makeCopy();
  try {
    const path = join(folder, "src", bug.file);
    const planted = plant(readFileSync(path, "utf8"), bug);
    if (planted === undefined) {
      print(`UNFIT     ${bug.name}: not exactly one place in ${bug.file}`);
      return false;
    }
    writeFileSync(path, planted);
    const { test } = bug;
    const { caught, text } = test === undefined ? simulate(folder, runs) : runTest(folder, test);
    print(`${caught ? "caught  " : "SURVIVED"}  ${bug.name}: ${text}`);
    if (!caught) print(`          ${bug.why}`);
    return caught;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Without any bug the same seeds must pass, or being caught would mean nothing. */
function tryNone(runs: number): boolean {
  const { caught, text } = simulate(dist, runs);
  print(`${caught ? "FAILED  " : "passed  "}  no bug: ${text}`);
  return !caught;
}

function main(): number {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "1000" },
      only: { type: "string", default: "" },
    },
  });
  const runs = Number(values.runs);
  const chosen = plantedBugs.filter(({ name }) => name.includes(values.only));
  let survivors = values.only === "" && !tryNone(runs) ? 1 : 0;
  for (const bug of chosen) if (!tryBug(bug, runs)) survivors += 1;
  print(`${chosen.length} planted bugs, ${survivors === 0 ? "all caught" : `${survivors} not`}`);
  return survivors === 0 ? 0 : 1;
}

process.exitCode = main();
