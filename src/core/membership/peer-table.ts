import type { Prng } from "../../base/prng.ts";
import { type BootId, type Heartbeat, Tag } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Address, Outbox } from "../outbox.ts";
import { Doubts } from "./doubts.ts";
import { Peer } from "./peer.ts";
import type { Via } from "./ways.ts";

/**
 * Who is there. Whoever is heard is entered, but it is up, and what it sends counts, only when it
 * has said its name and answered a ping drawn for this occasion: datagrams of a dead start,
 * late or sent again by somebody, prove nothing. The same proof brings back a peer that was down or
 * had left.
 *
 * A new start of a node (another boot id under its name) puts the one before in doubt at once, and
 * it is forgotten soon. If it proves that it lives after all, two nodes share a name: both stay, as
 * the data of both is good, and the operator is told.
 */
export class PeerTable {
  readonly #self: { readonly boot: BootId; readonly name: string };
  readonly #prng: Prng;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #peers = new Map<BootId, Peer>();
  /** When a datagram of a boot that is not known was last left unopened, as there were so many. */
  overlookedMs = Number.NEGATIVE_INFINITY;
  /** Nothing is due before. */
  #dueMs = Number.POSITIVE_INFINITY;

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

  /** A datagram came from this boot. Undefined: there is no room for it. */
  hear(boot: BootId, address: Address, nowMs: number): Peer | undefined {
    const peer = this.#peers.get(boot) ?? this.#enter(boot, address, nowMs);
    if (peer === undefined) return undefined;
    peer.source = address;
    if (!peer.wasUp) peer.address = address;
    peer.lastHeardMs = nowMs;
    return peer;
  }

  /** Whether it can be told without a look inside that a datagram has been taken in before. */
  isReplayed(boot: BootId, counter: number, via: Via): boolean {
    return this.#peers.get(boot)?.replay.isReplayed(counter, via) ?? false;
  }

  /**
   * Whether a datagram of this boot does not come from where that is. A start of a node has one
   * socket for its life: somebody has sent on what was for another. Who is not up may be anywhere.
   */
  isStrayed(boot: BootId, source: Address): boolean {
    const peer = this.#peers.get(boot);
    return peer?.state === "up" && peer.address !== source;
  }

  /** Whether this boot has ever shown that it lives. */
  hasProven(boot: BootId): boolean {
    return this.#peers.get(boot)?.wasUp ?? false;
  }

  /** Whether a datagram that was taken in before was another one; see `ReplayWindow.isOther`. */
  isOther(boot: BootId, counter: number, tail: number): boolean {
    return this.#peers.get(boot)?.replay.isOther(counter, tail) ?? false;
  }

  /** Two processes send under this boot id: a machine was copied. Where the known one is. */
  onTwin(boot: BootId): Address | undefined {
    const peer = this.#peers.get(boot);
    if (peer === undefined) return undefined;
    if (!peer.hasTwin) this.#outbox.notify({ event: "boot_shared", peer: peer.who });
    peer.hasTwin = true;
    this.#counters.guard.twins += 1;
    return peer.address;
  }

  /** What the peer says of itself. */
  introduce(peer: Peer, heartbeat: Heartbeat, nowMs: number): void {
    peer.heartbeatMs = nowMs;
    peer.wallMs = heartbeat.wallMs;
    peer.machineAheadMs = heartbeat.machineMs - heartbeat.wallMs;
    peer.name = heartbeat.name;
    peer.phase = heartbeat.phase;
    peer.count = heartbeat.count;
    peer.stubs = heartbeat.stubs;
    peer.digest = heartbeat.digest;
    peer.keys = heartbeat.keys;
    peer.tombstoneRetentionMs = heartbeat.tombstoneRetentionMs;
    if (peer.state !== "up") this.#wantProof(peer, nowMs);
  }

  /**
   * The answer to a ping, soon and from where that was sent. Whether it brings the peer up: one who
   * is about to go answers too, and is not there for that; but what it still has to say counts, if
   * it was up before.
   */
  onAck(peer: Peer, nonce: number, nowMs: number): boolean {
    if (peer.state === "up") {
      this.#answered(peer, nonce);
      return false;
    }
    const isSoon = nowMs <= peer.proveAskedMs + limits.freshMs;
    const isThere = peer.source === peer.proveAskedAt;
    if (nonce !== peer.challenge || peer.name === "" || !isSoon || !isThere) {
      this.#counters.guard.badProofs += 1;
      return false;
    }
    if (peer.phase === "leaving") {
      peer.lingers = peer.wasUp && peer.state === "down";
      return false;
    }
    this.#admit(peer);
    return true;
  }

