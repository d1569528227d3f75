import type { Replica } from "../../src/core/replica.ts";
import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hold } from "./violation.ts";

/** What the core may take ahead of what was saved up: a datagram of each kind, with its copies. */
const aheadDatagrams = 2;
/** With nothing in the way, something leaves well within this. */
const stillMsMax = 1_000;

/**
 * Holds what one start of a node sends against its highest rate, by a bucket of the simulator's
 * own, and sees to it that what waits does leave.
 */
export class PaceWatch {
  readonly #label: string;
  readonly #rateMax: number;
  #bytes: number;
  #atMs: number;
  #lastSentMs: number;
  #fanOutMax = 1;
  /** Whether something was left over at the end of the last turn. */
  #waits = false;

  constructor(label: string, rateMax: number, nowMs: number) {
    this.#label = label;
    this.#rateMax = rateMax;
    this.#bytes = this.#burst;
    this.#atMs = nowMs;
    this.#lastSentMs = nowMs;
  }

  /** One datagram, to so many addresses. */
  sent(frames: readonly Frame[], bytes: number, fanOut: number, nowMs: number): void {
    if (!frames.some(({ tag }) => tag === Tag.delta || tag === Tag.fragment)) return;
    this.#lastSentMs = nowMs;
    this.#fanOutMax = Math.max(this.#fanOutMax, fanOut);
    const saved = this.#bytes + ((nowMs - this.#atMs) * this.#rateMax) / 1_000;
    this.#atMs = nowMs;
    this.#bytes = Math.min(this.#burst, saved) - bytes * fanOut;
    // Repairs have saved up half as much of their own.
    const least = -this.#burst / 2 - aheadDatagrams * limits.datagramBytesMax * this.#fanOutMax;
    const fact = () => `${this.#label} is ${Math.round(-this.#bytes)} octets ahead of its rate`;
    hold(this.#bytes >= least, "rate-is-kept", fact);
  }

  afterTurn(replica: Replica, nowMs: number): void {
    // It waits from the end of the first turn on that leaves something over.
    if (!replica.pending || !this.#waits) this.#lastSentMs = nowMs;
    this.#waits = replica.pending;
    const rate = Math.min(limits.rateBytesPerSecondMin, this.#rateMax);
    const debt = this.#burst + aheadDatagrams * limits.datagramBytesMax * this.#fanOutMax;
    const stillMs = nowMs - this.#lastSentMs;
    const fact = () => `${this.#label} has something to send and sends nothing for ${stillMs} ms`;
    hold(stillMs <= stillMsMax + (debt / rate) * 1_000, "what-waits-leaves", fact);
  }

  get #burst(): number {
    return Math.max(limits.rateBurstBytesMin, (this.#rateMax / 1_000) * limits.rateBurstMs);
  }
}
