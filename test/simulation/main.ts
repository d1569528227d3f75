/**
 * Simulates whole clusters, one after the other, each from its seed:
 *
 *     npm run sim -- --seed 17 [--trace]       one run
 *     npm run sim -- --runs 1000 [--from 1]    seeds 1 to 1000
 *
 * `--nodes K` overrides the number of nodes; `--keep-going` runs on after a failure; `--json`
 * prints one line a run. The exit code names the first failure: 127 something was thrown, 128 no
 * convergence, 129 a broken invariant.
 */
import { parseArgs } from "node:util";
import { drawOptions, type SimulationOptions } from "./options.ts";
import { type Outcome, runSeed } from "./run.ts";
import { exitCodes } from "./violation.ts";

function parse() {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      runs: { type: "string", default: "1" },
      from: { type: "string", default: "1" },
      nodes: { type: "string" },
      trace: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      "keep-going": { type: "boolean", default: false },
    },
  });
  return {
    first: whole(values.seed ?? values.from, "seed"),
    runs: values.seed === undefined ? whole(values.runs, "runs") : 1,
    nodes: values.nodes === undefined ? undefined : whole(values.nodes, "nodes"),
    single: values.seed !== undefined,
    trace: values.trace,
    json: values.json,
    keepGoing: values["keep-going"],
  };
}

function whole(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name}: not a number above 0`);
  return value;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function showOptions(options: SimulationOptions): string {
  return JSON.stringify(options, null, 2);
}

function status({ options, failure, hash, simulatedMs, datagrams, statistics }: Outcome): string {
  const result = failure === undefined ? "ok" : `${failure.rule}: ${failure.detail}`;
  const { operations, convergedMs } = statistics;
  return [
    `seed ${options.seed} ${options.profile}`,
    `${options.nodes} nodes`,
    `${(simulatedMs / 1_000).toFixed(1)} s`,
    `${operations} requests`,
    `${datagrams} datagrams`,
    `healed in ${(convergedMs / 1_000).toFixed(1)} s`,
    hash,
    result,
  ].join("  ");
}

function main(): number {
  const wishes = parse();
  let code = 0;
  let failed: Outcome | undefined;
  for (let run = 0; run < wishes.runs; run++) {
    const seed = wishes.first + run;
    const write = wishes.trace ? (line: string) => process.stdout.write(line) : undefined;
    // Before the run, as one that hangs would never show them.
    if (wishes.single && !wishes.json) print(showOptions(drawOptions(seed, wishes)));
    const outcome = runSeed(seed, wishes, write);
    const { options, failure } = outcome;
    if (wishes.json) print(JSON.stringify(outcome));
    else {
      if (!wishes.single && failure !== undefined) print(showOptions(options));
      print(status(outcome));
    }
    if (failure === undefined) continue;
    failed ??= outcome;
    code = code === 0 ? exitCodes[failure.kind] : code;
    if (!wishes.keepGoing) break;
  }
  if (wishes.json) return code;
  if (failed === undefined) print(`PASSED ${wishes.runs} from seed ${wishes.first}`);
  else print(`FAILED seed ${failed.options.seed}: ${failed.failure?.rule}`);
  return code;
}

process.exitCode = main();
