import { unreachable } from "../base/assert.ts";
import type { Now } from "../base/now.ts";
import {
  type Absent,
  type Confirm,
  type Credit,
  type DeltaFrame,
  type Evicted,
  type Found,
  type Fragment,
  type Frame,
  type Heartbeat,
  type MembershipFrame,
  Tag,
} from "../protocol/frames.ts";
import type { Counters } from "./counters.ts";
import type { Intake } from "./intake.ts";
import type { Group } from "./membership/group.ts";
import type { Peer } from "./membership/peer.ts";
import type { PeerTable } from "./membership/peer-table.ts";
import type { Suspicion } from "./membership/suspicion.ts";
import type { Outbox } from "./outbox.ts";
import type { AntiEntropy } from "./reconcile/anti-entropy.ts";
import type { Donor } from "./reconcile/donor.ts";
import type { Fetcher } from "./reconcile/fetcher.ts";
import type { Join } from "./reconcile/join.ts";
import type { Puller } from "./reconcile/puller.ts";
import type { Refill } from "./reconcile/refill.ts";
import type { Confirmations } from "./stream/confirmations.ts";
import type { OutgoingStream } from "./stream/outgoing-stream.ts";

/** The parts of a replica that take frames. */
export interface FrameTakers {
  readonly peers: PeerTable;
  readonly suspicion: Suspicion;
  readonly group: Group;
  readonly outgoing: OutgoingStream;
  readonly intake: Intake;
  readonly donor: Donor;
  readonly puller: Puller;
  readonly antiEntropy: AntiEntropy;
  readonly refill: Refill;
  readonly join: Join;
  readonly fetcher: Fetcher;
  readonly confirmations: Confirmations;
  /** What this node says of itself at this moment. */
  heartbeat(): Heartbeat;
}

/** Hands each frame of a known peer to the part of the replica that it is for. */
export class Dispatch {
  readonly #to: FrameTakers;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  #now: Now = { monotonicMs: 0, wallMs: 0 };

  constructor(to: FrameTakers, outbox: Outbox, counters: Counters) {
    this.#to = to;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  take(peer: Peer, frame: Frame, now: Now): void {
    this.#now = now;
    if (!peer.trusted) {
      this.#takeUntrusted(peer, frame);
      return;
    }
    const { monotonicMs } = now;
    const to = this.#to;
    switch (frame.tag) {
      case Tag.delta:
      case Tag.fragment:
        this.#onData(peer, frame);
        return;
      case Tag.nak:
        to.outgoing.repair(frame, peer, monotonicMs);
        return;
      case Tag.nakMiss:
        this.#counters.naks.missesReceived += 1;
        this.#count(peer.incoming.forget(frame.oldest));
        return;
      case Tag.digest:
        if (this.#compares()) to.antiEntropy.onDigest(peer, frame, monotonicMs);
        return;
      case Tag.leaves:
        if (this.#compares()) to.antiEntropy.onLeaves(peer, frame, monotonicMs);
        return;
      case Tag.want:
        to.donor.onWant(peer, frame, monotonicMs);
        return;
      case Tag.offer:
        if (this.#compares()) to.puller.pull(peer, frame.ranges, monotonicMs);
        return;
      case Tag.chunk:
        this.#count(to.puller.onChunk(peer, frame, monotonicMs));
        return;
      case Tag.credit:
        this.#onCredit(peer, frame);
        return;
      case Tag.fetch:
        to.donor.onFetch(peer, frame);
        return;
      case Tag.found:
        this.#onFound(peer, frame);
        return;
      case Tag.absent:
      case Tag.evicted:
        this.#onWithout(peer, frame);
        return;
      case Tag.confirm:
        this.#onConfirm(peer, frame);
        return;
      case Tag.confirmed:
        this.#count(to.confirmations.onConfirmed(peer, frame));
        return;
      default:
        this.#onMembership(peer, frame);
    }
  }

  /** Nothing but what it takes to show that one lives; the answers are no longer than that. */
  #takeUntrusted(peer: Peer, frame: Frame): void {
    switch (frame.tag) {
      case Tag.heartbeat:
        this.#introduce(peer, frame);
        peer.incoming.noteAnnounced(frame.sequence);
        peer.helloWaits ||= frame.hello;
        return;
      case Tag.ping:
      case Tag.ack:
        this.#onMembership(peer, frame);
        return;
      case Tag.delta:
      case Tag.fragment:
        peer.incoming.note(frame.sequence);
        break;
      default:
    }
    if (peer.replaced) this.#counters.guard.replacedFrames += 1;
    else this.#counters.guard.unprovenFrames += 1;
  }

  #onMembership(peer: Peer, frame: MembershipFrame): void {
    const { monotonicMs } = this.#now;
    const to = this.#to;
    switch (frame.tag) {
      case Tag.heartbeat:
        this.#onHeartbeat(peer, frame);
        return;
      case Tag.leave:
        to.peers.leave(peer);
        return;
      case Tag.ping:
        this.#outbox.unicast(peer.source, [{ tag: Tag.ack, nonce: frame.nonce }]);
        return;
      case Tag.ack:
        this.#onAck(peer, frame.nonce);
        return;
      case Tag.copies:
        to.group.onCopies(peer, frame, monotonicMs);
        return;
      case Tag.suspect:
        to.suspicion.onSuspect(peer, frame, monotonicMs);
        return;
      case Tag.pingRequest:
        to.suspicion.onPingRequest(peer, frame, monotonicMs);
        return;
      case Tag.vouch:
        this.#count(to.suspicion.onVouch(peer, frame, monotonicMs));
        return;
      default:
        unreachable(frame);
    }
  }

  #onAck(peer: Peer, nonce: number): void {
    const { monotonicMs } = this.#now;
    const isUp = this.#to.peers.onAck(peer, nonce, monotonicMs);
    const hasSent = peer.trusted && peer.incoming.open(monotonicMs);
    // Who joins is given what was sent before; who has joined met the peer late, and maybe it him.
    const isLate = hasSent && this.#to.join.phase !== "joining";
    if (isLate) this.#to.antiEntropy.metLate(peer, monotonicMs);
    if (isUp && (isLate || peer.helloWaits)) this.#answerHello(peer);
  }

