import { limits } from "../../protocol/limits.ts";

/**
 * How many times peers may be asked for single sessions: so many a second, and as many at once
 * after a quiet second. What clients ask for must not become a flood on the network.
 */
export class FetchAllowance {
  #left: number = limits.fetchAsksPerSecondMax;
  #filledMs = 0;

  take(nowMs: number): boolean {
    const most = limits.fetchAsksPerSecondMax;
    const gained = ((nowMs - this.#filledMs) / 1_000) * most;
    this.#left = Math.min(most, this.#left + gained);
    this.#filledMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