  /** Of who is up, which needs no proof: that it lives was seen before the frame was. */
  #answered(peer: Peer, nonce: number): void {
    const { doubts, challenge } = peer;
    if (!doubts.pingOpen || nonce !== challenge) this.#counters.guard.unasked += 1;
    else doubts.pingOpen = false;
  }

  leave(peer: Peer): void {
    peer.phase = "leaving";
    if (peer.state === "left") return;
    const wasUp = peer.state === "up";
    this.#doubt(peer, "left");
    if (wasUp) this.#outbox.notify({ event: "peer_left", peer: peer.who });
  }

  /** This node's own verdict after a long silence. */
  markDown(peer: Peer): void {
    this.#doubt(peer, "down");
    this.#outbox.notify({ event: "peer_down", peer: peer.who });
  }

  tick(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = Number.POSITIVE_INFINITY;
    for (const peer of this.#peers.values()) {
      if (peer.state === "up") continue;
      // Compared as sums throughout: differences would round otherwise.
      if (nowMs >= peer.lastHeardMs + forgetMsOf(peer)) {
        this.#peers.delete(peer.boot);
        continue;
      }
      if (nowMs >= peer.proveDueMs) this.#askForProof(peer, nowMs);
      this.#schedule(peer);
    }
  }

  /** No proof is to be asked for before this and nobody forgotten, and then perhaps not yet. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /**
   * A heartbeat came, which is longer than a ping: it pays for a few, of which some may be lost.
   * Who has not sent one is not asked, nor greeted: it may be somebody else who gets it all.
   */
  #wantProof(peer: Peer, nowMs: number): void {
    peer.proofsLeft = limits.proofsPerHeartbeat;
    peer.provePauseMs = limits.proveEveryMs;
    const dueMs = Math.max(nowMs, peer.proveAskedMs + limits.proveEveryMs);
    peer.proveDueMs = Math.min(peer.proveDueMs, dueMs);
    this.#schedule(peer);
  }

  #schedule(peer: Peer): void {
    const forgetMs = peer.lastHeardMs + forgetMsOf(peer);
    this.#dueMs = Math.min(this.#dueMs, peer.proveDueMs, forgetMs);
  }

  get(boot: BootId): Peer | undefined {
    return this.#peers.get(boot);
  }

  all(): IterableIterator<Peer> {
    return this.#peers.values();
  }

  *up(): Generator<Peer> {
    for (const peer of this.#peers.values()) if (peer.state === "up") yield peer;
  }

  #enter(boot: BootId, address: Address, nowMs: number): Peer | undefined {
    if (this.#peers.size >= limits.peersMax && !this.#dropAbsent()) {
      this.#counters.membership.tableFull += 1;
      return undefined;
    }
    const peer = new Peer(boot, address, nowMs, this.#prng);
    this.#peers.set(boot, peer);
    return peer;
  }

  #askForProof(peer: Peer, nowMs: number): void {
    // An answer that was held back for long is none.
    if (nowMs >= peer.challengeMs + limits.freshMs) {
      peer.challenge = this.#prng.uint53();
      peer.challengeMs = nowMs;
    }
    peer.proveAskedMs = nowMs;
    peer.proveAskedAt = peer.source;
    peer.proofsLeft -= 1;
    peer.provePauseMs *= 2;
    peer.proveDueMs = peer.proofsLeft > 0 ? nowMs + peer.provePauseMs : Number.POSITIVE_INFINITY;
    this.#counters.membership.proofsAsked += 1;
    this.#outbox.unicast(peer.source, [{ tag: Tag.ping, nonce: peer.challenge }]);
  }

  #admit(peer: Peer): void {
    const restarted = this.#settleName(peer);
    peer.state = "up";
    peer.address = peer.source;
    peer.wasUp = true;
    peer.lingers = false;
    peer.proveDueMs = Number.POSITIVE_INFINITY;
    peer.doubts = new Doubts();
    this.#outbox.notify({ event: restarted ? "peer_restarted" : "peer_up", peer: peer.who });
  }

  /** Whether the peer is another start of a node that was known. */
  #settleName(peer: Peer): boolean {
    if (peer.name === this.#self.name) this.#tellTaken(peer, this.#self.boot);
    let restarted = false;
    for (const other of this.#peers.values()) {
      if (other === peer || other.name !== peer.name) continue;
      // One that was there before and proves it now has not been replaced: both live.
      if (peer.wasUp && other.state === "up") {
        this.#tellTaken(peer, other.boot);
        continue;
      }
      restarted = true;
      other.replaced = true;
      this.#doubt(other, "down");
    }
    peer.replaced = false;
    return restarted;
  }

  #tellTaken(peer: Peer, by: BootId): void {
    this.#counters.membership.namesTaken += 1;
    this.#outbox.notify({ event: "name_taken", peer: peer.who, by });
  }

  /** It has to prove anew that it lives, and an old answer does not count. */
  #doubt(peer: Peer, state: "down" | "left"): void {
    peer.state = state;
    peer.lingers = false;
    peer.challengeMs = Number.NEGATIVE_INFINITY;
    peer.proveAskedAt = "";
    peer.mismatchSinceMs = Number.POSITIVE_INFINITY;
    this.#schedule(peer);
  }

  /**
   * Makes room, of peers that are not up. Who was up before stays longest, and of the others goes
   * who was heard longest ago of the host that has most of them: recordings of many dead boots push
   * out each other, and nobody who is about to answer elsewhere. False: all are up.
   */
  #dropAbsent(): boolean {
    const crowds = new Map<string, number>();
    for (const { wasUp, firstHost } of this.#peers.values()) {
      if (!wasUp) crowds.set(firstHost, (crowds.get(firstHost) ?? 0) + 1);
    }
    let least: { readonly peer: Peer; readonly crowd: number } | undefined;
    for (const peer of this.#peers.values()) {
      if (peer.state === "up") continue;
      const crowd = peer.wasUp ? 0 : (crowds.get(peer.firstHost) ?? 0);
      const isLess =
        least === undefined ||
        crowd > least.crowd ||
        (crowd === least.crowd && peer.lastHeardMs < least.peer.lastHeardMs);
      if (isLess) least = { peer, crowd };
    }
    return least !== undefined && this.#peers.delete(least.peer.boot);
  }
}

/** Who was up and fell silent may come back; of the others nothing is worth keeping. */
function forgetMsOf(peer: Peer): number {
  if (peer.state === "unproven" || peer.replaced) return limits.peerForgetUnprovenMs;
  return peer.state === "left" ? limits.peerForgetLeftMs : limits.peerForgetMs;
}
