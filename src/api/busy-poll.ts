import { limits } from "../protocol/limits.ts";
import type { ServerCounters } from "./server-counters.ts";

const { busyPollAfter, busyPollRequestsMax } = limits;

/** Where time comes from, and what runs a function once the event loop has come round. */
export interface EventLoop {
  /** Milliseconds, of a clock that is never set. */
  now(): number;
  defer(run: () => void): void;
}

const thisEventLoop: EventLoop = { now: () => performance.now(), defer: setImmediate };

/**
 * Keeps the process awake for a moment after a request, while clients ask one thing after another.
 * A process that sleeps in the kernel is woken for the next request, often on a processor that
 * sleeps as well, and that takes several times as long as to serve it. Like the adaptive polling of
 * Linux's haltpoll governor: only after several requests in a row that came soon enough, and the
 * first that does not ends it. So for each of those at most one window is spent in vain.
 *
 * Awake means that the event loop goes round: everything else in it is served all the time, and who
 * needs this processor gets it as from any other process that works.
 */
export class BusyPoll {
  readonly #windowMs: number;
  readonly #counters: ServerCounters;
  readonly #loop: EventLoop;
  #arrivedMs = Number.NEGATIVE_INFINITY;
  #servedMs = Number.NEGATIVE_INFINITY;
  /** Requests in a row that came within a window. */
  #inTime = 0;
  #polling = false;

  /** `windowMicros`: how long to stay awake for the next request; 0: never. */
  constructor(windowMicros: number, counters: ServerCounters, loop = thisEventLoop) {
    this.#windowMs = windowMicros / 1_000;
    this.#counters = counters;
    this.#loop = loop;
  }

  /** Octets are there. To be called before what they ask is served. */
  arrived(): void {
    if (this.#windowMs > 0) this.#arrivedMs = this.#loop.now();
  }

  /**
   * So many replies have left; 0: what came was no whole request. Who had many requests in flight
   * is at work on the replies, and of the next more are there at once for whoever comes later.
   */
  served(count: number): void {
    if (this.#windowMs === 0 || count === 0) return;
    const idleMs = this.#arrivedMs - this.#servedMs;
    if (this.#polling) this.#count(Math.min(idleMs, this.#windowMs));
    // Of one that is asleep the time to wake it is in this, which polling would spare.
    const inTimeMs = this.#polling ? this.#windowMs : this.#windowMs * 2;
    const isInTime = idleMs <= inTimeMs && count <= busyPollRequestsMax;
    this.#inTime = isInTime ? this.#inTime + 1 : 0;
    this.#servedMs = this.#loop.now();
    if (this.#polling || this.#inTime < busyPollAfter) return;
    this.#polling = true;
    this.#loop.defer(this.#poll);
  }

  /** It may sleep: nobody is there who could ask. */
  stop(): void {
    this.#inTime = 0;
  }

  readonly #poll = (): void => {
    const wasEnded = this.#inTime < busyPollAfter;
    if (!wasEnded && this.#loop.now() - this.#servedMs <= this.#windowMs) {
      this.#loop.defer(this.#poll);
      return;
    }
    this.#polling = false;
    if (wasEnded) return;
    this.#inTime = 0;
    this.#counters.busyPollsInVain += 1;
    this.#count(this.#windowMs);
  };

  #count(idleMs: number): void {
    this.#counters.busyPollMicros += Math.round(idleMs * 1_000);
  }
}
