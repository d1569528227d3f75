import { assert } from "../../base/assert.ts";
import type { TrieRange } from "../../protocol/frames.ts";
import type { Hash64 } from "../../session/fingerprint.ts";

/** Leaves have this level; level 0 is the root. */
export const leafLevel = 4;
export const leafCount = 16 ** leafLevel;
/** Below a leaf are its records, by four further hex digits of the hashed id. */
export const recordLevel = 8;

/** Index of each level's first node in one flat array. */
const levelOffsets = [0, 1, 17, 273, 4369] as const;
const nodeCount = 69_905;

/**
 * What this node knows, as a tree of XOR sums over record fingerprints: radix 16, five levels, by
 * the first hex digits of the hashed session id. Two nodes that compare roots, then the children of
 * those that differ, find what differs at a cost that follows the difference and not the number of
 * sessions (Merkle 1987; the incrementally kept XOR sums are Riak's TicTac trees).
 */
export class DigestTrie {
  readonly #high = new Int32Array(nodeCount);
  readonly #low = new Int32Array(nodeCount);

  /** Adds a fingerprint that was absent, or removes one that was present: XOR does both. */
  toggle(leaf: number, fingerprint: Hash64): void {
    assert(leaf >= 0 && leaf < leafCount, "a leaf number is in range");
    for (let level = leafLevel; level >= 0; level--) {
      const node = (levelOffsets[level] as number) + (leaf >>> (4 * (leafLevel - level)));
      this.#high[node] = (this.#high[node] as number) ^ fingerprint.high;
      this.#low[node] = (this.#low[node] as number) ^ fingerprint.low;
    }
  }

  get root(): Hash64 {
    return { high: this.#high[0] as number, low: this.#low[0] as number };
  }

  /** The hashes of a node's 16 children: high, low, high, low, … */
  children(level: number, prefix: number): number[] {
    assert(level < leafLevel, "leaves have no children");
    const first = (levelOffsets[level + 1] as number) + prefix * 16;
    const halves: number[] = [];
    for (let node = first; node < first + 16; node++) {
      halves.push(this.#high[node] as number, this.#low[node] as number);
    }
    return halves;
  }
}

/** The leaves below a node, or the leaf of a record, as [first, end). */
export function leavesOf(range: TrieRange): { readonly first: number; readonly end: number } {
  if (range.level === recordLevel) {
    const leaf = range.prefix >>> 16;
    return { first: leaf, end: leaf + 1 };
  }
  const width = 16 ** (leafLevel - range.level);
  return { first: range.prefix * width, end: (range.prefix + 1) * width };
}

/** Whether a record in one of the leaves of a range is in the range itself. */
export function isWithin(range: TrieRange, idHash: Hash64): boolean {
  return range.level !== recordLevel || idHash.high >>> 0 === range.prefix;
}
