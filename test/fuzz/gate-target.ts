/**
 * The gate before a real replica, on whose network anybody sends anything: what members have
 * sealed, once and again, from anywhere, and what others have made of it. An input is a script;
 * see `Script.play`.
 */
import assert from "node:assert/strict";
import { Prng } from "../../src/base/prng.ts";
import type { Peer } from "../../src/core/membership/peer.ts";
import type { Via } from "../../src/core/membership/ways.ts";
import type { Address } from "../../src/core/outbox.ts";
import { Gate, type Receiver } from "../../src/net/gate.ts";
import { type BootId, type Datagram, type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { ByteReader } from "../../src/wire/byte-reader.ts";
import { readFrames } from "../../src/wire/frame-codec.ts";
import { HeaderCheck } from "../../src/wire/header-check.ts";
import { clusterIdentity, Keyring } from "../../src/wire/keyring.ts";
import { frameLists } from "../support/frame-arbitraries.ts";
import { GuardedReplica, keysOf, ownBoot, Sender } from "../support/guarded-replica.ts";
import { blockOf, created, peerHeartbeat } from "../support/lone-replica.ts";
import { breedSections, joinSections, splitSections } from "./sections.ts";
import { type Features, type FuzzTarget, sized } from "./target.ts";
import { breedFrames, encodedFrames, sampled, thatFit } from "./wire-targets.ts";

const stepsMax = 64;
const rings = [keysOf(1, 2), keysOf(2, 1), keysOf(1)].map((material) => new Keyring(material));
const check = new HeaderCheck(
  clusterIdentity("guarded", keysOf(1).identity).checkKey ?? Buffer.alloc(8),
);
const bootOf = (digit: string): BootId => digit.repeat(24);

/** Who sends: two members, one of whom uses the next key, a stranger, copies, and outsiders. */
function makeSenders(): Sender[] {
  return [
    new Sender(bootOf("a"), keysOf(1, 2)),
    new Sender(bootOf("b"), keysOf(2, 1)),
    new Sender(bootOf("c"), keysOf(1, 2)),
    new Sender(bootOf("a"), keysOf(1, 2)),
    new Sender(ownBoot, keysOf(1, 2)),
    new Sender(bootOf("d"), keysOf(3)),
    new Sender(bootOf("d"), keysOf(1), "other"),
    new Sender(bootOf("d"), null),
  ];
}

const membersAre = { first: 0, second: 1 } as const;
/** From here on they have not the cluster's name or keys. */
const firstOutsider = 5;
const places: readonly (Address | undefined)[] = ["host-0:1", "host-1:1", "host-2:1", undefined];
const lone = { tag: Tag.leave } as const;

const Step = { send: 0, again: 1, change: 2, raw: 3, time: 4, keys: 5, answer: 6, own: 7 } as const;
const stepKinds = 8;

/** Where a datagram comes from, and by which way: one octet. */
function wayOf(octet = 0): { readonly source: Address | undefined; readonly via: Via } {
  return { source: places[octet & 3], via: (octet & 4) === 0 ? "unicast" : "multicast" };
}

/** Who has sealed these octets: this node, others who have the keys, or both the same. */
interface Makers {
  own: boolean;
  others: boolean;
}

class Script {
  readonly #node = new GuardedReplica(keysOf(1, 2));
  readonly #gate: Gate;
  readonly #senders = makeSenders();
  readonly #features = new Set<string>();
  /** All that was on the network, and of what is authentic who made it. */
  readonly #recorded: Buffer[] = [];
  readonly #makers = new Map<string, Makers>();
  /** Counters of this node that came back, and of others that were taken, while they are known. */
  readonly #echoes = new Set<number>();
  readonly #taken = new WeakMap<Peer, Set<string>>();
  /** What was acted upon, by boot and counter. */
  readonly #actedUpon = new Set<string>();
  #ring = rings[0] as Keyring;

  constructor() {
    const { replica } = this.#node.lone;
    const receiver: Receiver = {
      peers: replica.peers,
      receive: (datagram, source, now, via) => {
        this.#watch(datagram, () => replica.receive(datagram, source, now, via));
      },
    };
    this.#gate = new Gate(this.#node.codec, receiver, new Prng(1));
  }

  /** Steps of an octet that says what and by whom, a u16 length and so much more. */
  play(input: Buffer): Features {
    for (const member of [membersAre.first, membersAre.second]) this.#meet(member);
    let steps = 0;
    for (const { kind, body } of splitSections(input).slice(0, stepsMax)) {
      steps += 1;
      this.#step(kind % stepKinds, Math.floor(kind / stepKinds), Buffer.from(body));
    }
    const states = [...this.#node.lone.replica.peers.all()].map(({ state }) => state);
    const sizes = Object.entries(this.#gate.rejects).map(([name, count]) => sized(name, count));
    return [...this.#features, ...sizes, states.sort().join(), sized("steps", steps)];
  }

  #meet(member: number): void {
    const name = `member-${member}`;
    this.#send(member, member, [peerHeartbeat({ name })]);
    this.#node.lone.tick();
    this.#answer(member, member);
    this.#node.lone.outbox.takeSent();
    this.#node.lone.outbox.takeEvents();
  }

  #step(step: number, who: number, body: Buffer): void {
    const { lone } = this.#node;
    const sender = who % this.#senders.length;
    const [first = 0, second = 0] = body;
    if (step === Step.send) this.#send(sender, first, framesIn(body.subarray(1)));
    else if (step === Step.again) this.#take(this.#record(second), first);
    else if (step === Step.change) this.#take(this.#changed(body), first);
    else if (step === Step.raw) this.#take(body.subarray(1), first);
    else if (step === Step.time) lone.pass((first * 256 + second) % 20_000);
    else if (step === Step.keys) this.#rekey(first);
    else if (step === Step.answer) this.#answer(sender, first);
    else this.#sendOwn(first);
    if ((who & 16) === 0) lone.tick();
    lone.outbox.takeSent();
    lone.outbox.takeEvents();
  }

  #rekey(number: number): void {
    this.#ring = rings[number % rings.length] as Keyring;
    this.#node.codec.rekey(this.#ring);
  }

  #send(number: number, way: number, frames: readonly Frame[]): void {
    const sender = this.#senders[number] as Sender;
    const bytes = sender.seal(this.#node.lone.peerTime, ...frames);
    if (number < firstOutsider) this.#note(bytes, "others");
    this.#recorded.push(bytes);
    this.#take(bytes, way);
  }

  #sendOwn(way: number): void {
    const bytes = this.#node.codec.encode([lone], this.#node.lone.peerTime);
    this.#note(bytes, "own");
    this.#recorded.push(bytes);
    this.#take(bytes, way);
  }

  /** To the ping that the sender's boot was sent last, wherever it was sent. */
  #answer(number: number, way: number): void {
    const { boot } = this.#senders[number] as Sender;
    const nonce = this.#node.lone.replica.peers.get(boot)?.challenge ?? 0;
    this.#send(number, way, [{ tag: Tag.ack, nonce }]);
  }

  #note(bytes: Buffer, who: keyof Makers): void {
    const name = bytes.toString("latin1");
    const makers = this.#makers.get(name) ?? { own: false, others: false };
    makers[who] = true;
    this.#makers.set(name, makers);
  }

  #record(number: number): Buffer {
    return this.#recorded[number % this.#recorded.length] ?? Buffer.alloc(0);
  }

  /** As somebody without the keys could make it, but for the check, by which he would be found. */
  #changed([, number = 0, other = 0, high = 0, low = 0, change = 0, how = 0]: Buffer): Buffer {
    const bytes = Buffer.from(this.#record(number));
    const at = (high * 256 + low) % (bytes.length + 1);
    if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ change;
    if ((how & 1) !== 0) this.#record(other).copy(bytes, 0, 0, limits.headerBytes);
    const cut = (how & 2) !== 0 ? bytes.subarray(0, at) : bytes;
    if ((how & 4) !== 0 && cut.length >= limits.headerBytes) cut.writeUInt16BE(check.of(cut), 26);
    return cut;
  }

  /** A datagram comes: of what is refused nothing may come but one count. */
  #take(bytes: Buffer, way: number): void {
    const { source, via } = wayOf(way);
    const { lone } = this.#node;
    lone.outbox.takeSent();
    const before = this.#state;
    const counts = { ...this.#gate.rejects };
    const received = Buffer.from(bytes);
    const passage = this.#gate.take(received, source, via, lone.now);
    received.fill(0xee);
    this.#features.add(`${passage} ${via}`);
    const makers = this.#makers.get(bytes.toString("latin1"));
    if (passage === "taken") {
      assert(makers?.others, "only what members seal is taken");
      assert(source !== undefined && bytes.toString("hex", 8, 20) !== ownBoot);
      assert(this.#holdsKeyOf(bytes), "only under keys that are held");
      this.#rememberTaken(bytes, via);
      this.#boundReplies(bytes);
      return;
    }
    assert.deepEqual(this.#state, before, "nothing of it stays");
    assert.deepEqual(lone.outbox.takeSent(), [], "nothing of it is answered");
    assert.deepEqual(lone.outbox.takeEvents(), []);
    if (passage === "own") this.#checkOwn(bytes, makers, via);
    else if (passage === "cloned" || passage === "twin")
      assert(makers?.others, "nobody can feign it");
    else counts[passage] = (counts[passage] ?? 0) + 1;
    assert.deepEqual(this.#gate.rejects, counts, "one refusal is counted once, and nothing else");
  }

  #checkOwn(bytes: Buffer, makers: Makers | undefined, via: Via): void {
    assert(makers?.own && via === "multicast", "only what was sent is own");
    const counter = bytes.readUIntBE(20, 6);
    assert(!this.#echoes.has(counter), "and comes back once");
    this.#echoes.add(counter);
  }

  /** For as long as a boot is known its counters are taken once by each way. */
  #rememberTaken(bytes: Buffer, via: Via): void {
    const peer = this.#peerOf(bytes);
    assert(peer !== undefined);
    const taken = this.#taken.get(peer) ?? new Set();
    const name = `${bytes.readUIntBE(20, 6)} ${via}`;
    assert(!taken.has(name), "one counter is taken once by each way");
    this.#taken.set(peer, taken.add(name));
  }

  #peerOf(bytes: Buffer): Peer | undefined {
    return this.#node.lone.replica.peers.get(bytes.toString("hex", 8, 20));
  }

  get #state(): unknown {
    const { counters } = this.#node.lone.replica;
    return structuredClone({ state: this.#node.state, counters });
  }

  #holdsKeyOf(bytes: Buffer): boolean {
    const mark = bytes.readUInt16BE(4);
    return this.#ring.fingerprints.some((fingerprint) => fingerprint >>> 16 === mark);
  }

  /** Before a boot has shown that it lives its sender gets no more than he has sent. */
  #boundReplies(bytes: Buffer): void {
    const { lone } = this.#node;
    const sent = lone.outbox.takeSent();
    if (isProven(this.#peerOf(bytes))) return;
    let octets = 0;
    for (const { to, frames } of sent) {
      const overhead = limits.headerBytes + limits.preambleBytes + limits.sealBytes;
      if (to !== undefined) octets += overhead + encodedFrames(frames).length;
    }
    assert(octets <= bytes.length, `${octets} octets for ${bytes.length}`);
  }

  /** What is let through is acted upon once, and only of who has shown that it lives. */
  #watch({ boot, counter }: Datagram, receive: () => void): void {
    const { replica } = this.#node.lone;
    const wasProven = isProven(replica.peers.get(boot));
    const { guard } = replica.counters;
    const notFresh = () => guard.copy + guard.replayed + guard.stale;
    const before = {
      notFresh: notFresh(),
      root: replica.store.trie.root,
      clock: replica.clockTime,
    };
    receive();
    if (wasProven && notFresh() === before.notFresh) {
      const name = `${boot} ${counter}`;
      assert(!this.#actedUpon.has(name), "one counter of a boot is acted upon once");
      this.#actedUpon.add(name);
    }
    if (wasProven || isProven(replica.peers.get(boot))) return;
    const after = { notFresh: notFresh(), root: replica.store.trie.root, clock: replica.clockTime };
    assert.deepEqual({ ...after, notFresh: before.notFresh }, before, "no data before the proof");
  }
}

/** Told by what the replica keeps, not by what it concludes of it. */
function isProven(peer: Peer | undefined): boolean {
  return peer?.state === "up" || peer?.lingers === true;
}

/** What a sender says; it has to be something. */
function framesIn(octets: Buffer): readonly Frame[] {
  const frames = thatFit(readFrames(new ByteReader(octets)) ?? []);
  return frames.length > 0 ? frames : [lone];
}

function step(kind: number, who: number, ...octets: (number | Uint8Array)[]): Buffer {
  const parts = octets.map((each) => (typeof each === "number" ? Buffer.from([each]) : each));
  return joinSections([{ kind: kind + stepKinds * who, body: Buffer.concat(parts) }]);
}

/** Said by unicast, or to the group, from where so many a sender is. */
const says = (who: number, way: number, ...frames: Frame[]) => {
  return step(Step.send, who, way, encodedFrames(frames));
};
const passed = (ms: number) => step(Step.time, 0, ms >> 8, ms & 255);
const group = 4;

function corpus(): Buffer[] {
  const hello = peerHeartbeat({ name: "stranger", hello: true });
  const delta = (sequence: number): Frame => {
    const block = blockOf([created("s", new GuardedReplica().lone.peerTime)]);
    return { tag: Tag.delta, sequence, block };
  };
  const again = (number: number, way: number) => step(Step.again, 0, way, number);
  const change = (number: number, how: number, at = 60) => {
    return step(Step.change, 0, 0, number, 0, at >> 8, at & 255, 1, how);
  };
  const numbers = [0, 1, 2, 3, 4, 5];
  return [
    Buffer.concat([says(0, 0, delta(1)), ...numbers.flatMap((number) => again(number, 0))]),
    Buffer.concat([says(1, 1 + group, delta(1)), again(4, 1), again(4, 1 + group), again(4, 0)]),
    Buffer.concat(numbers.flatMap((how) => numbers.map((number) => change(number, how)))),
    Buffer.concat(numbers.map((number) => change(number, 7, 4 * number))),
    Buffer.concat([says(2, 2, hello, delta(1)), step(Step.answer, 2, 2), says(2, 2, delta(2))]),
    Buffer.concat([
      says(2, 2, hello),
      passed(4_000),
      again(4, 2),
      says(2, 2, hello),
      passed(9_000),
    ]),
    Buffer.concat([says(3, 0, lone), says(3, 0, lone), says(3, 0, lone), says(4, 2, lone)]),
    Buffer.concat([step(Step.own, 0, 4), again(4, 4), again(4, 0), says(4, 1, lone), change(4, 4)]),
    Buffer.concat([5, 6, 7].map((who) => says(who, 2, hello))),
    Buffer.concat([step(Step.keys, 0, 2), says(1, 1, delta(1)), step(Step.keys, 0, 1)]),
    Buffer.concat([passed(9_000), again(0, 0), again(1, 1), says(0, 0, hello), says(0, 3, lone)]),
    Buffer.concat([
      Buffer.concat([says(0, 0, lone), passed(19_999), passed(19_999), passed(19_999)]),
      Buffer.concat([passed(9_999), says(0, 0, hello), step(Step.answer, 0, 0), again(4, 0)]),
    ]),
    step(Step.raw, 0, 0, Buffer.alloc(80, 0x53)),
    ...sampled(frameLists(4).map(thatFit), 40)
      .filter((list) => list.length > 0)
      .map((list, index) =>
        Buffer.concat([says(index % 5, index % 8, ...list), again(4, index % 8), passed(700)]),
      ),
  ];
}

const gate: FuzzTarget = {
  name: "gate",
  about: "a segment where anybody sends anything: only what members seal is taken, and once",
  bytesMax: 8_192,
  executions: 100,
  corpus,
  breed(input, other, prng, anyhow) {
    const inFrames = breedFrames(anyhow);
    return breedSections(input, other, prng, (kind) => {
      if (kind % stepKinds !== Step.send) return anyhow;
      return (one, another) =>
        Buffer.concat([
          Buffer.from([prng.chance(0.2) ? prng.below(8) : (one[0] ?? 0)]),
          inFrames(one.subarray(1), another.subarray(1), prng),
        ]);
    });
  },
  run: (input) => new Script().play(input),
};

export const gateTargets: readonly FuzzTarget[] = [gate];
