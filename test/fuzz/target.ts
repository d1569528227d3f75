import type { Prng } from "../../src/base/prng.ts";

/** Makes an input of another, maybe with parts of a third. */
export type Breed = (input: Uint8Array, other: Uint8Array, prng: Prng) => Buffer;

/** One parser of foreign octets, or a part of the product that has such parsers in it. */
export interface FuzzTarget {
  readonly name: string;
  /** In one line: whose octets these are, and what must hold. */
  readonly about: string;
  /** What an input has at most. */
  readonly bytesMax: number;
  /** So many inputs are tried by `npm test`: about a second's worth at most. */
  readonly executions: number;
  /** Valid inputs, made by the real encoders, from which others are bred. */
  corpus(): Uint8Array[];
  /** For inputs with an inner order, beside changes that know nothing of it. */
  breed?(input: Uint8Array, other: Uint8Array, prng: Prng, anyhow: Breed): Buffer;
  /**
   * Throws when something does not hold. Returns what the input made happen ("refused: too short",
   * "a frame of kind 5"): one that makes something new happen joins the corpus.
   */
  run(input: Buffer): Features | Promise<Features>;
}

/** What tries an input again, up to its hex digits. */
export function replayCommand({ name }: FuzzTarget): string {
  return `npm run fuzz -- ${name} --replay `;
}

export type Features = readonly string[];

/** Sizes as features: 0, 1, 2 to 3, 4 to 7 and so on. */
export function sized(what: string, size: number): string {
  return `${what} ${size <= 0 ? 0 : 2 ** Math.floor(Math.log2(size))}`;
}

/** Counters as features: each that is not zero, by its size. */
export function counted(counters: object, prefix = ""): string[] {
  return Object.entries(counters).flatMap(([name, value]) => {
    if (typeof value === "object" && value !== null) return counted(value, `${prefix}${name}.`);
    return typeof value === "number" && value > 0 ? [sized(prefix + name, value)] : [];
  });
}
