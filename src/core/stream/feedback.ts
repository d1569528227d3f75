import type { SequenceRange } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";

/** A receiver's loss must exceed what is normal for it by this share, or it is no sign. */
const excessShareMin = 0.01;
/** And by so many standard deviations: with few numbers sent, chance alone makes large shares. */
const excessDeviations = 4;
/** How fast the base follows when less is lost. */
const baseDecay = 0.5;

/**
 * What the NAKs of one peer tell of how it receives this node's stream: which share of the numbers
 * it misses. Only the first ask for a number counts, since a lost repair is asked for again. First
 * asks come in order of the numbers, so the highest so far tells them from the others.
 */
export class Feedback {
  #askedUpTo = 0;
  #missed = 0;
  #expected = 0;
  #base = 0;
  #baseUntilMs = Number.POSITIVE_INFINITY;
  /** Of the numbers sent in the time judged last, those that it missed. */
  share = 0;
  /** That of before the cut whose effect is awaited; undefined: the cut was not for its sake. */
  shareBeforeCut: number | undefined;
  /** Since when it alone has lost much; Infinity: it has not. */
  outlierSinceMs = Number.POSITIVE_INFINITY;
  get isOutlier(): boolean {
    return this.outlierSinceMs < Number.POSITIVE_INFINITY;
  }

  /** It is not served until then, unless it goes on to lose. */
  leftOutUntilMs = Number.NEGATIVE_INFINITY;
  /** It gets no repairs, and its loss does not count. */
  leftOut = false;

  /** It asks for these numbers; `sequence` is the highest that was sent. */
  note(ranges: readonly SequenceRange[], sequence: number): void {
    const before = this.#askedUpTo;
    for (const range of ranges) {
      const last = Math.min(range.first + range.count - 1, sequence);
      this.#missed += Math.max(0, last - Math.max(range.first - 1, before));
      this.#askedUpTo = Math.max(this.#askedUpTo, last);
    }
  }

  /** So many numbers were sent since the last call. */
  judge(datagrams: number, nowMs: number): void {
    this.share = datagrams === 0 ? 0 : Math.min(1, this.#missed / datagrams);
    this.#expected = datagrams;
    this.#missed = 0;
    if (nowMs >= this.#baseUntilMs) {
      this.#base = 0;
      this.#baseUntilMs = Number.POSITIVE_INFINITY;
    }
    // Only what chance does not explain, or the base would creep below the loss and be in doubt.
    if ((this.#base - this.share) * datagrams > this.#margin) {
      this.#base += (this.share - this.#base) * baseDecay;
    }
  }

  /** The share that it loses at any rate, as far as is known. */
  get base(): number {
    return this.#base;
  }

  /** Whether it has lost more than at any rate, and more than chance makes of that. */
  get losesMore(): boolean {
    return (this.share - this.#base) * this.#expected > this.#margin;
  }

  get #margin(): number {
    const deviation = Math.sqrt(this.#expected * Math.max(this.#base, excessShareMin));
    return Math.max(this.#expected * excessShareMin, excessDeviations * deviation);
  }

  /** A cut has shown that it loses this share at any rate: normal until it is looked into again. */
  learnBase(share: number, nowMs: number): void {
    this.#base = share;
    this.#baseUntilMs = nowMs + limits.lossBaseMs;
  }
}
