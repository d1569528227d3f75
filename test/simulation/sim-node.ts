import { Prng } from "../../src/base/prng.ts";
import type { Via } from "../../src/core/membership/ways.ts";
import type { Address, CoreEvent, Outbox } from "../../src/core/outbox.ts";
import { Replica } from "../../src/core/replica.ts";
import { Gate, type Receiver } from "../../src/net/gate.ts";
import { type BootId, type Datagram, type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampTimeOf, stampWallMs } from "../../src/session/stamp.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { clusterIdentity, Keyring, keyBytes } from "../../src/wire/keyring.ts";
import { prngFor } from "./chance.ts";
import { FetchWatch } from "./fetch-watch.ts";
import { GuardWatch } from "./guard-watch.ts";
import { Inbox } from "./inbox.ts";
import type { Issued } from "./issued.ts";
import { type Network, type Packet, packetOf } from "./network.ts";
import type { ForeignOptions, SimulationOptions } from "./options.ts";
import { PaceWatch } from "./pace-watch.ts";
import { RangeWatch } from "./range-watch.ts";
import { StoreWatch } from "./store-watch.ts";
import { StreamWatch } from "./stream-watch.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What a node needs of the world around it. */
export interface World {
  readonly nowMs: number;
  readonly options: SimulationOptions;
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  readonly issued: Issued;
  readonly trace: Trace;
  readonly boots: Prng;
  /** Which node's socket has this address now. */
  nodeAt(address: Address): number | undefined;
  at(atMs: number, run: () => void): void;
  /** After each turn of a node: bounds are held at every step. */
  afterTurn(node: SimNode): void;
  onEvent(node: SimNode, event: CoreEvent): void;
  onStart(node: SimNode): void;
  /** It is about to be told to leave, and it has left. */
  onLeave(node: SimNode): void;
  onLeft(node: SimNode): void;
  onEnd(boot: BootId): void;
  /** Tells boots that have ended by now from others, whenever it is asked. */
  deadNow(): (boot: BootId) => boolean;
  /** A datagram leaves under this boot id. */
  sealed(boot: BootId, bytes: Buffer): void;
}

/** One start of a node: what is lost with its memory. */
export interface Life {
  readonly boot: string;
  readonly replica: Replica;
  readonly codec: DatagramCodec;
  readonly gate: Gate;
  readonly guard: GuardWatch | undefined;
  readonly stores: StoreWatch | undefined;
  readonly streams: StreamWatch | undefined;
  readonly pace: PaceWatch;
  readonly fetches: FetchWatch | undefined;
  readonly ranges: RangeWatch | undefined;
  readonly startedMs: number;
}

const roomy = { count: 1_000_000, bytes: 1 << 28, tombstones: 100_000, stubs: 100_000 };
const idleMsDefault = 1_800_000;
const keyOf = (fill: number) => Buffer.alloc(keyBytes, fill);
const [secret, first, second] = [keyOf(1), keyOf(2), keyOf(3)];
const rings = {
  before: new Keyring({ identity: secret, use: first, open: [second] }),
  after: new Keyring({ identity: secret, use: second, open: [first] }),
  another: new Keyring({ identity: secret, use: keyOf(4), open: [] }),
};

/** One host with its clock and its receive buffer; a replica runs on it, or does not. */
export class SimNode implements Outbox {
  readonly index: number;
  readonly clock = new VirtualClock();
  readonly inbox: Inbox;
  readonly #world: World;
  #life: Life | undefined;
  #starts = 0;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #rotated = false;
  bytesSent = 0;
  /**
   * Its clock ran ahead of what peers accept while it ran, so that it may have issued stamps that
   * they refuse until time has caught up; or it was set back.
   */
  tainted = false;
  /** When its clock was set last, whatever it showed before. */
  clockSetMs = 0;

