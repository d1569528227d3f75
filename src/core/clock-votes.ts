import type { Now } from "../base/now.ts";
import { limits } from "../protocol/limits.ts";
import type { PeerTable } from "./membership/peer-table.ts";

/** By how much a peer's clocks are ahead of ours: the one it goes by, and its machine's. */
interface Offsets {
  readonly followedMs: number;
  readonly machineMs: number;
}

/** What time it is, as most of the peers that are up have it. */
export class ClockVotes {
  readonly #peers: PeerTable;

  constructor(peers: PeerTable) {
    this.#peers = peers;
  }

  /** Whether more peers show about the same time as this node than a later one. */
  areWithUs(now: Now): boolean {
    const votes = this.#count(now, ({ followedMs }) => {
      if (followedMs > limits.clockDriftMsMax) return -1;
      return followedMs >= -limits.clockDriftMsMax ? 1 : 0;
    });
    return votes !== undefined && votes > 0;
  }

  /**
   * This node's machine shows a time that is so much later: how many more peers does that lead to
   * than away from? To come nearer to one that is far off by less than half is to follow nobody.
   * Undefined: nobody tells. What a peer's machine shows counts, and not what the
   * peer goes by: else machines that are set right one by one would all wait for each other.
   */
  forStep(byMs: number, now: Now): number | undefined {
    return this.#count(now, ({ machineMs }) => {
      const distanceMs = Math.abs(machineMs - byMs);
      const isNear = distanceMs <= limits.clockDriftMsMax;
      return isNear || distanceMs < Math.abs(machineMs) / 2 ? 1 : -1;
    });
  }

  #count(now: Now, vote: (offsets: Offsets) => number): number | undefined {
    let votes: number | undefined;
    for (const peer of this.#peers.up()) {
      const followedMs = peer.clockOffsetMs(now);
      // What was told before may be from before the step.
      if (followedMs === undefined || now.monotonicMs > peer.heartbeatMs + limits.freshMs) continue;
      votes = (votes ?? 0) + vote({ followedMs, machineMs: followedMs + peer.machineAheadMs });
    }
    return votes;
  }
}
