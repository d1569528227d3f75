import type { Prng } from "../../base/prng.ts";
import {
  type BootId,
  type Heartbeat,
  type PingRequest,
  type Suspect,
  Tag,
  type Vouch,
} from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Outbox } from "../outbox.ts";
import type { Peer } from "./peer.ts";
import type { PeerTable } from "./peer-table.ts";

/**
 * What silence means. A silent peer is pinged; then it is suspected: the group hears that, so that
 * the peer can refute it, and a few others are asked whether they reach it (the indirect pings of
 * SWIM, Das et al. 2002). For whom nobody vouches is down. That is this node's own opinion: it is
 * told to nobody as a fact, and no data depends on it. A boot id serves as SWIM's incarnation: one
 * that was found down by mistake proves that it lives.
 *
 * And what silence does not mean: a node that was stopped has heard nobody for that reason, and
 * one that hears none of several peers is more likely to be cut off than they are to have died at
 * once (the local health of Lifeguard, Dadgar et al. 2018). It waits longer before it blames them.
 */
export class Suspicion {
  readonly #self: BootId;
  readonly #prng: Prng;
  readonly #peers: PeerTable;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #heartbeat: () => Heartbeat;
  #tickedMs = Number.POSITIVE_INFINITY;
  #refutedMs = Number.NEGATIVE_INFINITY;
  /** Since when nobody is heard; Infinity: somebody is. */
  #isolatedMs = Number.POSITIVE_INFINITY;
  /** Nothing is due before. */
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(
    self: {
      readonly boot: BootId;
      /** What this node says of itself at this moment. */
      heartbeat(): Heartbeat;
    },
    prng: Prng,
    peers: PeerTable,
    outbox: Outbox,
    counters: Counters,
  ) {
    this.#self = self.boot;
    this.#heartbeat = self.heartbeat;
    this.#prng = prng;
    this.#peers = peers;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** Whether all of several peers are silent, so that it may be this node's own network. */
  get isolated(): boolean {
    return this.#isolatedMs < Number.POSITIVE_INFINITY;
  }

  /** The peer sent something: it is suspected no more, and whoever asked about it is told. */
  heard(peer: Peer): void {
    const { boot, doubts, state } = peer;
    this.#dueMs = Math.min(this.#dueMs, nextMs(peer));
    if (this.isolated && state === "up") this.#endIsolation(peer.lastHeardMs);
    if (doubts.suspected) {
      doubts.suspected = false;
      this.#outbox.notify({ event: "peer_heard_again", peer: peer.who });
    }
    // Of who is not up this may be a record.
    if (doubts.askers.size === 0 || state !== "up") return;
    for (const [asker, nonce] of doubts.askers) this.#vouch(asker, boot, nonce);
    doubts.askers.clear();
  }

  /** Somebody misses a peer, or this node. */
  onSuspect(peer: Peer, { boot }: Suspect, nowMs: number): void {
    if (boot !== this.#self) {
      const suspected = this.#peers.get(boot);
      if (suspected !== undefined) suspected.doubts.toldMs = nowMs;
      return;
    }
    if (nowMs < this.#refutedMs + limits.refuteEveryMs) return;
    this.#refutedMs = nowMs;
    this.#counters.membership.refutations += 1;
    // By both ways: that it is suspected may come of one of them.
    this.#outbox.multicast([this.#heartbeat()]);
    this.#outbox.unicast(peer.address, [this.#heartbeat()]);
  }

  /** Somebody asks this node to try a peer. */
  onPingRequest(peer: Peer, { boot, nonce }: PingRequest, nowMs: number): void {
    const target = this.#peers.get(boot);
    if (peer.state !== "up" || target?.state !== "up") {
      this.#counters.membership.requestsRefused += 1;
    } else if (nowMs < target.lastHeardMs + limits.pingAfterMs) {
      this.#vouch(peer.boot, boot, nonce);
    } else if (target.doubts.askers.size < limits.vouchAskersMax) {
      target.doubts.askers.set(peer.boot, nonce);
      this.#ping(target);
    } else this.#counters.membership.requestsRefused += 1;
  }

  /** Somebody else hears the peer that this node misses. False: it is not missed, or not so. */
  onVouch(voucher: Peer, { boot, nonce }: Vouch, nowMs: number): boolean {
    const peer = this.#peers.get(boot);
    if (voucher.state !== "up" || peer?.doubts.suspected !== true) return false;
    if (nonce !== peer.doubts.nonce) return false;
    if (peer.doubts.vouchedMs < peer.lastHeardMs) {
      this.#outbox.notify({ event: "peer_vouched", peer: peer.who, by: voucher.who });
    }
    peer.doubts.vouchedMs = nowMs;
    return true;
  }

  tick(nowMs: number): void {
    this.#excuse(nowMs);
    if (nowMs < this.#dueMs) return;
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#judgeSelf(nowMs);
    for (const peer of this.#peers.all()) {
      if (peer.state !== "up") continue;
      const { doubts } = peer;
      // Compared as sums throughout: differences would round otherwise.
      if (nowMs >= this.#verdictMs(peer)) {
        this.#peers.markDown(peer);
        continue;
      }
      if (nowMs >= pingDueMs(peer)) {
        doubts.pingAtOnce = false;
        doubts.pingedMs = nowMs;
        this.#ping(peer);
      }
      if (nowMs >= suspectDueMs(peer)) this.#suspect(peer, nowMs);
      this.#dueMs = Math.min(this.#dueMs, nextMs(peer), this.#verdictMs(peer));
    }
  }

  /** No ping, question or verdict is due before this, and at this time perhaps none yet. */
  get dueMs(): number {
    return this.#dueMs;
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
    this.#forgive(pausedMs, nowMs);
  }

  /** So long nobody could be heard. */
  #forgive(silentMs: number, nowMs: number): void {
    for (const peer of this.#peers.up()) {
      peer.lastHeardMs = Math.min(nowMs, peer.lastHeardMs + silentMs);
      peer.doubts.pingAtOnce = true;
    }
    this.#dueMs = nowMs;
  }

  /** Whether nobody is heard, of several who were there. It ends as soon as anybody is. */
  #judgeSelf(nowMs: number): void {
    let silent = 0;
    for (const { state, lastHeardMs } of this.#peers.all()) {
      if (state !== "up") continue;
      if (nowMs < lastHeardMs + limits.suspectAfterMs) return;
      silent += 1;
    }
    if (silent < 2 || this.isolated) return;
    this.#isolatedMs = nowMs;
    this.#counters.membership.isolations += 1;
    this.#outbox.notify({ event: "isolated" });
  }

  /** The others will be heard as well, but maybe not in this instant. */
  #endIsolation(nowMs: number): void {
    this.#forgive(nowMs - this.#isolatedMs, nowMs);
    this.#isolatedMs = Number.POSITIVE_INFINITY;
    this.#outbox.notify({ event: "isolation_over" });
  }

