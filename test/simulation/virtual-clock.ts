import type { Now } from "../../src/base/now.ts";

/** 2027-01-15, at the start of every run. */
const startWallMs = 1_800_000_000_000;

/** One host's wall clock: right, wrong, running wrong, or jumping. Timers do not see it. */
export class VirtualClock {
  offsetMs = 0;
  #driftMs = 0;
  #driftSinceMs = 0;
  #driftPpm = 0;

  drift(ppm: number, nowMs: number): void {
    this.#driftMs = this.#driftedMs(nowMs);
    this.#driftSinceMs = nowMs;
    this.#driftPpm = ppm;
  }

  at(nowMs: number): Now {
    return { monotonicMs: nowMs, wallMs: startWallMs + nowMs + this.aheadMs(nowMs) };
  }

  /** By how much it is ahead of the right time. */
  aheadMs(nowMs: number): number {
    return this.offsetMs + this.#driftedMs(nowMs);
  }

  /** As a correction of the operator, or of ntpd at its start: it jumps to the right time. */
  correct(nowMs: number): void {
    this.drift(0, nowMs);
    this.#driftMs = 0;
    this.offsetMs = 0;
  }

  #driftedMs(nowMs: number): number {
    return this.#driftMs + ((nowMs - this.#driftSinceMs) * this.#driftPpm) / 1e6;
  }
}
