import type { Now } from "../base/now.ts";
import { limits } from "../protocol/limits.ts";
import type { Counters } from "./counters.ts";
import type { PeerTable } from "./membership/peer-table.ts";
import type { Outbox } from "./outbox.ts";
import { Retention } from "./retention.ts";
import type { Store } from "./store/store.ts";
import { StoreAlarms } from "./store/store-alarms.ts";
import type { Gaps } from "./stream/gaps.ts";

/** What is done once in each slot of the expiry schedule, as by all peers at that time. */
export class Sweep {
  readonly #store: Store;
  readonly #gaps: Gaps;
  readonly #counters: Counters;
  readonly #retention: Retention;
  readonly #alarms: StoreAlarms;
  #dueMs = 0;

  constructor(store: Store, peers: PeerTable, gaps: Gaps, outbox: Outbox, counters: Counters) {
    this.#store = store;
    this.#gaps = gaps;
    this.#counters = counters;
    this.#retention = new Retention(store, peers, outbox);
    this.#alarms = new StoreAlarms(outbox);
  }

  /** At once while the store has more to forget. */
  get dueMs(): number {
    return this.#store.isSweeping ? Number.NEGATIVE_INFINITY : this.#dueMs;
  }

  tick(now: Now): void {
    const { monotonicMs, wallMs } = now;
    if (monotonicMs < this.#dueMs) {
      if (this.#store.isSweeping) this.#store.sweep(wallMs);
      return;
    }
    this.#dueMs = monotonicMs + limits.expirySlotMs - (wallMs % limits.expirySlotMs);
    this.#retention.check(now);
    this.#store.sweep(wallMs);
    this.#gaps.sweep(monotonicMs);
    this.#alarms.check(this.#counters.store, monotonicMs);
  }
}
