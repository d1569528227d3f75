import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Outbox } from "../outbox.ts";

/** Tells the operator, not too often, that the store is losing something for lack of room. */
export class StoreAlarms {
  readonly #outbox: Outbox;
  #nextMs = 0;
  #evicted = 0;
  #dropped = 0;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  check(counters: Counters["store"], nowMs: number): void {
    const evicted = counters.evicted - this.#evicted;
    const dropped = counters.tombstonesDropped - this.#dropped;
    if (evicted + dropped === 0 || nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + limits.alarmEveryMs;
    this.#evicted = counters.evicted;
    this.#dropped = counters.tombstonesDropped;
    if (evicted > 0) this.#outbox.notify({ event: "sessions_evicted", count: evicted });
    if (dropped > 0) this.#outbox.notify({ event: "tombstones_dropped", count: dropped });
  }
}
