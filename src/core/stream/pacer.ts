import { limits } from "../../protocol/limits.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What left since the last look, for whoever judges the rate. */
export interface Sent {
  /** Numbers sent for the first time. */
  readonly datagrams: number;
  /** All that was charged. */
  readonly bytes: number;
  /** From the first of it to the last. */
  readonly overMs: number;
  /** Whether anything waited for the rate. */
  readonly limited: boolean;
}

/** Of the rate, for repairs: they cannot crowd out what is new, and it cannot crowd out them. */
const repairShare = 0.5;
/** Of that, for peers who alone lose much: one of them must not cost the others what is new. */
const outlierShare = 0.1;

/**
 * How fast numbered frames leave this node. All of them take from one bucket, copies by unicast
 * each for itself; repairs take from one of their own besides. Everything else (heartbeats, NAKs,
 * pings, digests, transfers) is not numbered and not asked: it is little, or paced by its receiver,
 * and without it nothing would get better.
 */
export class Pacer {
  readonly rateMax: number;
  readonly #all = new TokenBucket();
  readonly #repairs = new TokenBucket();
  readonly #outliers = new TokenBucket();
  #rate: number;
  #datagrams = 0;
  #bytes = 0;
  #firstMs = Number.POSITIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;
  #limited = false;
  #limitedMs = 0;
  #waitsSinceMs = Number.POSITIVE_INFINITY;

  /** The rate in octets a second that is never exceeded; it is also the first. */
  constructor(rateMax: number) {
    this.rateMax = rateMax;
    this.#rate = rateMax;
    this.#resize(Number.NEGATIVE_INFINITY);
  }

  get rate(): number {
    return this.#rate;
  }

  get rateMin(): number {
    return Math.min(limits.rateBytesPerSecondMin, this.rateMax);
  }

  setRate(rate: number, nowMs: number): void {
    this.#rate = Math.min(this.rateMax, Math.max(this.rateMin, rate));
    this.#resize(nowMs);
  }

  #resize(nowMs: number): void {
    const perMs = this.#rate / 1_000;
    const burst = Math.max(limits.rateBurstBytesMin, perMs * limits.rateBurstMs);
    for (const [bucket, share] of [
      [this.#all, 1],
      [this.#repairs, repairShare],
      [this.#outliers, repairShare * outlierShare],
    ] as const) {
      bucket.resize(perMs * share, burst * share, nowMs);
    }
  }

  /** Whether a delta that waits may leave. */
  mayFlush(nowMs: number): boolean {
    const isOpen = this.#all.isOpen(nowMs);
    if (this.#waitsSinceMs < nowMs) this.#limitedMs += nowMs - this.#waitsSinceMs;
    this.#waitsSinceMs = isOpen ? Number.POSITIVE_INFINITY : nowMs;
    if (isOpen) {
      this.#firstMs = Math.min(this.#firstMs, nowMs);
      this.#lastMs = nowMs;
    } else this.#limited = true;
    return isOpen;
  }

  /** For how long something has waited for the rate, in all. */
  get limitedMs(): number {
    return this.#limitedMs;
  }

  /** Whether a repair may leave; `outlier`: for a peer who alone loses much. */
  mayRepair(outlier: boolean, nowMs: number): boolean {
    return this.#repairs.isOpen(nowMs) && (!outlier || this.#outliers.isOpen(nowMs));
  }

  /** A number left for the first time. */
  flushed(bytes: number, nowMs: number): void {
    this.#datagrams += 1;
    this.#charge(bytes, nowMs);
  }

  repaired(outlier: boolean, bytes: number, nowMs: number): void {
    if (outlier) this.#outliers.take(bytes, nowMs);
    this.#repairs.take(bytes, nowMs);
    this.#charge(bytes, nowMs);
  }

  #charge(bytes: number, nowMs: number): void {
    this.#bytes += bytes;
    this.#all.take(bytes, nowMs);
  }

  /** When a delta may leave. */
  get dueMs(): number {
    return this.#all.dueMs;
  }

  get datagrams(): number {
    return this.#datagrams;
  }

  /** What left since the last call. */
  takeSent(): Sent {
    const sent = {
      datagrams: this.#datagrams,
      bytes: this.#bytes,
      overMs: Math.max(0, this.#lastMs - this.#firstMs),
      limited: this.#limited,
    };
    this.#datagrams = 0;
    this.#bytes = 0;
    this.#firstMs = Number.POSITIVE_INFINITY;
    this.#lastMs = Number.NEGATIVE_INFINITY;
    this.#limited = false;
    return sent;
  }
}
