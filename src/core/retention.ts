import type { Now } from "../base/now.ts";
import { limits } from "../protocol/limits.ts";
import type { Peer } from "./membership/peer.ts";
import type { PeerTable } from "./membership/peer-table.ts";
import type { Outbox } from "./outbox.ts";
import type { Store } from "./store/store.ts";

/**
 * For how long tombstones are kept. They count in the digest, so nodes that are configured
 * differently would differ for good: each keeps them for the longest time that it is told by its
 * own configuration or by a peer that is up. That falls again once who asked for it has been away
 * for a while: a restart must not cost the tombstones that it will ask for again.
 */
export class Retention {
  readonly #store: Store;
  readonly #peers: PeerTable;
  readonly #outbox: Outbox;
  readonly #ownMs: number;
  /** When it falls if nobody who is longer comes back; Infinity: it need not. */
  #fallsMs = Number.POSITIVE_INFINITY;

  constructor(store: Store, peers: PeerTable, outbox: Outbox) {
    this.#store = store;
    this.#peers = peers;
    this.#outbox = outbox;
    this.#ownMs = store.tombstoneRetentionMs;
  }

  check({ monotonicMs, wallMs }: Now): void {
    let longestMs = this.#ownMs;
    for (const peer of this.#peers.up()) {
      longestMs = Math.max(longestMs, peer.tombstoneRetentionMs);
      this.#note(peer);
    }
    const keptMs = this.#store.tombstoneRetentionMs;
    if (longestMs < keptMs) {
      this.#fallsMs = Math.min(this.#fallsMs, monotonicMs + limits.retentionFallsAfterMs);
      if (monotonicMs < this.#fallsMs) return;
    }
    this.#fallsMs = Number.POSITIVE_INFINITY;
    if (longestMs === keptMs) return;
    this.#store.retainTombstones(longestMs, wallMs);
    // What was refused as over may be taken now.
    for (const peer of this.#peers.all()) peer.compareSoon();
  }

  /** Once for each start of a peer. */
  #note(peer: Peer): void {
    const theirMs = peer.tombstoneRetentionMs;
    if (peer.retentionNoted || theirMs === this.#ownMs) return;
    peer.retentionNoted = true;
    this.#outbox.notify({ event: "retention_differs", peer: peer.who, theirMs });
  }
}
