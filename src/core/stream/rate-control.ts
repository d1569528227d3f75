import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Outbox } from "../outbox.ts";
import { Laggards, type Receiver } from "./laggards.ts";
import type { Pacer, Sent } from "./pacer.ts";

/** A cut goes to what the receiver got that lost most, less a margin, but no deeper than this. */
const cutMargin = 0.9;
const cutMin = 0.5;
/** How fast a burst was is measured over no less than this, in milliseconds. */
const burstMsMin = 50;
/** A raise is this share of the highest rate, and no more than that of the present one. */
const raiseShareOfMax = 0.025;
const raiseShareOfRate = 0.1;
/** A cut that lowered the loss by less than this part of what it should have was in vain. */
const effectMin = 1 / 3;
/** With so much lost no single cut shows in what is left of it: it is taken for the rate's. */
const hopelessShare = 0.75;
/** A cut that lowered what is sent by less than this shows nothing. */
const cutShown = 0.95;

interface Trial {
  readonly rateBefore: number;
  readonly bytesPerMs: number;
  /** What was lost before the cut is still being asked for. */
  settling: boolean;
}

/**
 * Additive increase, multiplicative decrease of the rate, on what receivers ask for. The receiver
 * that loses most counts, laggards aside.
 *
 * Not all loss is of the sender's making: a bad cable loses a tenth at any rate, and a rate that
 * followed it would end at nothing. So each cut is a trial. If the rate was the cause, the loss
 * must fall as the rate did: a receiver that could take a part of the old rate can take so much of
 * the new. If it does not, the cut is undone, and this much loss is that receiver's base: only what
 * goes beyond counts from then on. A base is forgotten after a while, and found out again by
 * another trial, which costs half a second at a lower rate.
 */
export class RateControl {
  readonly #pacer: Pacer;
  readonly #laggards: Laggards;
  readonly #counters: Counters;
  #startMs = Number.NEGATIVE_INFINITY;
  #raiseFromMs = Number.NEGATIVE_INFINITY;
  #trial: Trial | undefined;

  constructor(pacer: Pacer, outbox: Outbox, counters: Counters) {
    this.#pacer = pacer;
    this.#laggards = new Laggards(outbox, counters);
    this.#counters = counters;
  }

  /** `receivers`: those that are up. */
  tick(receivers: Iterable<Receiver>, nowMs: number): void {
    const forMs = nowMs - this.#startMs;
    if (forMs < limits.rateJudgeMs) return;
    const enough = this.#pacer.datagrams >= limits.rateJudgeDatagrams;
    if (!enough && forMs < limits.rateJudgeMsMax) return;
    const startMs = this.#startMs;
    this.#startMs = nowMs;
    const peers = [...receivers];
    const sent = this.#pacer.takeSent();
    for (const { feedback } of peers) feedback.judge(sent.datagrams, nowMs);
    this.#laggards.takeBack(peers, nowMs);
    // Few numbers tell nothing, and what was sent over a long time nothing of now.
    const telling =
      sent.datagrams >= limits.rateJudgeDatagramsMin && forMs < 2 * limits.rateJudgeMsMax;
    if (telling) {
      const counted = this.#laggards.sortOut(peers, startMs, nowMs);
      // What counts is how fast it left while it did: a pause before would make a cut too deep.
      const overMs = Math.max(burstMsMin, Math.min(sent.overMs, forMs));
      this.#judge(counted, sent, sent.bytes / overMs, nowMs);
    } else {
      for (const { feedback } of peers) feedback.outlierSinceMs = Number.POSITIVE_INFINITY;
      if (this.#trial !== undefined) this.#undo(peers, this.#trial, nowMs);
    }
  }

  #judge(receivers: readonly Receiver[], sent: Sent, bytesPerMs: number, nowMs: number): void {
    const trial = this.#trial;
    if (trial?.settling) {
      trial.settling = false;
      return;
    }
    if (trial !== undefined) this.#conclude(receivers, trial, bytesPerMs, nowMs);
    const losing = receivers.filter(({ feedback }) => feedback.losesMore);
    if (losing.length > 0) this.#cut(losing, bytesPerMs, nowMs);
    else if (sent.limited && nowMs >= this.#raiseFromMs) this.#raise(nowMs);
  }

  #cut(losing: readonly Receiver[], bytesPerMs: number, nowMs: number): void {
    const used = Math.min(this.#pacer.rate, bytesPerMs * 1_000);
    // Nobody sends less than that, so it cannot be too much.
    if (used <= this.#pacer.rateMin) return;
    const most = Math.max(...losing.map(({ feedback }) => feedback.share - feedback.base));
    for (const { feedback } of losing) feedback.shareBeforeCut = feedback.share;
    this.#trial = { rateBefore: this.#pacer.rate, bytesPerMs, settling: true };
    this.#pacer.setRate(used * Math.max(cutMin, (1 - most) * cutMargin), nowMs);
    this.#raiseFromMs = nowMs + limits.rateRaiseAfterMs;
    this.#counters.pacing.cuts += 1;
  }

  /** Whose loss fell with the rate had it from the rate. */
  #conclude(receivers: readonly Receiver[], trial: Trial, bytesPerMs: number, nowMs: number): void {
    const part = bytesPerMs / trial.bytesPerMs;
    let helped = false;
    for (const { feedback } of receivers) {
      const before = feedback.shareBeforeCut;
      if (before === undefined || part >= cutShown) continue;
      const expected = Math.max(feedback.base, 1 - (1 - before) / part);
      const fell = before - feedback.share >= (before - expected) * effectMin;
      if (fell || before > hopelessShare) helped = true;
      else feedback.learnBase((before + feedback.share) / 2, nowMs);
    }
    if (!helped) this.#undo(receivers, trial, nowMs);
    for (const { feedback } of receivers) feedback.shareBeforeCut = undefined;
    this.#trial = undefined;
  }

  #undo(receivers: readonly Receiver[], trial: Trial, nowMs: number): void {
    for (const { feedback } of receivers) feedback.shareBeforeCut = undefined;
    this.#trial = undefined;
    this.#raiseFromMs = nowMs;
    this.#pacer.setRate(trial.rateBefore, nowMs);
    this.#counters.pacing.cutsUndone += 1;
  }

  #raise(nowMs: number): void {
    const { rate, rateMax } = this.#pacer;
    if (rate >= rateMax) return;
    this.#counters.pacing.raises += 1;
    this.#pacer.setRate(rate + Math.min(rateMax * raiseShareOfMax, rate * raiseShareOfRate), nowMs);
  }
}
