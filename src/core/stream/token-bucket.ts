/**
 * Octets that may be sent, saved up at a rate. Something may leave as long as any are left, and may
 * take more than that: the debt is paid before the next. So a datagram needs no room of its size,
 * and the rate is kept all the same.
 */
export class TokenBucket {
  #perMs = 0;
  #burst = 0;
  /** Until it has a size it is full, and has been so for ever. */
  #bytes = Number.POSITIVE_INFINITY;
  #atMs = Number.NEGATIVE_INFINITY;

  /** From now on; what was saved up stays, as far as it fits. */
  resize(perMs: number, burst: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#perMs = perMs;
    this.#burst = burst;
    this.#bytes = Math.min(this.#bytes, burst);
  }

  isOpen(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#bytes > 0;
  }

  take(bytes: number, nowMs: number): void {
    // What the bucket had no room to save up until now is no credit for this.
    this.#refill(nowMs);
    this.#bytes -= bytes;
  }

  /** When it is open again; -Infinity: it is. */
  get dueMs(): number {
    if (this.#bytes > 0) return Number.NEGATIVE_INFINITY;
    return this.#atMs + (1 - this.#bytes) / this.#perMs;
  }

  #refill(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    const sinceMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    if (sinceMs === Number.POSITIVE_INFINITY) return;
    this.#bytes = Math.min(this.#burst, this.#bytes + sinceMs * this.#perMs);
  }
}
