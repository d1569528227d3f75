/**
 * Tries inputs on the parsers of foreign octets:
 *
 *     npm run fuzz -- --list                                  which targets there are
 *     npm run fuzz -- <target> [--seconds 60] [--seed 1]      until stopped, or for so long
 *     npm run fuzz -- <target> --replay <hex>                 one input again
 *
 * `all` in place of a target takes each in turn, for a minute if nothing else is said. Prints the
 * seed, how many inputs were tried and how fast; the exit code is 1 after a find.
 */
import { parseArgs } from "node:util";
import { type Find, fuzz, type Outcome } from "./fuzzer.ts";
import { HangWatch } from "./hang-watch.ts";
import { type FuzzTarget, replayCommand } from "./target.ts";
import { targets } from "./targets.ts";

interface Wishes {
  readonly seconds: number;
  readonly seed: number;
}

const statusEveryMs = 10_000;
/** Of an error: one that shows a difference of long octets fills the screen. */
const toldCharactersMax = 4_000;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function run(target: FuzzTarget, { seconds, seed }: Wishes): Promise<Outcome> {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  let statusMs = startMs + statusEveryMs;
  const watch = new HangWatch(target, target.bytesMax);
  let last: Buffer = Buffer.alloc(0);
  process.removeAllListeners("uncaughtException");
  // Thrown where nobody waits for it, as in the handler of a socket.
  process.once("uncaughtException", (error) => {
    describe(target, { target: target.name, input: last, error }, seed);
    process.exit(1);
  });
  const status = (executions: number) => {
    const perSecond = Math.round((executions * 1_000) / (performance.now() - startMs));
    return `${target.name}: seed ${seed}, ${executions} executions, ${perSecond}/s`;
  };
  const outcome = await fuzz(target, {
    seed,
    trying(input) {
      last = input;
      watch.trying(input);
    },
    isOver(executions) {
      const nowMs = performance.now();
      if (nowMs >= statusMs) {
        statusMs = nowMs + statusEveryMs;
        print(status(executions));
      }
      return nowMs >= endMs;
    },
  });
  await watch.end();
  const { executions, corpusSize, features, find } = outcome;
  print(`${status(executions)}, ${features} features, corpus of ${corpusSize}`);
  if (find !== undefined) describe(target, find, seed);
  return outcome;
}

function describe(target: FuzzTarget, { input, error }: Find, seed: number): void {
  const told = String(error instanceof Error ? error.stack : error);
  print(`FIND in ${target.name}, seed ${seed}: ${told.slice(0, toldCharactersMax)}`);
  print(`input: ${input.length} octets: ${input.toString("hex")}`);
  print(`replay: ${replayCommand(target)}${input.toString("hex")}`);
}

async function replay(target: FuzzTarget, hex: string): Promise<number> {
  const input = Buffer.from(hex, "hex");
  const watch = new HangWatch(target, input.length);
  watch.trying(input);
  try {
    print(`holds: ${(await target.run(Buffer.from(input))).join(", ")}`);
    return 0;
  } catch (error) {
    describe(target, { target: target.name, input, error }, 0);
    return 1;
  } finally {
    await watch.end();
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: "boolean", default: false },
      seconds: { type: "string" },
      seed: { type: "string", default: "1" },
      replay: { type: "string" },
    },
  });
  const [name] = positionals;
  const chosen = name === "all" ? targets : targets.filter((target) => target.name === name);
  const [first] = chosen;
  if (values.list || first === undefined) {
    for (const { name: known, about } of targets) print(`${known.padEnd(14)} ${about}`);
    return values.list ? 0 : 2;
  }
  if (values.replay !== undefined) return await replay(first, values.replay);
  const endless = chosen.length > 1 ? 60 : Number.POSITIVE_INFINITY;
  const seconds = values.seconds === undefined ? endless : Number(values.seconds);
  let finds = 0;
  for (const target of chosen) {
    const { find } = await run(target, { seconds, seed: Number(values.seed) });
    if (find !== undefined) finds += 1;
  }
  return finds > 0 ? 1 : 0;
}

process.exitCode = await main();
