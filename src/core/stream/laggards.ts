import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Outbox, PeerName } from "../outbox.ts";
import type { Feedback } from "./feedback.ts";

/** A peer, as far as the pace of the stream is concerned. */
export interface Receiver {
  readonly feedback: Feedback;
  readonly who: PeerName;
}

/** Who loses more than this... */
const outlierShare = 0.2;
/** ...while the others lose less than that... */
const othersShareMax = 0.01;
/** ...is left out, and until it has lost less than this for a while. */
const leftOutShare = 0.05;

/**
 * One slow receiver must not slow all others down. Who alone loses much of the stream has no say
 * in its rate, and few repairs, from the first moment; if that lasts, it gets none. It is told that
 * they are gone, and fetches what it lacks by anti-entropy, at its own pace.
 */
export class Laggards {
  readonly #outbox: Outbox;
  readonly #counters: Counters;

  constructor(outbox: Outbox, counters: Counters) {
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** Those whose loss counts. Their shares are of the time since `startMs`. */
  sortOut(receivers: readonly Receiver[], startMs: number, nowMs: number): readonly Receiver[] {
    const served = receivers.filter(({ feedback }) => !feedback.leftOut);
    return receivers.filter((receiver) => {
      const { feedback } = receiver;
      if (feedback.leftOut) {
        if (feedback.share > leftOutShare) feedback.leftOutUntilMs = nowMs + limits.laggardMs;
        return false;
      }
      if (!isOutlier(receiver, served)) {
        feedback.outlierSinceMs = Number.POSITIVE_INFINITY;
        return true;
      }
      feedback.outlierSinceMs = Math.min(feedback.outlierSinceMs, startMs);
      if (nowMs >= feedback.outlierSinceMs + limits.laggardMs) this.#leaveOut(receiver, nowMs);
      return false;
    });
  }

  /** Who has not lost much for a while is served again, also when there was little to lose. */
  takeBack(receivers: readonly Receiver[], nowMs: number): void {
    for (const { feedback, who } of receivers) {
      if (!feedback.leftOut || nowMs < feedback.leftOutUntilMs) continue;
      feedback.leftOut = false;
      this.#outbox.notify({ event: "peer_keeps_up", peer: who });
    }
  }

  #leaveOut({ feedback, who }: Receiver, nowMs: number): void {
    feedback.leftOut = true;
    feedback.leftOutUntilMs = nowMs + limits.laggardMs;
    feedback.outlierSinceMs = Number.POSITIVE_INFINITY;
    this.#counters.pacing.laggards += 1;
    this.#outbox.notify({ event: "peer_lags", peer: who });
  }
}

/** Whether it loses much, and the median of the others, of whom there must be one, nothing. */
function isOutlier(receiver: Receiver, served: readonly Receiver[]): boolean {
  if (receiver.feedback.share <= outlierShare) return false;
  const others = served.filter((other) => other !== receiver);
  const shares = others.map(({ feedback }) => feedback.share).sort((a, b) => a - b);
  const median = shares[Math.floor(shares.length / 2)];
  return median !== undefined && median < othersShareMax;
}
