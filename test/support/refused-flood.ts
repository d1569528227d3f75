import { Prng } from "../../src/base/prng.ts";
import type { Via } from "../../src/core/membership/ways.ts";
import type { Address } from "../../src/core/outbox.ts";
import type { GateReject } from "../../src/net/gate.ts";
import { type BootId, type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { ByteWriter } from "../../src/wire/byte-writer.ts";
import { writeFrame } from "../../src/wire/frame-codec.ts";
import { type Header, writeHeader } from "../../src/wire/header.ts";
import { HeaderCheck } from "../../src/wire/header-check.ts";
import { clusterIdentity, Keyring, markOf } from "../../src/wire/keyring.ts";
import { Seal } from "../../src/wire/seal.ts";
import { GuardedReplica, keysOf, ownBoot, Sender } from "./guarded-replica.ts";
import { blockOf, created, peerHeartbeat } from "./lone-replica.ts";

/** One a millisecond of them, so this is a flood of 50 000 a second. */
const perStep = 50;
/** So many of the recordings made last are at hand. */
const recordingsKept = 2_000;
const memberAddress = "10.0.0.2:1";
const noisy = "10.9.9.9:1";

const ring = new Keyring(keysOf(1));
const { clusterTag, checkKey } = clusterIdentity("guarded", keysOf(1).identity);
const check = new HeaderCheck(checkKey ?? Buffer.alloc(8));
const bootOf = (kind: string, index: number): BootId => {
  return `00000000${kind}${index.toString(16).padStart(12, "0")}`;
};

interface Came {
  readonly bytes: Buffer;
  readonly source: Address | undefined;
  readonly via: Via;
}

/**
 * A node with one peer, on whose network somebody sends all that leads to nothing: noise, forgeries
 * under headers that hold, and recordings of the living and of ever more dead boots, from ever more
 * hosts. Two floods of one length are alike, but none of their boots and hosts are the same.
 */
export class RefusedFlood {
  readonly node = new GuardedReplica();
  sent = 0;
  readonly #prng = new Prng(1);
  readonly #noise = Buffer.alloc(8_192);
  readonly #former = new Sender(bootOf("bbbb", 1));
  readonly #member = new Sender(bootOf("bbbb", 2));
  readonly #faulty = new Seal(bootOf("bbbb", 3), "guarded", ring);
  readonly #silent = new Sender(bootOf("bbbb", 4));
  /** What the peer has sent and this node has taken, and what has never arrived here. */
  readonly #taken: Buffer;
  readonly #stray: Buffer;
  readonly #own: Buffer;
  readonly #recordings: Came[] = [];
  readonly #kinds = this.#allKinds();
  #number = 0;

  constructor() {
    for (let at = 0; at < this.#noise.length; at += 4) {
      this.#noise.writeUInt32BE(this.#prng.uint32(), at);
    }
    this.node.meet(this.#former, "member", memberAddress);
    this.node.meet(this.#member, "member", memberAddress);
    this.#taken = this.#say(this.#member);
    this.#stray = this.#say(this.#member);
    this.node.take(this.#taken, "multicast", memberAddress);
    this.#own = this.node.codec.encode([peerHeartbeat()], this.node.lone.peerTime);
  }

  /** `inspect`: called after each millisecond. */
  run(milliseconds: number, inspect: () => void = () => {}): void {
    for (let passed = 0; passed < milliseconds; passed++) {
      if (passed % 200 === 0) this.#keepUp();
      this.#pass(1);
      for (const make of this.#kinds) this.#send(make());
      for (let more = this.#kinds.length; more < perStep; more++) this.#send(this.#garbage());
      this.#settle();
      inspect();
    }
    this.#afterTerms();
    inspect();
  }

  /** Recordings that were opened lately, again when their boots have had time to answer. */
  #afterTerms(): void {
    for (let passed = 0; passed <= limits.probationMs; passed += 500) {
      this.#pass(500);
      this.#keepUp();
    }
    for (const recording of this.#recordings.slice(-500)) this.#send(recording);
    this.#settle();
  }

  #send({ bytes, source, via }: Came): void {
    this.sent += 1;
    this.node.gate.take(bytes, source, via, this.node.lone.now);
  }

  #pass(ms: number): void {
    this.node.lone.nowMs += ms;
  }

  #settle(): void {
    const { lone } = this.node;
    lone.tick();
    lone.outbox.takeSent();
    lone.outbox.takeEvents();
  }

  /** The peer goes on living. */
  #keepUp(): void {
    this.node.take(this.#say(this.#member), "multicast", memberAddress);
  }

  #say(sender: Sender, ...frames: Frame[]): Buffer {
    return sender.seal(this.node.lone.peerTime, peerHeartbeat({ name: "member" }), ...frames);
  }

  #next(): number {
    this.#number += 1;
    return this.#number;
  }

  /** A host that has sent nothing before. */
  #host(): Address {
    return `host-${this.#next()}:1`;
  }

  /** Of a boot that is dead and was not heard before: more than it takes to be asked for proof. */
  #recording(): Came {
    const number = this.#next();
    const { peerTime } = this.node.lone;
    const name = number % 3 === 0 ? "member" : `dead-${number}`;
    const bytes = sealed(
      bootOf("dddd", number),
      peerTime,
      peerHeartbeat({ name, hello: true, sequence: number * 1_000 }),
      { tag: Tag.delta, sequence: number * 2_000, block: blockOf([created("s", peerTime)]) },
      { tag: Tag.fragment, sequence: number, index: 0, count: 9, bytes: Buffer.alloc(99) },
      { tag: Tag.ack, nonce: number },
      { tag: Tag.fetch, nonce: number, id: "s" },
      { tag: Tag.want, transfer: number, ranges: [{ level: 0, prefix: 0 }] },
      { tag: Tag.offer, ranges: [{ level: 0, prefix: 0 }] },
      { tag: Tag.confirm, first: 1, last: number },
      { tag: Tag.pingRequest, nonce: number, boot: this.#member.boot },
      { tag: Tag.copies, leaseMs: limits.copiesLeaseMsMax },
      { tag: Tag.leave },
    );
    const came: Came = { bytes, source: this.#host(), via: "multicast" };
    if (this.#recordings.push(came) > recordingsKept) this.#recordings.shift();
    return came;
  }

  /** From where it came first, from where all the noise does, or from a host of its own. */
  #again(): Came {
    const earlier = this.#prng.pick(this.#recordings) as Came;
    const source = this.#prng.pick([earlier.source, noisy, this.#host()]);
    return { ...earlier, source, via: this.#prng.chance(0.5) ? "multicast" : "unicast" };
  }

  /** A header that holds, over noise. */
  #forged(fields: Partial<Header>): Buffer {
    const bytes = Buffer.from(this.#noise.subarray(0, 120 + this.#prng.below(1_000)));
    bytes.writeUInt32BE(this.#prng.uint32(), bytes.length - 4);
    const boot = bootOf("eeee", this.#next());
    const header = { sealed: true, keyMark: markOf(ring.use), clusterTag, boot, counter: 1 };
    writeHeader(bytes, { ...header, ...fields }, check);
    return bytes;
  }

  #garbage(): Came {
    const start = this.#prng.below(this.#noise.length - limits.datagramBytesMax - 200);
    const length = this.#prng.below(limits.datagramBytesMax + 200);
    return multicast(this.#noise.subarray(start, start + length), noisy);
  }

  /** Authentic, and no frames. */
  #misframed(): Buffer {
    const bytes = this.#forged({ boot: bootOf("bbbb", 3), counter: this.#next() });
    this.#faulty.seal(bytes);
    return bytes;
  }

  #allKinds(): readonly (() => Came)[] {
    const { boot } = this.#member;
    const counter = () => 1_000_000 + this.#next();
    return [
      ...[1, 2].map(() => () => this.#recording()),
      () => this.#again(),
      () => multicast(this.#say(this.#silent, { tag: Tag.ack, nonce: this.#next() }), noisy),
      () => multicast(this.#say(this.#former, { tag: Tag.leave }), memberAddress),
      () => multicast(this.#misframed(), noisy),
      // From hosts that have failed, and from such as have not.
      ...[1, 2].map(() => () => multicast(this.#forged({}), this.#host())),
      () => multicast(this.#forged({}), noisy),
      () => multicast(this.#forged({ boot, counter: counter() }), memberAddress),
      () => multicast(this.#forged({ boot: ownBoot, counter: counter() }), this.#host()),
      () => multicast(this.#forged({ keyMark: 1 }), this.#host()),
      () => multicast(this.#forged({ clusterTag: 1 }), this.#host()),
      () => multicast(this.#forged({ sealed: false }), this.#host()),
      () => multicast(changed(this.#forged({}), 2), this.#host()),
      () => multicast(changed(this.#forged({}), 3), this.#host()),
      () => multicast(changed(this.#forged({}), 8), this.#host()),
      () => multicast(this.#taken, memberAddress),
      () => multicast(changed(this.#taken, this.#taken.length - 1), memberAddress),
      () => multicast(this.#stray, this.#host()),
      () => multicast(this.#own, this.#host()),
      () => ({ bytes: this.#own, source: this.#host(), via: "unicast" }),
      () => ({ bytes: this.#taken, source: undefined, via: "multicast" }),
    ];
  }
}

/** All that a sealed node may say to a datagram; that it is sealed is none of it. */
export const refusals: readonly GateReject[] = Object.keys({
  too_short: 0,
  too_long: 0,
  bad_magic: 0,
  bad_version: 0,
  bad_flags: 0,
  unsealed: 0,
  wrong_cluster: 0,
  bad_header: 0,
  wrong_key: 0,
  bad_seal: 0,
  boots_throttled: 0,
  bad_frame: 0,
  portless: 0,
  replayed: 0,
  strayed: 0,
  unanswered: 0,
  not_ours: 0,
  twins_throttled: 0,
} satisfies Record<Exclude<GateReject, "sealed">, 0>) as GateReject[];

/** The only datagram of a boot, without all that a sender of many has. */
function sealed(boot: BootId, clock: number, ...frames: Frame[]): Buffer {
  const writer = new ByteWriter(limits.datagramBytesMax);
  writer.position = limits.headerBytes;
  writer.u64(clock);
  for (const frame of frames) writeFrame(writer, frame);
  writer.position += limits.sealBytes;
  const bytes = writer.written();
  const header = { sealed: true, keyMark: markOf(ring.use), clusterTag, boot, counter: 1 };
  writeHeader(bytes, header, check);
  new Seal(boot, "guarded", ring).seal(bytes);
  return bytes;
}

function multicast(bytes: Buffer, source: Address): Came {
  return { bytes, source, via: "multicast" };
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x80;
  return copy;
}
