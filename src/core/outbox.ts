import type { BootId, Frame } from "../protocol/frames.ts";

/** Where a peer's unicast socket is: "host:port". */
export type Address = string;

/** The core's one door out: it asks, the shell acts. */
export interface Outbox {
  /** One datagram to the whole group. */
  multicast(frames: readonly Frame[]): void;
  /** One datagram to one peer. */
  unicast(address: Address, frames: readonly Frame[]): void;
  notify(event: CoreEvent): void;
  /** So many peers have applied the write, or its time is over. See `Replica.confirm`. */
  confirmed(ticket: number, peers: number): void;
  /** A fetch ended. Known: whether there is such a session can now be said truthfully. */
  fetched(ticket: number, known: boolean): void;
}

/** What an operator wants to read in the log. Never carries session ids. */
export type CoreEvent =
  | { readonly event: "ready"; readonly reason: "in_sync" | "alone" | "gave_up" }
  | { readonly event: "peer_up" | "peer_down" | "peer_left"; readonly peer: PeerName }
  | { readonly event: "peer_restarted"; readonly peer: PeerName }
  | { readonly event: "peer_skewed"; readonly peer: PeerName; readonly aheadMs: number }
  | { readonly event: "name_taken"; readonly peer: PeerName }
  | { readonly event: "tombstones_dropped"; readonly count: number }
  | { readonly event: "sessions_evicted"; readonly count: number };

export interface PeerName {
  readonly name: string;
  readonly boot: BootId;
  readonly address: Address;
}
