import { Prng } from "../../src/base/prng.ts";

/**
 * A generator of its own for each concern (one fault, the workload, one node), so that a new draw
 * in one does not shift the others: a seed that once failed keeps most of its meaning.
 */
export function prngFor(seed: number, concern: string): Prng {
  let mixed = (seed ^ Math.imul(Math.floor(seed / 4_294_967_296), 0x27d4eb2f)) | 0;
  for (let index = 0; index < concern.length; index++) {
    mixed = Math.imul(mixed ^ concern.charCodeAt(index), 0x01000193);
    mixed ^= mixed >>> 15;
  }
  return new Prng(mixed);
}

/** A number in [low, high). */
export function between(prng: Prng, low: number, high: number): number {
  return low + prng.fraction() * (high - low);
}

/** An integer in [low, high]. */
export function integer(prng: Prng, low: number, high: number): number {
  return low + prng.below(high - low + 1);
}

/** A number between the two, where each order of magnitude is as likely as the next. */
export function scaled(prng: Prng, low: number, high: number): number {
  return low * (high / low) ** prng.fraction();
}

/** A waiting time without memory. */
export function exponential(prng: Prng, mean: number): number {
  return -mean * Math.log(1 - prng.fraction());
}

/** One of a list that is known not to be empty. */
export function oneOf<T>(prng: Prng, items: readonly T[]): T {
  return items[prng.below(items.length)] as T;
}
