import { Prng } from "../../src/base/prng.ts";
import type { Via } from "../../src/core/membership/ways.ts";
import { Gate, type Passage } from "../../src/net/gate.ts";
import { type BootId, type Frame, Tag } from "../../src/protocol/frames.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { clusterIdentity, type KeyMaterial, Keyring, keyBytes } from "../../src/wire/keyring.ts";
import { LoneReplica, peerAddress, peerHeartbeat } from "./lone-replica.ts";

const secretOf = (fill: number) => Buffer.alloc(keyBytes, fill);

/** Key material of a cluster: keys are told by numbers, the one that seals comes first. */
export function keysOf(use: number, ...open: number[]): KeyMaterial {
  return { identity: secretOf(100), use: secretOf(use), open: open.map(secretOf) };
}

export const ownBoot: BootId = "00000000aaaa000000000001";

/** The sending side of some node: what it seals is what the network carries. */
export class Sender {
  readonly boot: BootId;
  readonly codec: DatagramCodec;

  constructor(boot: BootId, material: KeyMaterial | null = keysOf(1), cluster = "guarded") {
    const ring = material === null ? undefined : new Keyring(material);
    this.boot = boot;
    this.codec = new DatagramCodec(boot, clusterIdentity(cluster, material?.identity), ring);
  }

  seal(clock: number, ...frames: Frame[]): Buffer {
    return this.codec.encode(frames, clock);
  }
}

/** One replica behind its gate, in a cluster with keys. */
export class GuardedReplica {
  readonly lone = new LoneReplica();
  readonly codec: DatagramCodec;
  readonly gate: Gate;

  constructor(material: KeyMaterial | null = keysOf(1)) {
    this.codec = new Sender(ownBoot, material).codec;
    this.gate = new Gate(this.codec, this.lone.replica, new Prng(1));
    this.lone.settle();
  }

  take(bytes: Buffer, via: Via = "unicast", address = peerAddress): Passage {
    // A buffer of its own, made worthless afterwards, as a socket's may be.
    const received = Buffer.from(bytes);
    const passage = this.gate.take(received, address, via, this.lone.now);
    received.fill(0xee);
    this.lone.tick();
    return passage;
  }

  /** The sender says who it is and answers the ping that this brings. */
  meet(sender: Sender, name = "peer", address = peerAddress): void {
    const heartbeat = peerHeartbeat({ name });
    this.take(sender.seal(this.lone.peerTime, heartbeat), "unicast", address);
    const nonce = this.lone.replica.peers.get(sender.boot)?.challenge ?? 0;
    this.take(sender.seal(this.lone.peerTime, { tag: Tag.ack, nonce }), "unicast", address);
    this.lone.outbox.takeSent();
    this.lone.outbox.takeEvents();
  }

  /** All that peers may have changed: what is held, who is there, and the clock. */
  get state(): unknown {
    const { replica } = this.lone;
    return {
      digest: replica.store.trie.root,
      records: replica.store.recordCount,
      clock: replica.clockTime,
      peers: [...replica.peers.all()].map(({ name, boot, state, address, incoming }) => ({
        who: [name, boot, state, address],
        stream: [incoming.highest, incoming.missingCount],
      })),
    };
  }
}
