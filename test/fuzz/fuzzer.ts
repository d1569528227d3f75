import { setImmediate as turn } from "node:timers/promises";
import { Prng } from "../../src/base/prng.ts";
import { Mutator } from "./mutator.ts";
import type { Breed, FuzzTarget } from "./target.ts";

export interface Campaign {
  readonly seed: number;
  /** Asked after each execution, with how many there have been. */
  isOver(executions: number): boolean;
  /** Told of each input before it is tried, for whoever watches for one that never ends. */
  trying?(input: Buffer): void;
}

export interface Find {
  readonly target: string;
  readonly input: Buffer;
  readonly error: unknown;
}

export interface Outcome {
  readonly executions: number;
  readonly corpusSize: number;
  readonly features: number;
  readonly find: Find | undefined;
}

const corpusMax = 4_096;
/** What a target leaves for later is done, or throws, after so many inputs. */
const executionsPerTurn = 64;

/**
 * Tries inputs bred from the target's corpus until the campaign is over or something does not hold.
 * Inputs that make something new happen are bred from as well: a cheap stand-in for coverage. The
 * same seed and target give the same inputs.
 */
export async function fuzz(target: FuzzTarget, campaign: Campaign): Promise<Outcome> {
  const prng = new Prng(campaign.seed);
  const mutator = new Mutator(prng, target.bytesMax);
  const corpus = target.corpus().map((input) => Buffer.from(input).subarray(0, target.bytesMax));
  const features = new Set<string>();
  const seeds = corpus.length;
  let executions = 0;
  let find: Find | undefined;
  while (find === undefined && !campaign.isOver(executions)) {
    // What is in the corpus is tried itself first.
    const isSeed = executions < seeds;
    const input = isSeed ? corpus[executions] : breed(target, corpus, mutator, prng);
    if (input === undefined) break;
    executions += 1;
    campaign.trying?.(input);
    try {
      const found = target.run(Buffer.from(input));
      const isNew = isNews(features, found instanceof Promise ? await found : found);
      if (isNew && !isSeed) keep(corpus, seeds, input, prng);
    } catch (error) {
      find = { target: target.name, input, error };
    }
    if (executions % executionsPerTurn === 0) await turn();
  }
  return { executions, corpusSize: corpus.length, features: features.size, find };
}

function breed(
  target: FuzzTarget,
  corpus: readonly Buffer[],
  mutator: Mutator,
  prng: Prng,
): Buffer {
  // The latest half of the time: where one new thing happened another may be near.
  const recent = corpus.slice(-32);
  const parent = prng.pick(prng.chance(0.5) ? recent : corpus) ?? Buffer.alloc(0);
  const other = prng.pick(corpus) ?? parent;
  const anyhow: Breed = (input, donor) => mutator.mutate(input, donor);
  if (target.breed === undefined || prng.chance(0.25)) return anyhow(parent, other, prng);
  return target.breed(parent, other, prng, anyhow).subarray(0, target.bytesMax);
}

function isNews(known: Set<string>, features: readonly string[]): boolean {
  const before = known.size;
  for (const feature of features) known.add(feature);
  return known.size > before;
}

function keep(corpus: Buffer[], seeds: number, input: Buffer, prng: Prng): void {
  const isFull = corpus.length >= corpusMax;
  if (isFull) corpus[seeds + prng.below(corpus.length - seeds)] = input;
  else corpus.push(input);
}
