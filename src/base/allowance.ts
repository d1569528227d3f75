/**
 * So many times something may be done, over time and at once. A bucket that fills steadily: of a
 * window, who comes at its end would always find it empty.
 */
export class Allowance {
  readonly #perMs: number;
  readonly #burst: number;
  #filledMs = Number.NEGATIVE_INFINITY;
  #left = 0;

  constructor(perMs: number, burst: number) {
    this.#perMs = perMs;
    this.#burst = burst;
  }

  take(nowMs: number): boolean {
    const gained = (nowMs - this.#filledMs) * this.#perMs;
    this.#left = Math.min(this.#burst, this.#left + gained);
    this.#filledMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