  constructor(world: World, index: number) {
    this.#world = world;
    this.index = index;
    const { buffers, laggard } = world.options.node;
    const slow = laggard === index;
    this.inbox = new Inbox(world, (packets) => this.#turn(packets), {
      capacity: buffers?.datagrams ?? (slow ? 256 : 4_096),
      msPerDatagram: (buffers?.msPerDatagram ?? (slow ? 0.1 : 0)) * (slow ? 10 : 1),
    });
  }

  get name(): string {
    return `node-${this.index}`;
  }

  get label(): string {
    return `node ${this.index} (start ${this.#starts})`;
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  /** Its clients are gone, and its peers are given what they lack. */
  get leaving(): boolean {
    return this.#life?.replica.phase === "leaving";
  }

  /** Whether clients find it. */
  get serving(): boolean {
    return this.running && !this.leaving;
  }

  get paused(): boolean {
    return this.inbox.busyUntilMs > this.#world.nowMs && this.inbox.paused;
  }

  get life(): Life | undefined {
    return this.#life;
  }

  /** Too small for the workload: it may give up records, nobody else may. */
  get tiny(): boolean {
    const { tiny } = this.#world.options.node;
    return tiny !== null && (tiny.node === null || tiny.node === this.index);
  }

  /** Does not even have room to remember what it does not hold. */
  get forgetful(): boolean {
    return this.tiny && this.#world.options.node.tiny?.stubs !== null;
  }

  /** For how long it remembers what was destroyed. */
  get retentionMs(): number {
    return this.#world.options.tombstoneRetentionMs;
  }

  /** What its store may hold. */
  get capacity(): Record<"count" | "bytes" | "tombstones" | "stubs", number> {
    const { tiny } = this.#world.options.node;
    if (tiny === null || !this.tiny) return roomy;
    const { count, bytes, stubs } = tiny;
    return { count, bytes, tombstones: count, stubs: stubs ?? roomy.stubs };
  }

  /** Its clock has run ahead and was set right, and what it wrote meanwhile is not mended yet. */
  hasFutureStamps(nowMs: number): boolean {
    if (this.#life === undefined) return false;
    const { clockTime } = this.#life.replica;
    return stampWallMs(clockTime) > this.clock.at(nowMs).wallMs + limits.clockDriftMsMax;
  }

  get #rateMax(): number {
    return this.#world.options.node.rateBytesPerSecondMax ?? limits.rateBytesPerSecondDefault;
  }

  get foreign(): boolean {
    return this.#world.options.node.foreign?.node === this.index;
  }

  /** What sets it apart; another name where the rest of the run leaves no choice. */
  get #apartBy(): ForeignOptions["by"] | undefined {
    const { node, network, paths, seal } = this.#world.options;
    if (!this.foreign || node.foreign === null) return undefined;
    const { by } = node.foreign;
    if (by === "key") return seal === null ? "cluster" : "key";
    // Who is told of it, by an address or by a datagram that somebody sends on, sees it.
    const isHidden = !paths.seeds && network.replay === null && network.forge === null;
    return by === "unicast" && !isHidden ? "cluster" : by;
  }

  get #isUnicast(): boolean {
    return this.#world.options.paths.unicast || this.#apartBy === "unicast";
  }

  /** Whether its socket has joined the group. */
  get hearsGroup(): boolean {
    return this.#apartBy !== "unicast";
  }

  /** Whether all demands are made on it. */
  get correct(): boolean {
    return !this.forgetful && !this.foreign;
  }

  start(): void {
    const { nowMs, issued, options, trace } = this.#world;
    this.#starts += 1;
    const boot = this.#bootId();
    const identity = clusterIdentity(this.#apartBy === "cluster" ? "another" : "simulated");
    const replica = new Replica(
      {
        boot,
        name: this.name,
        hashKey: identity.hashKey,
        bytesMax: this.capacity.bytes,
        countMax: this.capacity.count,
        tombstonesMax: this.capacity.tombstones,
        stubsMax: this.capacity.stubs,
        tombstoneRetentionMs: this.retentionMs,
        idleMsDefault,
        absoluteMsDefault: 0,
        mode: this.#isUnicast ? "unicast" : "multicast",
        rateBytesPerSecondMax: this.#rateMax,
      },
      deltaCodec,
      this,
      new Prng(this.#world.boots.uint32()),
    );
    const watched = options.profile !== "unsealed";
    const { label, foreign, tiny: mayEvict, retentionMs: tombstoneRetentionMs } = this;
    const clockWasWrong = () => this.tainted;
    const watch = { label, foreign, tombstoneRetentionMs, mayEvict, clockWasWrong };
    const ring = this.#ring;
    const sealed = clusterIdentity(identity.name, secret);
    const codec = new DatagramCodec(boot, ring === undefined ? identity : sealed, ring);
    const receiver: Receiver = {
      peers: replica.peers,
      receive: (datagram, source, now, via) => {
        this.#watch(datagram, () => replica.receive(datagram, source, now, via));
      },
    };
    this.#life = {
      boot,
      replica,
      codec,
      gate: new Gate(codec, receiver, prngFor(options.seed, `gate ${boot}`)),
      guard: watched ? new GuardWatch(label, replica, this.#world.deadNow()) : undefined,
      stores: watched ? new StoreWatch(replica.store, issued, watch) : undefined,
      streams: watched ? new StreamWatch(label) : undefined,
      pace: new PaceWatch(label, this.#rateMax, this.clock.at(nowMs).monotonicMs),
      fetches: watched ? new FetchWatch(label, nowMs) : undefined,
      ranges: watched ? new RangeWatch() : undefined,
      startedMs: nowMs,
    };
    this.tainted = this.clock.aheadMs(nowMs) > limits.clockDriftMsMax;
    trace.note(nowMs, "start", this.index, boot);
    this.#world.onStart(this);
    replica.start(this.clock.at(nowMs));
    if (options.paths.seeds) {
      const addresses = Array.from({ length: options.nodes }, (_, index) => `node:${index}:0`);
      // As the driver: a node does not greet itself.
      replica.setSeeds(addresses.toSpliced(this.index, 1), this.clock.at(nowMs));
    }
    this.wake();
  }

  /** From now on the cluster's second key seals; both open all the time. */
  rotate(): void {
    this.#rotated = true;
    if (this.#ring !== undefined) this.#life?.codec.rekey(this.#ring);
  }

  get #ring(): Keyring | undefined {
    if (this.#world.options.seal === null) return undefined;
    if (this.#apartBy === "key") return rings.another;
    return this.#rotated ? rings.after : rings.before;
  }

  /** Like SIGKILL: nothing is said to anybody, and nothing in memory survives. */
  crash(): void {
    this.#world.trace.note(this.#world.nowMs, "crash", this.index, 0);
    this.#stop();
  }

  /** Like SIGTERM: the local socket closes, and the rest ends when all is handed over. */
  leave(): void {
    const life = this.#life;
    if (life === undefined || this.leaving) return;
    const { nowMs, trace } = this.#world;
    trace.note(nowMs, "leave", this.index, 0);
    this.#world.onLeave(this);
    this.fetching.clear();
    this.confirming.clear();
    life.replica.leave(this.clock.at(nowMs));
    this.wake();
  }

  #leaveNow(): void {
    const { nowMs, trace } = this.#world;
    trace.note(nowMs, "left", this.index, 0);
    this.#world.onLeft(this);
    this.#stop();
  }

  #stop(): void {
    if (this.#life !== undefined) this.#world.onEnd(this.#life.boot);
    this.#life = undefined;
    this.fetching.clear();
    this.confirming.clear();
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.inbox.clear();
  }

  setClock(change: (clock: VirtualClock) => void): void {
    const { nowMs, trace } = this.#world;
    const beforeMs = this.clock.aheadMs(nowMs);
    change(this.clock);
    this.clockSetMs = nowMs;
    const aheadMs = this.clock.aheadMs(nowMs);
    trace.note(nowMs, "clock", this.index, Math.round(aheadMs * 1_000));
    const back = aheadMs < beforeMs - limits.clockDriftMsMax;
    if (back || aheadMs > limits.clockDriftMsMax) this.tainted = true;
  }

  /** The driver's end of turn: to be called after commands, and by the timer. */
  wake(): void {
    const life = this.#life;
    if (life === undefined) return;
    const { nowMs } = this.#world;
    life.replica.tick(this.clock.at(nowMs));
    life.streams?.ticked(nowMs);
    life.fetches?.checkHeld(life.replica.buffers.absences ?? 0, nowMs);
    this.#world.afterTurn(this);
    if (life.replica.hasLeft) this.#leaveNow();
    else this.#arm(life);
  }

  multicast(frames: readonly Frame[], copies: readonly Address[] = []): void {
    const { network } = this.#world;
    const fanOut = copies.length + (this.#isUnicast ? 0 : 1);
    const packet = this.#pack(frames, "multicast", fanOut);
    const receivers = copies.flatMap((address) => this.#world.nodeAt(address) ?? []);
    if (!this.#isUnicast) {
      this.bytesSent += packet.bytes.length;
      network.multicast(packet, receivers);
    } else if (packet.numbered) {
      // Who is down for this node is sent nothing, and asks for it all once it hears of it.
      const others = this.#world.nodes.filter((node) => node !== this && node.running);
      network.lostNumbered += others.filter((node) => !receivers.includes(node.index)).length;
    }
    for (const address of copies) this.#send(address, { ...packet, via: "unicast" });
  }

  unicast(address: Address, frames: readonly Frame[]): void {
    this.#send(address, this.#pack(frames, "unicast", 1));
  }

  /** What the network keeps from a node it keeps from it whatever that does. */
  rejoin(): void {}

  /** The network of the simulation takes everything. */
  readonly backlogBytes = 0;

  /** A node that is reached by configured addresses has the same port after each start. */
  get address(): Address {
    return `node:${this.index}:${this.#world.options.paths.seeds ? 0 : this.#starts}`;
  }

  #send(address: Address, packet: Packet): void {
    this.bytesSent += packet.bytes.length;
    const to = this.#world.nodeAt(address);
    if (to !== undefined) this.#world.network.unicast(to, packet);
  }

  /** Clients of the simulation that wait for peers, by ticket. */
  readonly fetching = new Map<number, (known: boolean) => void>();
  readonly confirming = new Map<number, (peers: number) => void>();

  fetched(ticket: number, known: boolean): void {
    const done = this.fetching.get(ticket);
    this.fetching.delete(ticket);
    done?.(known);
  }

  confirmed(ticket: number, peers: number): void {
    const done = this.confirming.get(ticket);
    this.confirming.delete(ticket);
    done?.(peers);
  }

  notify(event: CoreEvent): void {
    this.#world.trace.note(this.#world.nowMs, event.event, this.index, 0);
    this.#world.onEvent(this, event);
  }

  #arm(life: Life): void {
    const { nowMs } = this.#world;
    const dueMs = Math.max(life.replica.deadline(), nowMs);
    if (dueMs >= this.#timerAtMs || dueMs === Number.POSITIVE_INFINITY) return;
    this.#timerAtMs = dueMs;
    this.#world.at(dueMs, () => this.#onTimer(life, dueMs));
  }

  #onTimer(life: Life, dueMs: number): void {
    if (this.#life !== life || this.#timerAtMs !== dueMs) return;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const { busyUntilMs } = this.inbox;
    if (busyUntilMs <= this.#world.nowMs) {
      this.wake();
      return;
    }
    // A stopped or busy process sees its timers when it runs again.
    this.#timerAtMs = busyUntilMs;
    this.#world.at(busyUntilMs, () => this.#onTimer(life, busyUntilMs));
  }

  /** Datagrams of one turn of the event loop, then one tick. */
  #turn(packets: readonly Packet[]): void {
    if (this.#life === undefined) return;
    for (const packet of packets) this.#receive(this.#life, packet);
    this.wake();
  }

  #receive(life: Life, packet: Packet): void {
    const { nowMs, options, trace } = this.#world;
    // Without a seal the simulation itself is the seal.
    if (!packet.intact && options.profile !== "unsealed" && options.seal === null) return;
    trace.note(nowMs, "receive", this.index, packet.checksum);
    // A buffer of its own, made worthless afterwards: whoever keeps a view into it shows.
    const bytes = Buffer.from(packet.bytes);
    const passage = life.gate.take(bytes, packet.source, packet.via, this.clock.at(nowMs));
    bytes.fill(0xee);
    if (options.profile === "unsealed") return;
    const fact = () => `${this.label} takes in what nobody sent`;
    hold(packet.intact || passage !== "taken", "only-the-authentic-is-taken", fact);
    hold(passage !== "cloned", "nobody-is-a-clone", () => `${this.label} believes to be one`);
  }

  #watch(datagram: Datagram, receive: () => void): void {
    const life = this.#life;
    if (life === undefined) throw new Error("a node that does not run receives nothing");
    if (life.guard === undefined) receive();
    else {
      this.#listen(life, datagram);
      life.guard.receive(datagram, this.#world.nowMs, receive);
    }
  }

  #listen({ replica, streams, fetches, ranges }: Life, { boot, frames }: Datagram): void {
    const peer = replica.peers.get(boot);
    if (peer === undefined) streams?.forget(boot);
    const isTaken = peer?.trusted === true;
    streams?.received(boot, frames, isTaken);
    if (!isTaken) return;
    fetches?.received(frames, this.#world.nowMs);
    ranges?.received(frames);
  }

  #pack(frames: readonly Frame[], via: Via, fanOut: number): Packet {
    const life = this.#life;
    if (life === undefined) throw new Error("a node that does not run sends nothing");
    const { nowMs, trace } = this.#world;
    const { wallMs, monotonicMs } = this.clock.at(nowMs);
    const clock = Math.max(life.replica.clockTime, stampTimeOf(wallMs));
    const bytes = life.codec.encode(frames, clock);
    const seal = this.#world.options.seal === null ? limits.sealBytes : 0;
    this.#world.sealed(life.boot, bytes);
    hold(
      bytes.length + seal <= limits.datagramBytesMax,
      "datagrams-keep-their-size",
      () => `${this.label} sends ${bytes.length} octets`,
    );
    life.streams?.sent(frames, nowMs);
    life.pace.sent(frames, bytes.length, fanOut, monotonicMs);
    life.fetches?.sent(frames, nowMs);
    life.ranges?.sent(frames);
    const numbered = frames.some(({ tag }) => tag === Tag.delta || tag === Tag.fragment);
    const packet = packetOf({
      from: this.index,
      source: this.address,
      via,
      bytes,
      numbered,
    });
    trace.note(nowMs, "send", this.index, packet.checksum);
    return packet;
  }

  /** Start time, then chance; the last octets also tell the node, so that tags never collide. */
  #bootId(): string {
    const { wallMs } = this.clock.at(this.#world.nowMs);
    const time = Math.floor(wallMs).toString(16).padStart(12, "0");
    const chance = this.#world.boots.uint32().toString(16).padStart(8, "0");
    const own = (this.index * 256 + this.#starts * 2).toString(16).padStart(4, "0");
    return time + chance.slice(4) + chance.slice(0, 4) + own;
  }
}
