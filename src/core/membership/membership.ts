import type { Prng } from "../../base/prng.ts";
import { type BootId, type Datagram, type Heartbeat, Tag } from "../../protocol/frames.ts";
import type { Counters } from "../counters.ts";
import type { Address, Outbox } from "../outbox.ts";
import { Greeter } from "./greeter.ts";
import type { GossipMode } from "./group.ts";
import type { Peer } from "./peer.ts";
import { PeerTable } from "./peer-table.ts";
import { Reception } from "./reception.ts";
import { Suspicion } from "./suspicion.ts";
import type { Via } from "./ways.ts";

/** Who a node is, and what it says of itself at this moment. */
export interface Speaker {
  readonly boot: BootId;
  readonly name: string;
  heartbeat(hello: boolean): Heartbeat;
}

/** Who is there: the table of peers, what finds and misses them, and what keeps ways to them. */
export class Membership {
  readonly peers: PeerTable;
  readonly suspicion: Suspicion;
  readonly #reception: Reception | undefined;
  readonly #greeter: Greeter;
  readonly #counters: Counters;

  constructor(speaker: Speaker, mode: GossipMode, prng: Prng, outbox: Outbox, counters: Counters) {
    this.#counters = counters;
    this.peers = new PeerTable(speaker, prng, outbox, counters);
    const self = { boot: speaker.boot, heartbeat: () => speaker.heartbeat(false) };
    this.suspicion = new Suspicion(self, prng, this.peers, outbox, counters);
    this.#reception = mode === "multicast" ? new Reception(outbox, counters) : undefined;
    this.#greeter = new Greeter(outbox, counters, () => speaker.heartbeat(true));
  }

  /** Where the configuration says that peers are, besides those that multicast finds. */
  setSeeds(addresses: readonly Address[], nowMs: number): void {
    this.#greeter.setSeeds(addresses, nowMs);
  }

  /** A datagram came, and has not strayed. Undefined: it is not new, or there is no room for it. */
  hear(datagram: Datagram, source: Address, via: Via, nowMs: number): Peer | undefined {
    const known = this.peers.get(datagram.boot);
    if (known !== undefined && !this.#isFresh(known, datagram, via, nowMs)) return undefined;
    const peer = this.peers.hear(datagram.boot, source, nowMs);
    if (peer === undefined) return undefined;
    if (known === undefined) peer.replay.take(datagram, via);
    this.suspicion.heard(peer);
    this.#reception?.heard(peer, via, nowMs);
    if (via === "unicast") {
      const heartbeat = datagram.frames.find((frame) => frame.tag === Tag.heartbeat);
      this.#greeter.heard(peer, heartbeat, nowMs);
    }
    return peer;
  }

  #isFresh(peer: Peer, datagram: Datagram, via: Via, nowMs: number): boolean {
    const novelty = peer.replay.take(datagram, via);
    if (novelty === "fresh") return true;
    this.#counters.guard[novelty] += 1;
    if (novelty === "copy") this.#reception?.heard(peer, via, nowMs);
    return false;
  }

  tick(nowMs: number): void {
    this.peers.tick(nowMs);
    this.suspicion.tick(nowMs);
    this.#reception?.tick(this.peers, nowMs);
    this.#greeter.tick(this.peers, nowMs);
  }

  get dueMs(): number {
    return Math.min(
      this.peers.dueMs,
      this.suspicion.dueMs,
      this.#reception?.dueMs ?? Number.POSITIVE_INFINITY,
      this.#greeter.dueMs(this.peers),
    );
  }
}
