import { Prng } from "../../src/base/prng.ts";
import { Counters } from "../../src/core/counters.ts";
import { Feedback } from "../../src/core/stream/feedback.ts";
import type { Receiver } from "../../src/core/stream/laggards.ts";
import { Pacer } from "../../src/core/stream/pacer.ts";
import { RateControl } from "../../src/core/stream/rate-control.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

const datagramBytes = 1_372;
const stepMs = 1;
/** How long after a loss the NAK for it arrives. */
const nakAfterMs = 8;

/** One way to a receiver: a buffer that drains at a rate, and loss that no rate explains. */
export class Link implements Receiver {
  readonly who: Receiver["who"];
  readonly feedback = new Feedback();
  bytesPerSecond = Number.POSITIVE_INFINITY;
  bufferBytes = 100_000;
  loss = 0;
  arrived = 0;
  #filled = 0;
  readonly #asks: { atMs: number; sequence: number }[] = [];

  constructor(name: string) {
    this.who = { name, boot: name, address: name };
  }

  send(sequence: number, prng: Prng, nowMs: number): void {
    const drains = this.bytesPerSecond === Number.POSITIVE_INFINITY;
    const isFull = !drains && this.#filled + datagramBytes > this.bufferBytes;
    if (isFull || prng.chance(this.loss)) this.#asks.push({ atMs: nowMs + nakAfterMs, sequence });
    else {
      this.#filled += datagramBytes;
      this.arrived += 1;
    }
  }

  pass(sent: number, nowMs: number): void {
    this.#filled = Math.max(0, this.#filled - (this.bytesPerSecond / 1_000) * stepMs);
    while ((this.#asks[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const { sequence = 0 } = this.#asks.shift() ?? {};
      this.feedback.note([{ first: sequence, count: 1 }], sent);
    }
  }
}

/** A sender with more to send than ever leaves, its rate control, and links to its receivers. */
export class PacedSender {
  readonly counters = new Counters();
  readonly outbox = new RecordingOutbox();
  readonly pacer: Pacer;
  readonly control: RateControl;
  readonly links: readonly Link[];
  readonly #prng: Prng;
  /** What there is to send; more than the rate by default. */
  offeredBytesPerSecond = Number.POSITIVE_INFINITY;
  nowMs = 0;
  sent = 0;
  #offered = 0;

  constructor(rateMax: number, links: readonly string[], seed = 1) {
    this.pacer = new Pacer(rateMax);
    this.control = new RateControl(this.pacer, this.outbox, this.counters);
    this.links = links.map((name) => new Link(name));
    this.#prng = new Prng(seed);
  }

  link(index: number): Link {
    const link = this.links[index];
    if (link === undefined) throw new Error(`there is no link ${index}`);
    return link;
  }

  run(ms: number): void {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs += stepMs;
      const { offeredBytesPerSecond } = this;
      const offered = this.#offered + (offeredBytesPerSecond / 1_000) * stepMs;
      this.#offered = Math.min(1e9, offeredBytesPerSecond, offered);
      for (const link of this.links) link.pass(this.sent, this.nowMs);
      this.control.tick(this.links, this.nowMs);
      while (this.#offered >= datagramBytes && this.pacer.mayFlush(this.nowMs)) this.#send();
    }
  }

  /** How many octets a second arrived at a link while so much time passed. */
  goodput(link: Link, ms: number): number {
    const before = link.arrived;
    this.run(ms);
    return ((link.arrived - before) * datagramBytes * 1_000) / ms;
  }

  /** How many left a second, likewise. */
  throughput(ms: number): number {
    const before = this.sent;
    this.run(ms);
    return ((this.sent - before) * datagramBytes * 1_000) / ms;
  }

  #send(): void {
    this.#offered -= datagramBytes;
    this.sent += 1;
    this.pacer.flushed(datagramBytes, this.nowMs);
    for (const link of this.links) link.send(this.sent, this.#prng, this.nowMs);
  }
}
