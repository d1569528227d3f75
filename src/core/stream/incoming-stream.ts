import type { Prng } from "../../base/prng.ts";
import type { SequenceRange } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import { AskQueue } from "./ask-queue.ts";

/**
 * Which numbers of one peer's stream have arrived. Deltas are applied as they come, in any order,
 * so this is no queue: it only knows what is missing and when to ask for it.
 *
 * The stream starts for us at the first number heard of: what came before is history, which the
 * joiner's transfer and anti-entropy cover, and which is never asked for by number (NORM's
 * SYNC_CURRENT). After a bounded number of asks a gap is given up to anti-entropy as well.
 *
 * Asks wait in one queue per try. All waits of one try are equally long but for a little jitter,
 * so each queue is nearly in order of time, and a thousand gaps cost no more to keep than one.
 */
export class IncomingStream {
  readonly #prng: Prng;
  readonly #missing = new Set<number>();
  readonly #asks = Array.from({ length: limits.nakTriesMax + 1 }, () => new AskQueue());
  #baseline = -1;
  #highest = -1;
  /** Of a stream that is not taken in: where it starts for us, and the highest number. */
  #notedFirst = 0;
  #notedHighest = -1;
  /** What was announced before any number came is history. */
  #notedHistory = 0;
  #lost = 0;
  /** The highest number that was given up, or whose content was not taken. */
  #spoiledUpTo = 0;
  /** What the sender said it can still repeat; earlier numbers are not worth asking for. */
  #oldest = 0;
  #nextAskMs = Number.NEGATIVE_INFINITY;
  /** Whether any queue may hold something. */
  #asking = false;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** A number arrived. False: it had arrived before. */
  accept(sequence: number, nowMs: number): boolean {
    if (this.#highest < 0) {
      this.#baseline = sequence;
      this.#highest = sequence;
      return true;
    }
    if (sequence > this.#highest) {
      if (sequence > this.#highest + 1) this.announce(sequence - 1, nowMs);
      this.#highest = sequence;
      return true;
    }
    // Below the baseline: sent before we heard of this peer, delivered late. News all the same.
    return this.#missing.delete(sequence) || sequence < this.#baseline;
  }

  /**
   * A number came and is not taken in yet. Costs the same however many there are. One that was
   * overtaken by few others starts the stream all the same; from further back it is history, so
   * that recorded datagrams make us ask for no more than one NAK names.
   */
  note(sequence: number): void {
    if (this.#notedHighest < 0) this.#notedFirst = sequence;
    const first = Math.max(this.#notedHistory + 1, this.#notedHighest - limits.nakSequencesMax);
    if (sequence >= first) this.#notedFirst = Math.min(this.#notedFirst, sequence);
    this.#notedHighest = Math.max(this.#notedHighest, sequence);
  }

  /** As `announce`, of a stream that is not taken in yet. */
  noteAnnounced(sequence: number): void {
    if (this.#notedHighest < 0) {
      this.#notedFirst = sequence + 1;
      this.#notedHistory = sequence;
    }
    this.#notedHighest = Math.max(this.#notedHighest, sequence);
  }

  /**
   * The stream is taken in from now on; what was noted is asked for like what is lost. True: it
   * starts for us later than for its sender, and what came before will not be asked for.
   */
  open(nowMs: number): boolean {
    if (this.#notedHighest < 0) return false;
    const isFirst = this.#highest < 0;
    if (isFirst) {
      this.#baseline = this.#notedFirst;
      this.#highest = this.#notedFirst - 1;
    }
    this.announce(this.#notedHighest, nowMs);
    this.#notedHighest = -1;
    return isFirst && this.#baseline > 1;
  }

  /** The peer says that it has sent all numbers up to this one. */
  announce(sequence: number, nowMs: number): void {
    if (this.#highest < 0) {
      // Announced, not received: it may still be on its way.
      this.#baseline = sequence + 1;
      this.#highest = sequence;
      return;
    }
    const repairable = Math.max(sequence + 1 - limits.gapAheadMax, this.#oldest);
    const first = Math.max(this.#highest + 1, Math.min(repairable, sequence + 1));
    if (first > this.#highest + 1) {
      this.#lost += first - this.#highest - 1;
      this.spoil(first - 1);
    }
    const dueMs = nowMs + limits.nakDelayMs + this.#prng.fraction() * limits.nakJitterMs;
    for (let missing = first; missing <= sequence; missing++) {
      if (this.#missing.size >= limits.gapAheadMax) {
        this.#lost += 1;
        this.spoil(missing);
      } else {
        this.#missing.add(missing);
        this.#asks[0]?.push(missing, dueMs);
        this.#asking = true;
      }
    }
    this.#highest = Math.max(this.#highest, sequence);
  }

  /** The peer cannot repeat anything below this number. False: nothing of that is missing. */
  forget(oldest: number): boolean {
    this.#oldest = Math.max(this.#oldest, oldest);
    const missing = this.#missing.size;
    for (const sequence of this.#missing) {
      if (sequence >= oldest) continue;
      this.#giveUp(sequence);
    }
    return this.#missing.size < missing;
  }

  /** What is missing will not be asked for. How many numbers that are. */
  abandon(): number {
    const missing = this.#missing.size;
    for (const sequence of this.#missing) this.#giveUp(sequence);
    return missing;
  }

  /** What came under this number, or should have, has not become part of this node's state. */
  spoil(sequence: number): void {
    this.#spoiledUpTo = Math.max(this.#spoiledUpTo, sequence);
  }

  /** Whether all numbers of the range have arrived. Never true by mistake; may be false by it. */
  covers(first: number, last: number): boolean {
    if (first < this.#baseline || this.#baseline < 0) return false;
    if (first <= this.#spoiledUpTo || last > this.#highest) return false;
    if (last - first < this.#missing.size) {
      for (let sequence = first; sequence <= last; sequence++) {
        if (this.#missing.has(sequence)) return false;
      }
      return true;
    }
    for (const sequence of this.#missing) if (sequence >= first && sequence <= last) return false;
    return true;
  }

  /**
   * What to ask for now: at most one NAK's worth, the rest stays due. Gaps asked for too often are
   * given up.
   */
  takeDue(nowMs: number): readonly SequenceRange[] {
    if (this.#missing.size === 0) {
      if (this.#asking) this.#stopAsking();
      return nothing;
    }
    if (nowMs < this.#nextAskMs) return nothing;
    const ranges: { first: number; count: number }[] = [];
    let asked = 0;
    for (const [tries, queue] of this.#asks.entries()) {
      while (queue.dueMs <= nowMs) {
        const sequence = queue.peek();
        if (sequence === undefined) break;
        if (this.#missing.has(sequence)) {
          if (tries === limits.nakTriesMax) {
            this.#giveUp(sequence);
          } else {
            if (asked >= limits.nakSequencesMax || !extend(ranges, sequence)) {
              // The rest waits: all repairs at once would overrun the buffer that just overflowed.
              this.#nextAskMs = nowMs + limits.nakPauseMs;
              return ranges;
            }
            asked += 1;
            this.#asks[tries + 1]?.push(sequence, nowMs + this.#retryMs(tries));
          }
        }
        queue.drop();
      }
    }
    return ranges;
  }

  /** When `takeDue` next has something to do. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    if (this.#missing.size === 0) return dueMs;
    for (const queue of this.#asks) dueMs = Math.min(dueMs, queue.dueMs);
    return Math.max(dueMs, this.#nextAskMs);
  }

  /** Whether something is missing, or was since `takeDue` and `takeLost` were last called. */
  get isOpen(): boolean {
    return this.#asking || this.#lost > 0;
  }

  get missingCount(): number {
    return this.#missing.size;
  }

  get highest(): number {
    return this.#highest;
  }

  #giveUp(sequence: number): void {
    this.#missing.delete(sequence);
    this.#lost += 1;
    this.spoil(sequence);
  }

  #stopAsking(): void {
    this.#asking = false;
    for (const queue of this.#asks) queue.clear();
  }

  #retryMs(tries: number): number {
    const waitMs = Math.min(limits.nakRetryMs * 2 ** tries, limits.nakRetryMsMax);
    return waitMs + this.#prng.fraction() * limits.nakJitterMs;
  }

  /** Numbers given up since the last call: their content must come by anti-entropy. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }
}

const nothing: readonly SequenceRange[] = [];

/** False: no room for a further range. */
function extend(ranges: { first: number; count: number }[], sequence: number): boolean {
  const last = ranges.at(-1);
  if (last !== undefined && last.first + last.count === sequence) {
    last.count += 1;
    return true;
  }
  if (ranges.length >= limits.nakRangesMax) return false;
  ranges.push({ first: sequence, count: 1 });
  return true;
}
