import type { TrieRange } from "../../protocol/frames.ts";

/** The trie is cut at this level for a join: into 256 ranges. */
const cutLevel = 2;
export const joinRangeCount = 16 ** cutLevel;

/**
 * Ranges of the trie that are to be pulled, by whoever has them. What is under way is neither here
 * nor done: it comes back when its transfer fails, and counts as done when it completes.
 */
export class RangeQueue {
  readonly #waiting: TrieRange[];
  #underWay = 0;

  constructor(ranges: readonly TrieRange[]) {
    this.#waiting = [...ranges];
  }

  /** The whole trie, beginning at some range. */
  static ofWholeTrie(first: number): RangeQueue {
    const ranges = Array.from({ length: joinRangeCount }, (_, index) => ({
      level: cutLevel,
      prefix: (first + index) % joinRangeCount,
    }));
    return new RangeQueue(ranges);
  }

  /** Takes up to so many out, to be pulled. */
  take(count: number): TrieRange[] {
    const taken = this.#waiting.splice(0, count);
    this.#underWay += taken.length;
    return taken;
  }

  /** What became of ranges that were taken. */
  ended(ranges: readonly TrieRange[], completed: boolean): void {
    this.#underWay -= ranges.length;
    if (!completed) this.#waiting.push(...ranges);
  }

  /** A queue of its own with what waits here. */
  copy(): RangeQueue {
    return new RangeQueue(this.#waiting);
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get hasUnderWay(): boolean {
    return this.#underWay > 0;
  }

  get isDone(): boolean {
    return !this.hasWaiting && !this.hasUnderWay;
  }
}
