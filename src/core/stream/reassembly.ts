import type { Fragment } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";

interface Partial {
  readonly pieces: (Uint8Array | undefined)[];
  missing: number;
  bytes: number;
  progressMs: number;
}

/**
 * Puts one peer's fragmented blocks together again. Memory is bounded; a block that makes no
 * progress is dropped, and anti-entropy brings its content.
 */
export class Reassembly {
  readonly #partials = new Map<number, Partial>();
  #bytes = 0;
  #dropped = 0;
  /** The highest number of a block that was dropped. */
  #droppedUpTo = 0;

  /** The whole block when this was its last missing piece. */
  add(fragment: Fragment, nowMs: number): Uint8Array | undefined {
    const first = fragment.sequence - fragment.index;
    const partial = this.#partialOf(first, fragment.count, nowMs);
    if (partial === undefined || partial.pieces[fragment.index] !== undefined) return undefined;
    // Copied: the fragment is a view into a datagram whose memory would be kept whole. Not by
    // slice(), which in a Buffer makes another view.
    partial.pieces[fragment.index] = new Uint8Array(fragment.bytes);
    partial.missing -= 1;
    partial.bytes += fragment.bytes.length;
    partial.progressMs = nowMs;
    this.#bytes += fragment.bytes.length;
    if (partial.missing > 0) {
      this.#enforceBytes();
      return undefined;
    }
    this.#remove(first);
    return concatenate(partial);
  }

  /** Drops what has made no progress for too long. */
  sweep(nowMs: number): void {
    for (const [first, partial] of this.#partials) {
      if (nowMs - partial.progressMs < limits.reassemblyMs) continue;
      this.#drop(first);
    }
  }

  /** Whether no block that has a number in the range is incomplete or was dropped. */
  isWhole(first: number, last: number): boolean {
    if (first <= this.#droppedUpTo) return false;
    for (const [start, { pieces }] of this.#partials) {
      if (start <= last && start + pieces.length > first) return false;
    }
    return true;
  }

  get hasDropped(): boolean {
    return this.#dropped > 0;
  }

  /** Blocks dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Blocks of which a piece is missing. */
  get messages(): number {
    return this.#partials.size;
  }

  #partialOf(first: number, count: number, nowMs: number): Partial | undefined {
    const held = this.#partials.get(first);
    if (held !== undefined) return held.pieces.length === count ? held : undefined;
    if (this.#partials.size >= limits.reassemblyMessagesMax) this.#dropOldest();
    const pieces = new Array<Uint8Array | undefined>(count).fill(undefined);
    const partial = { pieces, missing: count, bytes: 0, progressMs: nowMs };
    this.#partials.set(first, partial);
    return partial;
  }

  #enforceBytes(): void {
    while (this.#bytes > limits.reassemblyBytesMax) this.#dropOldest();
  }

  #dropOldest(): void {
    const [oldest] = this.#partials.keys();
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(first: number): void {
    this.#dropped += 1;
    const count = this.#partials.get(first)?.pieces.length ?? 1;
    this.#droppedUpTo = Math.max(this.#droppedUpTo, first + count - 1);
    this.#remove(first);
  }

  #remove(first: number): void {
    this.#bytes -= this.#partials.get(first)?.bytes ?? 0;
    this.#partials.delete(first);
  }
}

function concatenate(partial: Partial): Uint8Array {
  const block = new Uint8Array(partial.bytes);
  let position = 0;
  for (const piece of partial.pieces) {
    if (piece === undefined) continue;
    block.set(piece, position);
    position += piece.length;
  }
  return block;
}
