import type { Copies, Frame } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Address, CoreEvent, GroupOutbox, Outbox } from "../outbox.ts";
import type { Peer } from "./peer.ts";
import type { PeerTable } from "./peer-table.ts";

/** How a node reaches all others: by the network's multicast, or by a datagram to each. */
export type GossipMode = "multicast" | "unicast";

/**
 * What "to the group" means. With multicast: the group, and a copy by unicast to each peer that
 * asked for copies because multicast does not reach it. Without: a copy to each peer that is up.
 * A datagram is encoded once, however many it goes to.
 */
export class Group implements GroupOutbox {
  readonly #mode: GossipMode;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  #copies: readonly Address[] = [];
  /** The end of the longest lease of copies. */
  #leasesUntilMs = Number.NEGATIVE_INFINITY;

  constructor(mode: GossipMode, outbox: Outbox, counters: Counters) {
    this.#mode = mode;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  multicast(frames: readonly Frame[]): void {
    this.#counters.paths.copiesSent += this.#copies.length;
    this.#outbox.multicast(frames, this.#copies);
  }

  unicast(address: Address, frames: readonly Frame[]): void {
    this.#outbox.unicast(address, frames);
  }

  notify(event: CoreEvent): void {
    this.#outbox.notify(event);
  }

  confirmed(ticket: number, peers: number): void {
    this.#outbox.confirmed(ticket, peers);
  }

  fetched(ticket: number, known: boolean): void {
    this.#outbox.fetched(ticket, known);
  }

  rejoin(): void {
    this.#outbox.rejoin();
  }

  get backlogBytes(): number {
    return this.#outbox.backlogBytes;
  }

  get fanOut(): number {
    return this.#copies.length + (this.#mode === "unicast" ? 0 : 1);
  }

  /** A peer does not get our multicast, or gets it again. */
  onCopies(peer: Peer, frame: Copies, nowMs: number): void {
    this.#counters.paths.copiesGranted += 1;
    peer.ways.copiesUntilMs = nowMs + Math.min(frame.leaseMs, limits.copiesLeaseMsMax);
    this.#leasesUntilMs = Math.max(this.#leasesUntilMs, peer.ways.copiesUntilMs);
  }

  /** Before anything is sent in a turn: to whom copies go. */
  tick(peers: PeerTable, nowMs: number): void {
    const all = this.#mode === "unicast";
    if (!all && nowMs >= this.#leasesUntilMs) {
      if (this.#copies.length > 0) this.#copies = [];
      return;
    }
    const copies: Address[] = [];
    for (const { state, ways, address } of peers.all()) {
      if (state === "up" && (all || nowMs < ways.copiesUntilMs)) copies.push(address);
    }
    this.#copies = copies;
  }
}
