import type { Now } from "../base/now.ts";
import { limits } from "../protocol/limits.ts";
import type { HybridClock } from "../session/hybrid-clock.ts";
import { stampTimeOf, stampWallMs } from "../session/stamp.ts";
import { ClockVotes } from "./clock-votes.ts";
import type { Counters } from "./counters.ts";
import type { PeerTable } from "./membership/peer-table.ts";
import type { Outbox } from "./outbox.ts";
import type { Store } from "./store/store.ts";

/**
 * How a node whose clock ran ahead, and was set right, becomes one of the others again. What it
 * wrote meanwhile is stamped in the future: peers refuse it, and its hybrid clock, which never goes
 * back, would stamp on in the future until real time has caught up.
 *
 * So once its wall clock is one that most peers agree with, the node gives all that is stamped in
 * the future, its own writes and those it took from others with the same fault, the time at which
 * they were truly made, and sets its hybrid clock back; reconciliation brings it to the peers. A
 * node whose clock was right and has been set back sees its peers ahead, and changes nothing.
 */
export class ClockRecovery {
  readonly votes: ClockVotes;
  readonly #store: Store;
  readonly #clock: HybridClock;
  readonly #peers: PeerTable;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  /** The most that the wall clock was ahead of the monotonic one since the last recovery. */
  #offsetMsMax = Number.NEGATIVE_INFINITY;

  constructor(
    store: Store,
    clock: HybridClock,
    peers: PeerTable,
    outbox: Outbox,
    counters: Counters,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#peers = peers;
    this.votes = new ClockVotes(peers);
    this.#outbox = outbox;
    this.#counters = counters;
  }

  tick(now: Now): void {
    const { monotonicMs, wallMs } = now;
    const offsetMs = wallMs - monotonicMs;
    this.#offsetMsMax = Math.max(this.#offsetMsMax, offsetMs);
    if (!this.#clock.isAhead(this.#clock.time, wallMs) || !this.votes.areWithUs(now)) return;
    const aheadMs = Math.max(
      Math.ceil(this.#offsetMsMax - offsetMs),
      stampWallMs(this.#clock.time) - Math.floor(wallMs) + 1,
    );
    const acceptedTime = stampTimeOf(wallMs + limits.clockDriftMsMax);
    const { records, latestTime } = this.#store.restamp({ acceptedTime, aheadMs }, wallMs);
    this.#clock.setRight(Math.max(latestTime, stampTimeOf(wallMs)));
    this.#offsetMsMax = offsetMs;
    for (const peer of this.#peers.all()) peer.compareSoon();
    this.#counters.clock.recoveries += 1;
    this.#counters.clock.restamped += records;
    this.#outbox.notify({ event: "clock_recovered", aheadMs, records });
  }
}
