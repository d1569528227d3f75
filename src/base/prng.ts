/**
 * A seeded generator (sfc32 by Chris Doty-Humphrey). Chance is an input of the protocol core, so a
 * whole cluster replays from one seed. Not for secrets: keys and boot ids come from node:crypto.
 */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** One number is enough to replay; who must not be guessed gives all 96 bits. */
  constructor(seed: number | readonly [number, number, number]) {
    const [a, b, c] = typeof seed === "number" ? spread(seed) : seed;
    this.#a = a | 0;
    this.#b = b | 0;
    this.#c = c | 0;
    // The first outputs still resemble the seed; the author asks for a dozen rounds of mixing.
    for (let round = 0; round < 15; round++) this.uint32();
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** An integer in [0, 2^53). */
  uint53(): number {
    return this.uint32() * 2_097_152 + (this.uint32() >>> 11);
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.uint32() / 4_294_967_296;
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** True with the given probability (0 never, 1 always). */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One element, or undefined of an empty list. */
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }
}

function spread(seed: number): [number, number, number] {
  return [seed, Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b), Math.imul(seed ^ 0xc2b2ae35, 0x27d4eb2f)];
}
