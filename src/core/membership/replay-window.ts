import type { Datagram } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import { stampsPerMs } from "../../session/stamp.ts";
import type { Via } from "./ways.ts";

/**
 * `copy`: it came before by the other way, which tells of the ways and of nothing else. `stale`: it
 * was sent long before others of its boot that have arrived.
 */
export type Novelty = "fresh" | "copy" | "replayed" | "stale";

const wordBits = 32;
/** One word more than the window, so that a word is cleared only when all of it is too old. */
const wordCount = limits.replayWindow / wordBits + 1;

/**
 * Which datagrams of one boot have been taken in, by their counters. A sender's multicast and its
 * unicast copies of the same are one datagram by two ways, so each way has a window of its own.
 *
 * Counters alone do not bound the age of a datagram that was held back: an idle node sends two in a
 * second. So each is also compared with the newest by the sender's own clock, which, unlike a
 * comparison with ours, asks for no clocks that agree.
 */
export class ReplayWindow {
  readonly #seen = { multicast: new Window(), unicast: new Window() };
  /** Ends of what was taken in, by counter, and whose they are. */
  readonly #tails = new Uint32Array(limits.tailsKept);
  readonly #tailCounters = new Float64Array(limits.tailsKept);
  #newest = 0;
  /** What the sender's hybrid clock showed in the newest. */
  #newestClock = 0;

  /** Cheap and without effect: may be asked before the seal is looked at. */
  isReplayed(counter: number, via: Via): boolean {
    return this.#seen[via].has(counter);
  }

  /**
   * Whether something else was taken in under this counter: if this is authentic, two processes
   * send under one boot id. False also: that is not remembered.
   */
  isOther(counter: number, tail: number): boolean {
    const at = counter % limits.tailsKept;
    return this.#tailCounters[at] === counter && this.#tails[at] !== tail;
  }

  /** To be asked once of each datagram that is authentic. */
  take({ counter, tail, clock }: Dated, via: Via): Novelty {
    if (!this.#seen[via].add(counter)) return "replayed";
    this.#tails[counter % limits.tailsKept] = tail;
    this.#tailCounters[counter % limits.tailsKept] = counter;
    if (this.#seen[via === "unicast" ? "multicast" : "unicast"].holds(counter)) return "copy";
    if (counter > this.#newest) {
      this.#newest = counter;
      this.#newestClock = clock;
      return "fresh";
    }
    return clock + limits.freshMs * stampsPerMs < this.#newestClock ? "stale" : "fresh";
  }
}

type Dated = Pick<Datagram, "counter" | "tail" | "clock">;

/** RFC 6479: bits in a ring of words, so that advancing clears words instead of shifting bits. */
class Window {
  readonly #words = new Int32Array(wordCount);
  #top = 0;

  /** Whether it was added, or is too old to tell. */
  has(counter: number): boolean {
    return counter <= this.#top - limits.replayWindow || this.holds(counter);
  }

  /** Whether it was added, for certain. */
  holds(counter: number): boolean {
    if (counter > this.#top || counter <= this.#top - limits.replayWindow) return false;
    return ((this.#words[wordOf(counter)] ?? 0) & bitOf(counter)) !== 0;
  }

  /** False: it had been added, or is too old to tell. */
  add(counter: number): boolean {
    if (this.has(counter)) return false;
    if (counter > this.#top) this.#advance(counter);
    const word = wordOf(counter);
    this.#words[word] = (this.#words[word] ?? 0) | bitOf(counter);
    return true;
  }

  #advance(counter: number): void {
    const from = Math.floor(this.#top / wordBits);
    const steps = Math.min(Math.floor(counter / wordBits) - from, wordCount);
    for (let step = 1; step <= steps; step++) this.#words[(from + step) % wordCount] = 0;
    this.#top = counter;
  }
}

function wordOf(counter: number): number {
  return Math.floor(counter / wordBits) % wordCount;
}

function bitOf(counter: number): number {
  return 1 << (counter % wordBits);
}
