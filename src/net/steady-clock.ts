import type { Now } from "../base/now.ts";

/** A wall clock that disagrees by more is not drifting: somebody has set it. */
const stepMsMin = 250;
/** How long it must go on disagreeing until it is believed. */
const stepPersistsMs = 10_000;
/** Smaller differences are made up for at one hundredth of a second a second, like NTP does. */
const slewShare = 0.01;

/**
 * The wall clock as the replica should see it. Stamps and deadlines hang on it, so a clock that is
 * set wrong for a few seconds (a host that resumes, an operator's slip, a first NTP sync) would end
 * sessions or put this node's writes an hour ahead of everybody's. Time therefore runs on with the
 * monotonic clock; small differences are slewed, a large one counts only once it has lasted.
 */
export class SteadyClock {
  readonly #stepped: (byMs: number) => void;
  /** What to add to the monotonic clock to get the wall clock. */
  #offsetMs: number;
  #seenMs: number;
  /** Since when the wall clock has disagreed by more than a drift; Infinity: it does not. */
  #disagreesSinceMs = Number.POSITIVE_INFINITY;

  /** `stepped` is told when a step was believed, with its size. */
  constructor(monotonicMs: number, wallMs: number, stepped: (byMs: number) => void) {
    this.#offsetMs = wallMs - monotonicMs;
    this.#seenMs = monotonicMs;
    this.#stepped = stepped;
  }

  now(monotonicMs: number, wallMs: number): Now {
    const difference = wallMs - (monotonicMs + this.#offsetMs);
    if (Math.abs(difference) < stepMsMin) {
      this.#disagreesSinceMs = Number.POSITIVE_INFINITY;
      const slewMs = (monotonicMs - this.#seenMs) * slewShare;
      this.#offsetMs += Math.max(-slewMs, Math.min(slewMs, difference));
    } else {
      this.#disagreesSinceMs = Math.min(this.#disagreesSinceMs, monotonicMs);
      if (monotonicMs >= this.#disagreesSinceMs + stepPersistsMs) this.#believe(difference);
    }
    this.#seenMs = monotonicMs;
    return { monotonicMs, wallMs: monotonicMs + this.#offsetMs };
  }

  #believe(differenceMs: number): void {
    this.#offsetMs += differenceMs;
    this.#disagreesSinceMs = Number.POSITIVE_INFINITY;
    this.#stepped(differenceMs);
  }
}
