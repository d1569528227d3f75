import { Tag } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Outbox } from "../outbox.ts";
import type { Peer } from "./peer.ts";
import type { PeerTable } from "./peer-table.ts";
import type { PathFault, Via } from "./ways.ts";

/**
 * Finds the peers whose multicast does not arrive here though they are there: a switch that forgot
 * this port, a router in between, a wrong interface. Such a peer is asked to send this node a copy
 * by unicast of all that it sends to the group, again and again until its multicast has come for a
 * while. It grants a lease, so that one who forgets to ask, or dies, does not cost it anything.
 *
 * Everybody multicasts twice a second, so absence shows. That the peer lives is known from its
 * unicast: after a little silence it is pinged, and the ack tells.
 */
export class Reception {
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  /** When anybody's multicast came last. */
  #multicastMs = Number.NEGATIVE_INFINITY;
  #rejoinDueMs = Number.NEGATIVE_INFINITY;
  /** Nothing is due before; what comes from a single peer only makes it earlier. */
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(outbox: Outbox, counters: Counters) {
    this.#outbox = outbox;
    this.#counters = counters;
  }

  heard(peer: Peer, via: Via, nowMs: number): void {
    this.#note(peer, via, nowMs);
    this.#dueMs = Math.min(this.#dueMs, dueMsOf(peer));
  }

  #note(peer: Peer, via: Via, nowMs: number): void {
    const { ways } = peer;
    // After an absence the watch begins anew: its next multicast is on the way.
    if (nowMs >= ways.heardMs + limits.downAfterMs) {
      ways.silentSinceMs = nowMs;
      ways.unicastMs = Number.NEGATIVE_INFINITY;
      ways.greeted = false;
      ways.greetsBack = false;
      ways.greetings = 0;
      ways.multicastSinceMs = Number.POSITIVE_INFINITY;
    }
    ways.heardMs = nowMs;
    if (via === "unicast") {
      ways.unicastMs = nowMs;
      return;
    }
    this.#multicastMs = nowMs;
    const gap = nowMs >= ways.silentSinceMs + limits.deafAfterMs;
    ways.multicastSinceMs = gap ? nowMs : Math.min(ways.multicastSinceMs, nowMs);
    ways.silentSinceMs = nowMs;
    const steady = nowMs >= ways.multicastSinceMs + limits.copiesEndAfterMs;
    if (ways.fault !== undefined && steady) this.#recovered(peer);
  }

  tick(peers: PeerTable, nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = Number.POSITIVE_INFINITY;
    for (const peer of peers.all()) {
      if (peer.state !== "up") continue;
      if (nowMs >= dueMsOf(peer)) this.#judge(peer, nowMs);
      this.#dueMs = Math.min(this.#dueMs, dueMsOf(peer));
    }
  }

  #judge(peer: Peer, nowMs: number): void {
    const { ways } = peer;
    const isNew = ways.fault === undefined;
    ways.fault = this.#faultOf(nowMs);
    if (isNew) {
      this.#outbox.notify({ event: "multicast_lost", peer: peer.who, fault: ways.fault });
    }
    ways.askDueMs = nowMs + limits.copiesEveryMs;
    this.#ask(peer, limits.copiesLeaseMs);
    if (ways.fault !== "not_this_peer") this.#rejoin(nowMs);
  }

  /** Nobody is to be judged or asked before this, and at this time perhaps nobody yet. */
  get dueMs(): number {
    return this.#dueMs;
  }

  #recovered(peer: Peer): void {
    peer.ways.fault = undefined;
    this.#ask(peer, 0);
    this.#outbox.notify({ event: "multicast_back", peer: peer.who });
  }

  #ask(peer: Peer, leaseMs: number): void {
    this.#counters.paths.copiesAsked += 1;
    this.#outbox.unicast(peer.address, [{ tag: Tag.copies, leaseMs }]);
  }

  #faultOf(nowMs: number): PathFault {
    if (this.#multicastMs === Number.NEGATIVE_INFINITY) return "never_any";
    return nowMs < this.#multicastMs + limits.deafAfterMs ? "not_this_peer" : "stopped";
  }

  /** A switch that forgot this port learns it again from a new report of membership. */
  #rejoin(nowMs: number): void {
    if (nowMs < this.#rejoinDueMs) return;
    this.#rejoinDueMs = nowMs + limits.rejoinEveryMs;
    this.#counters.paths.rejoins += 1;
    this.#outbox.rejoin();
  }
}

/** When a peer that is up is found to be deaf to, or is to be asked again. */
function dueMsOf({ ways }: Peer): number {
  if (ways.fault !== undefined) return ways.askDueMs;
  // One that fell silent altogether is not judged: its unicast has to show that it lives.
  const lives = ways.unicastMs >= ways.silentSinceMs + limits.heartbeatMs;
  return lives ? ways.silentSinceMs + limits.deafAfterMs : Number.POSITIVE_INFINITY;
}
