import type { Prng } from "../../base/prng.ts";
import { type BootId, type Heartbeat, Tag } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Address, Outbox } from "../outbox.ts";
import { Peer } from "./peer.ts";

/**
 * Who is there. Silence makes a peer first pinged, then down; anything it sends makes it up again.
 * That is this node's own opinion, told to nobody, and no data depends on it. A start of a node
 * (boot id) replaces an older start of the same name at once: boot ids begin with the time. The
 * older one is refused as long as the newer is up; after that it is heard again, since it may be
 * the node after a restart with its clock set back.
 */
export class PeerTable {
  readonly #self: { readonly boot: BootId; readonly name: string };
  readonly #prng: Prng;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #peers = new Map<BootId, Peer>();
  #tickedMs = Number.POSITIVE_INFINITY;
  /** Starts that a newer one of the same name has replaced, and by which. */
  readonly #replaced = new Map<BootId, Peer>();

  constructor(
    self: { readonly boot: BootId; readonly name: string },
    prng: Prng,
    outbox: Outbox,
    counters: Counters,
  ) {
    this.#self = self;
    this.#prng = prng;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** A datagram came from this boot. Undefined: it is to be ignored. */
  hear(boot: BootId, address: Address, nowMs: number): Peer | undefined {
    let peer = this.#peers.get(boot);
    if (peer === undefined) {
      if (this.#replaced.get(boot)?.state === "up") {
        this.#counters.membership.staleBoots += 1;
        return undefined;
      }
      if (this.#peers.size >= limits.peersMax && !this.#dropAbsent()) {
        this.#counters.membership.tableFull += 1;
        return undefined;
      }
      this.#replaced.delete(boot);
      peer = new Peer(boot, address, nowMs, this.#prng);
      this.#peers.set(boot, peer);
    }
    peer.address = address;
    peer.lastHeardMs = nowMs;
    peer.pingDueMs = nowMs + limits.pingAfterMs;
    if (peer.state === "down") {
      peer.state = "up";
      this.#outbox.notify({ event: "peer_up", peer: peer.who });
    }
    return peer;
  }

  /** What the peer says of itself. False: it is an older start of a name that is taken. */
  introduce(peer: Peer, heartbeat: Heartbeat): boolean {
    const isNew = peer.name === "";
    peer.name = heartbeat.name;
    peer.phase = heartbeat.phase;
    peer.count = heartbeat.count;
    peer.stubs = heartbeat.stubs;
    peer.digest = heartbeat.digest;
    if (peer.state === "left" && heartbeat.phase !== "leaving") {
      peer.state = "up";
      this.#outbox.notify({ event: "peer_up", peer: peer.who });
    }
    if (!isNew) return true;
    if (peer.name === this.#self.name) {
      this.#counters.membership.namesTaken += 1;
      this.#outbox.notify({ event: "name_taken", peer: peer.who });
      return true;
    }
    const restarted = this.#namesake(peer);
    if (restarted !== undefined) {
      const stale = restarted.state === "up" && restarted.boot > peer.boot;
      const [older, newer] = stale ? [peer, restarted] : [restarted, peer];
      this.#peers.delete(older.boot);
      older.state = "down";
      this.#noteReplaced(older.boot, newer);
      if (stale) return false;
    }
    const event = restarted === undefined ? "peer_up" : "peer_restarted";
    this.#outbox.notify({ event, peer: peer.who });
    return true;
  }

  leave(peer: Peer): void {
    if (peer.state === "left") return;
    peer.state = "left";
    peer.phase = "leaving";
    this.#outbox.notify({ event: "peer_left", peer: peer.who });
  }

  tick(nowMs: number): void {
    this.#excuse(nowMs);
    for (const peer of this.#peers.values()) {
      // Compared as sums throughout, as in `dueMs`: differences would round otherwise.
      if (peer.state !== "up") {
        if (nowMs >= peer.lastHeardMs + forgetMsOf(peer)) this.#peers.delete(peer.boot);
      } else if (nowMs >= peer.lastHeardMs + limits.downAfterMs) {
        peer.state = "down";
        peer.mismatchSinceMs = Number.POSITIVE_INFINITY;
        this.#outbox.notify({ event: "peer_down", peer: peer.who });
      } else if (nowMs >= peer.pingDueMs) {
        peer.pingDueMs = nowMs + limits.pingEveryMs;
        this.#counters.membership.pingsSent += 1;
        this.#outbox.unicast(peer.address, [{ tag: Tag.ping, nonce: this.#prng.uint32() }]);
      }
    }
  }

  /**
   * A node that was stopped (by a signal, with its machine, to collect garbage) has heard nobody,
   * and what came meanwhile may still lie unread: that silence is nobody's but its own.
   */
  #excuse(nowMs: number): void {
    const pausedMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    if (pausedMs < limits.ownPauseMsMin) return;
    this.#counters.membership.ownPauses += 1;
    for (const peer of this.#peers.values()) {
      if (peer.state !== "up") continue;
      peer.lastHeardMs = Math.min(nowMs, peer.lastHeardMs + pausedMs);
      peer.pingDueMs = nowMs;
    }
  }

  /** When the next ping or verdict is due. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const peer of this.#peers.values()) {
      const next =
        peer.state === "up"
          ? Math.min(peer.pingDueMs, peer.lastHeardMs + limits.downAfterMs)
          : peer.lastHeardMs + forgetMsOf(peer);
      dueMs = Math.min(dueMs, next);
    }
    return dueMs;
  }

  get(boot: BootId): Peer | undefined {
    return this.#peers.get(boot);
  }

  all(): IterableIterator<Peer> {
    return this.#peers.values();
  }

  /** Makes room: the peer that is gone and was heard longest ago. False: all are up. */
  #dropAbsent(): boolean {
    let longest: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (peer.state === "up") continue;
      if (longest === undefined || peer.lastHeardMs < longest.lastHeardMs) longest = peer;
    }
    return longest !== undefined && this.#peers.delete(longest.boot);
  }

  #noteReplaced(boot: BootId, by: Peer): void {
    const [oldest] = this.#replaced.keys();
    if (this.#replaced.size >= limits.peersMax && oldest !== undefined) {
      this.#replaced.delete(oldest);
    }
    this.#replaced.set(boot, by);
  }

  #namesake(peer: Peer): Peer | undefined {
    for (const other of this.#peers.values()) {
      if (other !== peer && other.name === peer.name) return other;
    }
    return undefined;
  }
}

/** Who said good-bye is shown for a moment; who did not may come back. */
function forgetMsOf(peer: Peer): number {
  return peer.state === "left" ? limits.peerForgetLeftMs : limits.peerForgetMs;
}