  #onHeartbeat(peer: Peer, heartbeat: Heartbeat): void {
    const { monotonicMs } = this.#now;
    this.#introduce(peer, heartbeat);
    peer.incoming.announce(heartbeat.sequence, monotonicMs);
    if (this.#to.antiEntropy.compare(peer, monotonicMs)) this.#to.confirmations.onEqual(peer);
    if (this.#to.join.phase === "ready") this.#to.refill.from(peer, monotonicMs);
    if (heartbeat.hello) this.#answerHello(peer);
  }

  #introduce(peer: Peer, heartbeat: Heartbeat): void {
    this.#counters.membership.heartbeatsReceived += 1;
    this.#to.peers.introduce(peer, heartbeat, this.#now.monotonicMs);
  }

  #answerHello(peer: Peer): void {
    peer.helloWaits = false;
    this.#counters.membership.heartbeatsSent += 1;
    this.#outbox.unicast(peer.address, [this.#to.heartbeat()]);
  }

  #onData(peer: Peer, frame: DeltaFrame | Fragment): void {
    const { monotonicMs } = this.#now;
    if (!peer.incoming.accept(frame.sequence, monotonicMs)) {
      this.#counters.stream.duplicates += 1;
      return;
    }
    const block = frame.tag === Tag.delta ? frame.block : peer.reassembly.add(frame, monotonicMs);
    if (block === undefined) return;
    if (!this.#to.intake.takeBlock(peer, block, this.#now)) peer.incoming.spoil(frame.sequence);
  }

  #onConfirm(peer: Peer, { first, last }: Confirm): void {
    if (!peer.hasApplied(first, last)) return;
    this.#counters.confirmations.given += 1;
    this.#outbox.unicast(peer.address, [{ tag: Tag.confirmed, boot: peer.boot, first, last }]);
  }

  #onFound(peer: Peer, found: Found): void {
    const { fetcher, intake, puller } = this.#to;
    const { nonce, block, kept } = found;
    const fetch = fetcher.asked(nonce);
    this.#count(fetch !== undefined);
    if (block.length > 0) {
      const isWhole = intake.takeFound(peer, block, this.#now);
      if (fetch === undefined) return;
      if (isWhole === undefined) fetcher.onEvicted(peer, fetch);
      else if (isWhole) fetcher.onFound(peer, fetch, kept);
      return;
    }
    const leaf = fetch && fetcher.onTooLarge(peer, fetch, kept);
    if (leaf !== undefined) puller.pull(peer, [leaf], this.#now.monotonicMs);
  }

  #onWithout(peer: Peer, { tag, nonce }: Absent | Evicted): void {
    const { fetcher, peers } = this.#to;
    const fetch = fetcher.asked(nonce);
    this.#count(fetch !== undefined);
    if (fetch === undefined) return;
    if (tag === Tag.evicted) fetcher.onEvicted(peer, fetch);
    else fetcher.onAbsent(peers, peer, fetch, this.#now.monotonicMs);
  }

  /** A refusal or an end comes from the donor, a request for more from a receiver. */
  #onCredit(peer: Peer, credit: Credit): void {
    const { monotonicMs } = this.#now;
    const { puller, donor } = this.#to;
    const isRefused = credit.window === 0 && puller.onRefused(peer, credit.transfer, monotonicMs);
    const isServed = donor.onCredit(peer, credit, monotonicMs);
    this.#count(isRefused || isServed);
  }

  /** Who joins takes all there is anyway, and has asked nobody to compare. */
  #compares(): boolean {
    const compares = this.#to.join.phase !== "joining";
    this.#count(compares);
    return compares;
  }

  /** A frame that answers has come; whether it answers anything that is still asked. */
  #count(isAsked: boolean): void {
    if (!isAsked) this.#counters.guard.unasked += 1;
  }
}
