import { type Frame, type SequenceRange, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hold } from "./violation.ts";

/** What one start of a node knows of another's stream, as far as it went over the network. */
interface Heard {
  /** What is never asked for: it came before the first number heard of. */
  first: number;
  /** Numbers that came before the sender had proven that it lives may yet start the stream. */
  isSettled: boolean;
  highest: number;
  /** What was known to be missing below this is gone, as the sender said. */
  oldest: number;
  readonly asks: Map<number, number>;
}

interface Repairs {
  atMs: number;
  count: number;
}

function newlyHeard(first: number, isSettled: boolean): Heard {
  return { first, isSettled, highest: first, oldest: 0, asks: new Map() };
}

/** Repairs of one number within the linger: one for the first who asks, one for all others. */
const repairsPerLingerMax = 2;

/** The first heartbeat after data comes this late at most; a clock drifts from the node's own. */
const heartbeatAfterMsMax = 2 * (limits.heartbeatLadderMs[0] ?? 0);

/**
 * Listens to what one start of a node sends and receives, and holds its stream against the rules of
 * repair: no history, bounded asks, none for what is gone, no storm of repeats.
 */
export class StreamWatch {
  readonly #label: string;
  readonly #heard = new Map<string, Heard>();
  readonly #repairs = new Map<number, Repairs>();
  #sent = 0;
  /** When the latest number was sent that no heartbeat has told yet. */
  #untoldMs = Number.POSITIVE_INFINITY;
  repairs = 0;
  asked = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** The node dropped what it knew of a peer, and starts anew if it hears of it again. */
  forget(boot: string): void {
    this.#heard.delete(boot);
  }

  /** `isTaken`: who sent it has proven that it lives; else its numbers count as lost. */
  received(boot: string, frames: readonly Frame[], isTaken: boolean): void {
    for (const frame of frames) {
      if (frame.tag === Tag.delta || frame.tag === Tag.fragment || frame.tag === Tag.heartbeat) {
        const { sequence } = frame;
        const known = this.#heard.get(boot);
        const isLost = !isTaken && frame.tag !== Tag.heartbeat;
        if (known === undefined) {
          this.#heard.set(boot, newlyHeard(isLost ? sequence - 1 : sequence, !isLost));
          continue;
        }
        if (isTaken) known.isSettled = true;
        const mayStart = isLost && sequence >= known.highest - limits.nakSequencesMax;
        if (mayStart && !known.isSettled) known.first = Math.min(known.first, sequence - 1);
        known.highest = Math.max(known.highest, sequence);
      } else if (frame.tag === Tag.nakMiss && isTaken) {
        const known = this.#heard.get(boot);
        if (known === undefined) continue;
        known.oldest = Math.max(known.oldest, Math.min(frame.oldest, known.highest + 1));
      }
    }
  }

  sent(frames: readonly Frame[], nowMs: number): void {
    for (const frame of frames) {
      if (frame.tag === Tag.delta || frame.tag === Tag.fragment) {
        this.#onNumbered(frame.sequence, nowMs);
      } else if (frame.tag === Tag.heartbeat) {
        const fact = () => `${this.#label} says ${frame.sequence} after sending ${this.#sent}`;
        hold(frame.sequence === this.#sent, "heartbeat-tells-the-last-number", fact);
        this.#untoldMs = Number.POSITIVE_INFINITY;
      } else if (frame.tag === Tag.nak) {
        for (const range of frame.ranges) this.#onAsk(frame.boot, range);
      }
    }
  }

  /** The node has done all that was due. */
  ticked(nowMs: number): void {
    const waitedMs = nowMs - this.#untoldMs;
    const fact = () => `${this.#label} says nothing of ${this.#sent} for ${waitedMs} ms`;
    hold(waitedMs <= heartbeatAfterMsMax, "a-heartbeat-follows-data", fact);
  }

  #onNumbered(sequence: number, nowMs: number): void {
    if (sequence > this.#sent) {
      const fact = () => `${this.#label} sends ${sequence} after ${this.#sent}`;
      hold(sequence === this.#sent + 1, "numbers-are-consecutive", fact);
      this.#sent = sequence;
      this.#untoldMs = nowMs;
      return;
    }
    this.repairs += 1;
    const repairs = this.#repairs.get(sequence);
    if (repairs === undefined || nowMs - repairs.atMs >= limits.repairLingerMs) {
      this.#repairs.set(sequence, { atMs: nowMs, count: 1 });
      return;
    }
    repairs.count += 1;
    const fact = () => `${this.#label} repeats ${sequence} ${repairs.count} times at once`;
    hold(repairs.count <= repairsPerLingerMax, "repairs-linger", fact);
  }

  #onAsk(boot: string, range: SequenceRange): void {
    const heard = this.#heard.get(boot);
    for (let sequence = range.first; sequence < range.first + range.count; sequence++) {
      this.asked += 1;
      const ask = () => `${this.#label} asks ${boot} for ${sequence}`;
      hold(heard !== undefined && sequence > heard.first, "no-ask-for-history", ask);
      if (heard === undefined) continue;
      hold(sequence >= heard.oldest, "no-ask-for-what-is-gone", ask);
      const times = (heard.asks.get(sequence) ?? 0) + 1;
      heard.asks.set(sequence, times);
      hold(times <= limits.nakTriesMax, "asks-are-bounded", () => `${ask()} ${times} times`);
    }
  }
}
