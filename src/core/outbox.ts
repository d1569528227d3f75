import type { BootId, Frame } from "../protocol/frames.ts";
import type { PathFault } from "./membership/ways.ts";
import type { ReadyReason } from "./reconcile/join.ts";

/** Where a peer's unicast socket is: "host:port", over IPv6 "[host]:port". */
export type Address = string;

/**
 * The core's one door out: it asks, the shell acts. Frames are to be encoded within the call: the
 * octets in them may be in memory that is used again.
 */
export interface Outbox {
  /** One datagram to the whole group, if there is one, and by unicast to each of `copies`. */
  multicast(frames: readonly Frame[], copies?: readonly Address[]): void;
  /** One datagram to one peer. */
  unicast(address: Address, frames: readonly Frame[]): void;
  notify(event: CoreEvent): void;
  /** So many peers have applied the write, or its time is over. See `Replica.confirm`. */
  confirmed(ticket: number, peers: number): void;
  /** A fetch ended. Known: whether there is such a session can now be said truthfully. */
  fetched(ticket: number, known: boolean): void;
  /** Nobody's multicast arrives: the sockets should leave the group and join it again. */
  rejoin(): void;
  /** Octets that were handed over and that the network has not taken yet. */
  readonly backlogBytes: number;
}

/** A door that knows how many datagrams one to the group becomes. */
export interface GroupOutbox extends Outbox {
  readonly fanOut: number;
}

/** What an operator wants to read in the log. Never carries session ids. */
export type CoreEvent =
  | { readonly event: "ready"; readonly reason: ReadyReason }
  | { readonly event: "peer_up" | "peer_down" | "peer_left"; readonly peer: PeerName }
  | { readonly event: "peer_restarted"; readonly peer: PeerName }
  | { readonly event: "peer_skewed"; readonly peer: PeerName; readonly aheadMs: number }
  | { readonly event: "peer_suspected" | "peer_heard_again"; readonly peer: PeerName }
  | { readonly event: "peer_vouched"; readonly peer: PeerName; readonly by: PeerName }
  | { readonly event: "isolated" | "isolation_over" }
  | { readonly event: "clock_recovered"; readonly aheadMs: number; readonly records: number }
  | { readonly event: "name_taken"; readonly peer: PeerName; readonly by: BootId }
  | { readonly event: "boot_shared"; readonly peer: PeerName }
  | { readonly event: "multicast_lost"; readonly peer: PeerName; readonly fault: PathFault }
  | { readonly event: "multicast_back"; readonly peer: PeerName }
  | { readonly event: "retention_differs"; readonly peer: PeerName; readonly theirMs: number }
  | { readonly event: "peer_lags" | "peer_keeps_up"; readonly peer: PeerName }
  | { readonly event: "tombstones_dropped"; readonly count: number }
  | { readonly event: "sessions_evicted"; readonly count: number };

export interface PeerName {
  readonly name: string;
  readonly boot: BootId;
  readonly address: Address;
}
