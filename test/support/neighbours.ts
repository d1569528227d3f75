import assert from "node:assert/strict";
import { Prng } from "../../src/base/prng.ts";
import { Counters } from "../../src/core/counters.ts";
import { Peer } from "../../src/core/membership/peer.ts";
import { PeerTable } from "../../src/core/membership/peer-table.ts";
import { Suspicion } from "../../src/core/membership/suspicion.ts";
import type { Address } from "../../src/core/outbox.ts";
import { type BootId, type Heartbeat, type Phase, Tag } from "../../src/protocol/frames.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

/** Boot ids begin with the time of the start, so a later start has a greater one. */
export function bootAt(start: number): BootId {
  return start.toString(16).padStart(12, "0").padEnd(24, "0");
}

export function heartbeatOf(name: string, phase: Phase = "ready"): Heartbeat {
  return {
    tag: Tag.heartbeat,
    name,
    phase,
    hello: false,
    sequence: 0,
    digest: { high: 1, low: 2 },
    count: 3,
    stubs: 4,
    wallMs: 0,
    machineMs: 0,
    keys: [],
    tombstoneRetentionMs: 86_400_000,
  };
}

/** A peer that has proven that it lives, without a table. */
export function peerUp(boot: BootId, address: Address): Peer {
  const peer = new Peer(boot, address, 0, new Prng(1));
  peer.state = "up";
  peer.wasUp = true;
  return peer;
}

/** Who is there, as a node named "self" sees it, with peers that the test plays. */
export class Neighbours {
  readonly outbox = new RecordingOutbox();
  readonly counters = new Counters();
  readonly peers: PeerTable;
  readonly suspicion: Suspicion;

  constructor() {
    const self = { boot: bootAt(1), name: "self" };
    const prng = new Prng(1);
    this.peers = new PeerTable(self, prng, this.outbox, this.counters);
    const speaker = { boot: self.boot, heartbeat: () => heartbeatOf(self.name) };
    this.suspicion = new Suspicion(speaker, prng, this.peers, this.outbox, this.counters);
  }

  /** A heartbeat of this start of the named node arrives, and it answers what it is asked. */
  beat(name: string, start: number, nowMs: number, phase: Phase = "ready"): Peer {
    const peer = this.peers.hear(bootAt(start), `${name}:${start}`, nowMs);
    assert(peer !== undefined, "there is room");
    this.suspicion.heard(peer);
    this.peers.introduce(peer, heartbeatOf(name, phase), nowMs);
    if (peer.state === "up") return peer;
    const before = this.outbox.takeSent();
    this.peers.tick(nowMs);
    this.outbox.takeSent();
    this.outbox.sent.push(...before);
    this.peers.onAck(peer, peer.challenge, nowMs);
    return peer;
  }

  get names(): string[] {
    return [...this.peers.all()].map(
      ({ name, boot }) => `${name} ${Number.parseInt(boot.slice(0, 12), 16)}`,
    );
  }

  get told(): string[] {
    return this.outbox.takeEvents().map((event) => event.event);
  }
}
