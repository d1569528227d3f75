import { Tag } from "../../protocol/frames.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";
import type { Outbox } from "../outbox.ts";

/** Asks peers for what is missing of their streams, and tells what was given up. */
export class Gaps {
  readonly #peers: PeerTable;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #onLost: (peer: Peer) => void;
  /** Whether some peer's stream may have a gap, or have given something up. */
  #open = false;

  /** `onLost`: numbers of the peer, or blocks, will not come as deltas any more. */
  constructor(peers: PeerTable, outbox: Outbox, counters: Counters, onLost: (peer: Peer) => void) {
    this.#peers = peers;
    this.#outbox = outbox;
    this.#counters = counters;
    this.#onLost = onLost;
  }

  /** Something came from this peer. */
  note(peer: Peer): void {
    if (peer.lacksData) this.#open = true;
  }

  /** Drops blocks that make no progress. */
  sweep(nowMs: number): void {
    for (const peer of this.#peers.all()) {
      peer.reassembly.sweep(nowMs);
      this.note(peer);
    }
  }

  tick(nowMs: number): void {
    if (!this.#open) return;
    this.#open = false;
    for (const peer of this.#peers.all()) {
      this.#ask(peer, nowMs);
      this.note(peer);
    }
  }

  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    if (!this.#open) return dueMs;
    for (const peer of this.#peers.all()) dueMs = Math.min(dueMs, peer.incoming.dueMs);
    return dueMs;
  }

  #ask(peer: Peer, nowMs: number): void {
    // Who went meanwhile, or has still to show that it lives, is not asked.
    const abandoned = peer.trusted ? 0 : peer.incoming.abandon();
    const ranges = peer.incoming.takeDue(nowMs);
    if (ranges.length > 0) {
      this.#counters.naks.sent += 1;
      for (const range of ranges) this.#counters.naks.sequencesAsked += range.count;
      this.#outbox.unicast(peer.address, [{ tag: Tag.nak, boot: peer.boot, ranges }]);
    }
    const lost = peer.incoming.takeLost();
    const dropped = peer.reassembly.takeDropped();
    this.#counters.naks.sequencesAbandoned += abandoned;
    this.#counters.naks.sequencesLost += lost - abandoned;
    this.#counters.stream.reassembliesDropped += dropped;
    if (lost + dropped > 0) this.#onLost(peer);
  }
}
