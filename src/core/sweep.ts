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

  get dueMs(): number {
    return this.#dueMs;
  }

  tick(now: Now): void {
    const { monotonicMs, wallMs } = now;
    if (monotonicMs < this.#dueMs) return;
    this.#retention.check(now);
    this.#store.sweep(wallMs);
    const untilNextMs = limits.expirySlotMs - (wallMs % limits.expirySlotMs);
    this.#dueMs = this.#store.isSweeping ? monotonicMs : monotonicMs + untilNextMs;
    this.#gaps.sweep(monotonicMs);
    this.#alarms.check(this.#counters.store, monotonicMs);
  }
}
