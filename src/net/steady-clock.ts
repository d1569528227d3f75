import type { Now } from "../base/now.ts";
import { limits } from "../protocol/limits.ts";

/** Smaller differences are made up for at one hundredth of a second a second, like NTP does. */
const slewShare = 0.01;

/** Who else knows what time it is, and who is told what was made of a step. */
export interface ClockWitness {
  /** How many more others the step leads to than away from; undefined: nobody is there to tell. */
  votes(byMs: number, now: Now): number | undefined;
  /** A step was believed. */
  stepped(byMs: number): void;
  /** One is not; told once, until `settled`. */
  refused(byMs: number): void;
  settled(): void;
}

/**
 * The wall clock as the replica should see it. Stamps and deadlines hang on it, so a clock that is
 * set wrong (a host that resumes, an operator's slip, a first NTP sync) would end sessions or put
 * this node's writes an hour ahead of everybody's. Time therefore runs on with the monotonic clock;
 * small differences are slewed, a large one counts only once it has lasted, and only if it does not
 * lead away from what others show. What was refused is not believed for their absence either.
 */
export class SteadyClock {
  readonly #witness: ClockWitness;
  /** What to add to the monotonic clock to get the wall clock. */
  #offsetMs: number;
  #seenMs: number;
  #aheadMs = 0;
  #refuses = false;
  /** By how much the machine's clock was ahead when that was last refused. */
  #refusedMs = 0;
  /** When the present disagreement is to be judged; Infinity: there is none. */
  #judgeMs = Number.POSITIVE_INFINITY;

  constructor(monotonicMs: number, wallMs: number, witness: ClockWitness) {
    this.#offsetMs = wallMs - monotonicMs;
    this.#seenMs = monotonicMs;
    this.#witness = witness;
  }

  now(monotonicMs: number, wallMs: number): Now {
    const difference = wallMs - (monotonicMs + this.#offsetMs);
    this.#aheadMs = difference;
    if (Math.abs(difference) < limits.clockStepMsMin) {
      this.#settle();
      const slewMs = (monotonicMs - this.#seenMs) * slewShare;
      this.#offsetMs += Math.max(-slewMs, Math.min(slewMs, difference));
    } else {
      // What was refused is another question by now.
      const hasMoved = Math.abs(difference - this.#refusedMs) >= limits.clockStepMsMin;
      if (this.#refuses && hasMoved) {
        this.#judgeMs = monotonicMs + limits.clockStepPersistsMs;
        this.#refusedMs = difference;
      }
      this.#judgeMs = Math.min(this.#judgeMs, monotonicMs + limits.clockStepPersistsMs);
      if (monotonicMs >= this.#judgeMs) this.#judge(difference, monotonicMs);
    }
    this.#seenMs = monotonicMs;
    return { monotonicMs, wallMs: monotonicMs + this.#offsetMs };
  }

  /** By how much the machine's clock was ahead of this one when it was last looked at. */
  get machineAheadMs(): number {
    return this.#aheadMs;
  }

  /** Whether the machine's clock is not followed, since others show another time. */
  get refuses(): boolean {
    return this.#refuses;
  }

  #judge(differenceMs: number, monotonicMs: number): void {
    const now = { monotonicMs, wallMs: monotonicMs + this.#offsetMs };
    const votes = this.#witness.votes(differenceMs, now);
    if (votes === undefined ? this.#refuses : votes < 0) {
      this.#judgeMs = monotonicMs + limits.clockStepAskEveryMs;
      if (!this.#refuses) this.#witness.refused(differenceMs);
      this.#refuses = true;
      this.#refusedMs = differenceMs;
      return;
    }
    this.#offsetMs += differenceMs;
    this.#aheadMs = 0;
    this.#witness.stepped(differenceMs);
    this.#settle();
  }

  #settle(): void {
    this.#judgeMs = Number.POSITIVE_INFINITY;
    if (this.#refuses) this.#witness.settled();
    this.#refuses = false;
  }
}
