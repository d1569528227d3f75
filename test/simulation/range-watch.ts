import { leafCount, leavesOf, recordLevel } from "../../src/core/store/digest-trie.ts";
import { type Frame, Tag, type TrieRange } from "../../src/protocol/frames.ts";

interface Transfer {
  readonly ranges: readonly TrieRange[];
  readonly arrived: Set<number>;
  lastIndex: number;
}

/**
 * Listens to what one start of a node pulls, and knows which part of the trie it has been given
 * wholly: by transfers of which each chunk has arrived.
 */
export class RangeWatch {
  readonly #transfers = new Map<number, Transfer>();
  readonly #given = new Uint8Array(leafCount);

  sent(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (frame.tag !== Tag.want || this.#transfers.has(frame.transfer)) continue;
      const { ranges } = frame;
      const lastIndex = Number.POSITIVE_INFINITY;
      this.#transfers.set(frame.transfer, { ranges, arrived: new Set(), lastIndex });
    }
  }

  received(frames: readonly Frame[]): void {
    for (const frame of frames) {
      const transfer = frame.tag === Tag.chunk ? this.#transfers.get(frame.transfer) : undefined;
      if (frame.tag !== Tag.chunk || transfer === undefined) continue;
      transfer.arrived.add(frame.index);
      if (frame.last) transfer.lastIndex = frame.index;
      if (transfer.arrived.size <= transfer.lastIndex) continue;
      this.#transfers.delete(frame.transfer);
      for (const range of transfer.ranges) this.#give(range);
    }
  }

  /** Whether all of the trie has been given. */
  get isWhole(): boolean {
    return this.#given.every((given) => given === 1);
  }

  #give(range: TrieRange): void {
    if (range.level === recordLevel) return;
    const { first, end } = leavesOf(range);
    this.#given.fill(1, first, end);
  }
}
