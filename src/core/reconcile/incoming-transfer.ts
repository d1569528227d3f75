import { type Chunk, type Credit, Tag, type TrieRange } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Peer } from "../membership/peer.ts";
import { BlockAssembler, type TransferBlock } from "./block-assembler.ts";

/**
 * `surplus`: it has come before, or was not credited. The blocks are views that are valid until the
 * next chunk is added.
 */
export type Progress =
  | { readonly state: "running"; readonly blocks: readonly TransferBlock[] }
  | { readonly state: "done"; readonly blocks: readonly TransferBlock[] }
  | { readonly state: "surplus" }
  | { readonly state: "broken" };

/**
 * The receiver's side of a transfer. It paces the donor with credits: one for every few chunks, and
 * one whenever chunks stop coming, which also tells the donor what was lost.
 */
export class IncomingTransfer {
  readonly id: number;
  readonly peer: Peer;
  readonly ranges: readonly TrieRange[];
  /** When the donor was first asked: it gives no state older than that. */
  readonly beganMs: number;
  /** Records of this transfer that changed something here. */
  changes = 0;
  /** Records that this node did not look at, for want of room or since their clock is ahead. */
  skipped = 0;
  readonly #assembler = new BlockAssembler();
  readonly #waiting = new Map<number, Uint8Array>();
  #next = 0;
  #highest = -1;
  #lastIndex = Number.POSITIVE_INFINITY;
  #sinceCredit = 0;
  #creditDueMs: number;
  #progressMs: number;

  constructor(id: number, peer: Peer, ranges: readonly TrieRange[], nowMs: number) {
    this.id = id;
    this.peer = peer;
    this.ranges = ranges;
    this.beganMs = nowMs;
    this.#creditDueMs = nowMs + limits.transferCreditMs;
    this.#progressMs = nowMs;
  }

  add(chunk: Chunk, nowMs: number): Progress {
    const outside = chunk.index >= this.#next + limits.transferWindowChunks;
    if (outside || chunk.index < this.#next || this.#waiting.has(chunk.index)) {
      return { state: "surplus" };
    }
    if (chunk.last) this.#lastIndex = chunk.index;
    this.#highest = Math.max(this.#highest, chunk.index);
    this.#progressMs = nowMs;
    this.#sinceCredit += 1;
    this.#creditDueMs = nowMs + limits.transferCreditMs;
    if (chunk.index === this.#next) return this.#advance(chunk.bytes);
    // Copied: the chunk is a view into its datagram. Not by slice(), which in a Buffer makes
    // another view.
    this.#waiting.set(chunk.index, new Uint8Array(chunk.bytes));
    return { state: "running", blocks: [] };
  }

  /** Whether a credit is due by count; by time it is due at `dueMs`. */
  get creditDue(): boolean {
    return this.#sinceCredit >= limits.transferCreditEveryChunks;
  }

  /** Chunks that wait for one before them. */
  get ahead(): number {
    return this.#waiting.size;
  }

  get started(): boolean {
    return this.#highest >= 0;
  }

  get dueMs(): number {
    return this.#creditDueMs;
  }

  silentMs(nowMs: number): number {
    return nowMs - this.#progressMs;
  }

  /** `window`: how far the donor may send beyond what has arrived in order. */
  credit(nowMs: number, window: number): Credit {
    this.#sinceCredit = 0;
    this.#creditDueMs = nowMs + limits.transferCreditMs;
    const missing: number[] = [];
    for (let index = this.#next; index < this.#highest; index++) {
      if (!this.#waiting.has(index)) missing.push(index);
    }
    return {
      tag: Tag.credit,
      transfer: this.id,
      next: this.#next,
      window,
      missing,
    };
  }

  /** The next piece has come, and maybe some that follow it have before. */
  #advance(next: Uint8Array): Progress {
    for (let piece: Uint8Array | undefined = next; piece !== undefined; ) {
      this.#assembler.feed(piece);
      this.#waiting.delete(this.#next);
      this.#next += 1;
      piece = this.#waiting.get(this.#next);
    }
    const blocks = this.#assembler.take();
    if (blocks === undefined) return { state: "broken" };
    if (this.#next <= this.#lastIndex) return { state: "running", blocks };
    return this.#assembler.empty ? { state: "done", blocks } : { state: "broken" };
  }
}

/** Tells a donor that this transfer is over, whether it succeeded or is not known here. */
export function endOfTransfer(id: number): Credit {
  return { tag: Tag.credit, transfer: id, next: 0, window: 0, missing: [] };
}
