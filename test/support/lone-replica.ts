import type { Now } from "../../src/base/now.ts";
import { Prng } from "../../src/base/prng.ts";
import type { Via } from "../../src/core/membership/ways.ts";
import type { Address } from "../../src/core/outbox.ts";
import { Replica, type ReplicaOptions } from "../../src/core/replica.ts";
import { type BootId, type Frame, type Heartbeat, Tag } from "../../src/protocol/frames.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import { stampTimeOf } from "../../src/session/stamp.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { hashKey } from "./hash-key.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

export const startWallMs = 1_800_000_000_000;
export const peerBoot = "00000000aaaa000000000002";
export const peerAddress = "peer:1";

/** One replica, a clock that only the test moves, and a peer whose datagrams the test writes. */
export class LoneReplica {
  readonly outbox = new RecordingOutbox();
  readonly replica: Replica;
  nowMs = 0;
  /** By how much its own clock is ahead, and the peer's. */
  aheadMs = 0;
  peerAheadMs = 0;
  /** Of datagrams that peers have sent, one count for all. */
  #counter = 0;

  constructor(options: Partial<ReplicaOptions> = {}) {
    this.replica = new Replica(
      {
        boot: "00000000aaaa000000000001",
        name: "self",
        hashKey,
        bytesMax: 1 << 26,
        countMax: 100_000,
        tombstonesMax: 1_000,
        stubsMax: 1_000,
        tombstoneRetentionMs: 60_000,
        idleMsDefault: 1_800_000,
        absoluteMsDefault: 0,
        ...options,
      },
      deltaCodec,
      this.outbox,
      new Prng(1),
    );
    this.replica.start(this.now);
  }

  get now(): Now {
    return { monotonicMs: this.nowMs, wallMs: this.#rightMs + this.aheadMs };
  }

  /** A stamp time of the peer's clock. */
  get peerTime(): number {
    return stampTimeOf(this.#rightMs + this.peerAheadMs);
  }

  get #rightMs(): number {
    return startWallMs + this.nowMs;
  }

  tick(): void {
    this.replica.tick(this.now);
  }

  /** Ticks when the replica asks for it, and no more, until so much time has passed. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    this.tick();
    for (let dueMs = this.replica.deadline(); dueMs <= endMs; dueMs = this.replica.deadline()) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.tick();
    }
    this.nowMs = endMs;
  }

  /** Until it is ready, alone, with nothing left to be looked at. */
  settle(): void {
    this.pass(600);
    this.outbox.takeSent();
    this.outbox.takeEvents();
  }

  receive(...frames: Frame[]): void {
    this.receiveVia("unicast", ...frames);
  }

  receiveVia(via: Via, ...frames: Frame[]): void {
    this.receiveFrom(peerBoot, peerAddress, via, ...frames);
  }

  /**
   * Something that a peer sends, which showed before that it lives, and does so again when asked.
   */
  receiveFrom(boot: BootId, address: Address, via: Via, ...frames: Frame[]): void {
    const receive = (said: Frame[]) => {
      const counter = this.nextCounter();
      const datagram = { boot, counter, tail: 0, clock: this.peerTime, frames: said };
      this.replica.receive(datagram, address, this.now, via);
    };
    this.#trust(boot, address);
    receive(frames);
    const peer = this.replica.peers.get(boot);
    if (peer === undefined || peer.name === "" || peer.state === "up") return;
    const before = this.outbox.takeSent();
    this.replica.peers.tick(this.nowMs);
    this.outbox.takeSent();
    this.outbox.sent.push(...before);
    receive([{ tag: Tag.ack, nonce: peer.challenge }]);
  }

  #trust(boot: BootId, address: Address): void {
    const { peers } = this.replica;
    const peer = peers.get(boot) ?? peers.hear(boot, address, this.nowMs);
    if (peer !== undefined && peer.state === "unproven") peer.lingers = true;
  }

  nextCounter(): number {
    this.#counter += 1;
    return this.#counter;
  }

  /** A datagram of the peer's stream with these deltas. */
  receiveDeltas(sequence: number, ...deltas: SessionDelta[]): void {
    this.receive({ tag: Tag.delta, sequence, block: blockOf(deltas) });
  }
}

/** A replica that is ready and knows a peer that is, too; nothing it sent before counts. */
export function withReadyPeer(options: Partial<ReplicaOptions> = {}): LoneReplica {
  const lone = new LoneReplica(options);
  lone.settle();
  lone.receive(peerHeartbeat());
  lone.outbox.takeSent();
  lone.outbox.takeEvents();
  return lone;
}

export function blockOf(deltas: readonly SessionDelta[]): Uint8Array {
  const packer = deltaCodec.packer();
  for (const delta of deltas) packer.add(delta, Number.POSITIVE_INFINITY);
  return packer.take();
}

export function peerHeartbeat(fields: Partial<Heartbeat> = {}): Heartbeat {
  return {
    tag: Tag.heartbeat,
    name: "peer",
    phase: "ready",
    hello: false,
    sequence: 0,
    digest: { high: 0, low: 0 },
    count: 0,
    wallMs: startWallMs,
    machineMs: fields.wallMs ?? startWallMs,
    stubs: 0,
    keys: [],
    tombstoneRetentionMs: 60_000,
    ...fields,
  };
}

/** A live session without end, as its creator would send it. */
export function created(id: string, time: number, value = "v"): SessionDelta {
  const stamp = { time, tag: 2 };
  return {
    id,
    life: { stamp, alive: true, absoluteDeadlineMs: 0 },
    floor: stamp,
    attributes: [{ name: "a", stamp, value }],
    expiry: { stamp, idleMs: 0, idleDeadlineMs: 0 },
  };
}