  #verdictMs({ lastHeardMs, doubts }: Peer): number {
    const patienceMs = this.isolated ? limits.isolatedDownAfterMs : limits.downAfterMs;
    const vouchedMs = doubts.vouchedMs > lastHeardMs ? doubts.vouchedMs : lastHeardMs;
    return Math.max(lastHeardMs + patienceMs, vouchedMs + limits.vouchForMs);
  }

  #suspect(peer: Peer, nowMs: number): void {
    const { boot, doubts } = peer;
    if (!doubts.suspected) {
      doubts.suspected = true;
      doubts.nonce = this.#prng.uint32();
      this.#counters.membership.suspicions += 1;
      this.#outbox.notify({ event: "peer_suspected", peer: peer.who });
    }
    doubts.suspectedMs = nowMs;
    // Who has just heard this from somebody else need not say it again.
    if (nowMs >= doubts.toldMs + limits.suspectEveryMs) {
      this.#outbox.multicast([{ tag: Tag.suspect, boot }]);
    }
    for (const voucher of this.#vouchersFor(peer, nowMs)) {
      const request = { tag: Tag.pingRequest, nonce: doubts.nonce, boot };
      this.#outbox.unicast(voucher.address, [request]);
    }
  }

  /** A few of those that are heard themselves, drawn anew each time. */
  #vouchersFor(peer: Peer, nowMs: number): Peer[] {
    const others = [...this.#peers.all()].filter(
      (other) =>
        other !== peer && other.state === "up" && nowMs < other.lastHeardMs + limits.pingAfterMs,
    );
    const first = this.#prng.below(others.length);
    return [...others.slice(first), ...others.slice(0, first)].slice(0, limits.vouchersMax);
  }

  #vouch(asker: BootId, boot: BootId, nonce: number): void {
    const peer = this.#peers.get(asker);
    if (peer === undefined) return;
    this.#counters.membership.vouchesGiven += 1;
    this.#outbox.unicast(peer.address, [{ tag: Tag.vouch, nonce, boot }]);
  }

  #ping(peer: Peer): void {
    peer.doubts.pingOpen = true;
    this.#counters.membership.pingsSent += 1;
    this.#outbox.unicast(peer.address, [{ tag: Tag.ping, nonce: peer.challenge }]);
  }
}

/** When something is due for its silence, but for the verdict. */
function nextMs(peer: Peer): number {
  return Math.min(pingDueMs(peer), suspectDueMs(peer));
}

function pingDueMs({ lastHeardMs, doubts }: Peer): number {
  if (doubts.pingAtOnce) return Number.NEGATIVE_INFINITY;
  return Math.max(lastHeardMs + limits.pingAfterMs, doubts.pingedMs + limits.pingEveryMs);
}

function suspectDueMs({ lastHeardMs, doubts }: Peer): number {
  return Math.max(lastHeardMs + limits.suspectAfterMs, doubts.suspectedMs + limits.suspectEveryMs);
}
