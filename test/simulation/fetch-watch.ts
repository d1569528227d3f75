import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hold } from "./violation.ts";

/** Two peers are asked at a time, and who wrote what is asked for besides. */
const askedAtOnceMax = 3;
/** Clocks drift, and a node that is busy forgets when its turn comes. */
const slackMs = 1_000;

/**
 * Listens to what one start of a node asks its peers about single sessions: how often, and whether
 * it claims an absence only as long as somebody has told it just now.
 */
export class FetchWatch {
  readonly #label: string;
  readonly #startedMs: number;
  readonly #ids = new Map<number, string>();
  readonly #absentMs = new Map<string, number>();
  #asks = 0;

  constructor(label: string, startedMs: number) {
    this.#label = label;
    this.#startedMs = startedMs;
  }

  sent(frames: readonly Frame[], nowMs: number): void {
    for (const frame of frames) {
      if (frame.tag !== Tag.fetch) continue;
      this.#ids.set(frame.nonce, frame.id);
      this.#asks += 1;
      const seconds = (nowMs - this.#startedMs + slackMs) / 1_000;
      const most = limits.fetchAsksPerSecondMax * (1 + seconds) * askedAtOnceMax;
      const fact = () => `${this.#label} has asked ${this.#asks} times in ${seconds} s`;
      hold(this.#asks <= most, "fetches-are-no-flood", fact);
    }
  }

  received(frames: readonly Frame[], nowMs: number): void {
    for (const frame of frames) {
      const id = frame.tag === Tag.absent ? this.#ids.get(frame.nonce) : undefined;
      if (id !== undefined) this.#absentMs.set(id, nowMs);
    }
  }

  /** So many sessions are known to be absent. */
  checkHeld(absences: number, nowMs: number): void {
    if (absences === 0) return;
    // A turn has just forgotten what is due, by a clock that may drift.
    const sinceMs = nowMs - limits.absenceMs * 1.1;
    const told = [...this.#absentMs.values()].filter((toldMs) => toldMs >= sinceMs).length;
    const fact = () => `${this.#label} knows ${absences} to be absent, and was told ${told}`;
    hold(absences <= told, "absences-are-forgotten", fact);
  }

  /** The node, still joining, says that there is no such session. */
  claimedAbsent(id: string, nowMs: number): void {
    const toldMs = this.#absentMs.get(id) ?? Number.NEGATIVE_INFINITY;
    const fact = () => `${this.#label} claims it of ${id}, told ${nowMs - toldMs} ms ago`;
    hold(nowMs - toldMs <= limits.absenceMs + slackMs, "absence-is-told", fact);
  }
}
