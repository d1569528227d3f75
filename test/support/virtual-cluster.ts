import { strict as assert } from "node:assert";
import type { Now } from "../../src/base/now.ts";
import { Prng } from "../../src/base/prng.ts";
import type { Via } from "../../src/core/membership/ways.ts";
import type { Address, CoreEvent, Outbox } from "../../src/core/outbox.ts";
import { Replica, type ReplicaOptions } from "../../src/core/replica.ts";
import { Gate } from "../../src/net/gate.ts";
import { SteadyClock } from "../../src/net/steady-clock.ts";
import type { Frame } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampTimeOf } from "../../src/session/stamp.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { clusterIdentity } from "../../src/wire/keyring.ts";
import { EventQueue } from "./event-queue.ts";

export interface NetworkFaults {
  /** Probabilities per datagram and receiver. */
  loss: number;
  duplicate: number;
  corrupt: number;
  /** One-way delay: the minimum and what is added at most, which also reorders. */
  delayMs: number;
  jitterMs: number;
}

export interface ClusterOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly faults?: Partial<NetworkFaults>;
  readonly replica?: Partial<ReplicaOptions>;
  /** What is different on each node, by its index. */
  readonly each?: readonly Partial<ReplicaOptions>[];
}

const startWallMs = 1_800_000_000_000;
/** Each datagram meets a gate that has seen nobody yet. */
const unusedPrng = new Prng(1);

/**
 * A cluster in memory: real replicas and the real codec on a virtual network and a virtual clock,
 * all from one seed. Each datagram is encoded and decoded, and must fit its limit.
 */
export class VirtualCluster {
  readonly faults: NetworkFaults;
  readonly nodes: VirtualNode[] = [];
  readonly queue = new EventQueue();
  readonly prng: Prng;
  readonly options: ClusterOptions;
  /** Whether datagrams pass from one node to another; replaced by tests to cut links. */
  linked: (from: number, to: number) => boolean = () => true;
  /** Whether multicast passes, where datagrams do; replaced by tests to make links deaf. */
  multicasts: (from: number, to: number) => boolean = () => true;
  datagrams = 0;
  nowMs = 1;

  constructor(options: ClusterOptions) {
    this.options = options;
    this.prng = new Prng(options.seed);
    this.faults = {
      loss: 0,
      duplicate: 0,
      corrupt: 0,
      delayMs: 0.1,
      jitterMs: 0.2,
      ...options.faults,
    };
    for (let index = 0; index < options.nodes; index++) {
      this.nodes.push(new VirtualNode(this, index));
    }
  }

  startAll(): void {
    for (const node of this.nodes) node.start();
  }

  node(index: number): VirtualNode {
    const node = this.nodes[index];
    assert(node !== undefined);
    return node;
  }

  get now(): Now {
    return { monotonicMs: this.nowMs, wallMs: startWallMs + this.nowMs };
  }

  /** Lets virtual time pass. */
  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    let spins = 0;
    while (this.queue.nextAtMs <= endMs) {
      const atMs = Math.max(this.nowMs, this.queue.nextAtMs);
      spins = atMs === this.nowMs ? spins + 1 : 0;
      assert(spins < 20_000, "time stands still: something asks for ticks without end");
      this.nowMs = atMs;
      this.queue.pop()?.();
    }
    this.nowMs = endMs;
  }

  /** Lets time pass until the condition holds; false when it never does. */
  advanceUntil(condition: () => boolean, maxMs: number): boolean {
    for (let passedMs = 0; passedMs < maxMs; passedMs += 10) {
      if (condition()) return true;
      this.advance(10);
    }
    return condition();
  }

  get ready(): boolean {
    return this.live.every((node) => node.replica.phase === "ready");
  }

  get live(): VirtualNode[] {
    return this.nodes.filter((node) => node.running);
  }

  /** Whether all live nodes hold the same. */
  get converged(): boolean {
    const [first, ...others] = this.live.map((node) => node.digest);
    return others.every((digest) => digest === first);
  }

  transmit(from: number, to: number, bytes: Buffer, via: Via): void {
    this.datagrams += 1;
    const { faults, prng } = this;
    if (!this.linked(from, to) || prng.chance(faults.loss)) return;
    const copies = prng.chance(faults.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const arriving = Buffer.from(bytes);
      if (prng.chance(faults.corrupt)) corrupt(arriving, prng);
      const delayMs = faults.delayMs + prng.fraction() * faults.jitterMs;
      this.queue.push(this.nowMs + delayMs, () => this.node(to).deliver(arriving, from, via));
    }
  }
}

/** One host: a replica may run on it, be killed, and be started again with its memory lost. */
export class VirtualNode implements Outbox {
  readonly index: number;
  readonly events: CoreEvent[] = [];
  /** Fetches that ended, by ticket. */
  readonly fetches = new Map<number, boolean>();
  /** Writes whose wait for peers ended: how many have it, by ticket. */
  readonly confirmations = new Map<number, number>();
  /** What it made of steps of its machine's clock, if the test sets that; see `setMachine`. */
  readonly clockTold: string[] = [];
  readonly #cluster: VirtualCluster;
  #machineAheadMs = 0;
  #clock: SteadyClock | undefined;
  #codec: DatagramCodec | undefined;
  #replica: Replica | undefined;
  #starts = 0;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(cluster: VirtualCluster, index: number) {
    this.#cluster = cluster;
    this.index = index;
  }

  get running(): boolean {
    return this.#replica !== undefined;
  }

  get replica(): Replica {
    assert(this.#replica !== undefined, "the node runs");
    return this.#replica;
  }

  get digest(): string {
    const { high, low } = this.replica.store.trie.root;
    return `${high >>> 0}:${low >>> 0}`;
  }

  /** Its machine's clock is set so much ahead. */
  setMachine(aheadMs: number): void {
    const { monotonicMs, wallMs } = this.#cluster.now;
    this.#machineAheadMs = aheadMs;
    this.#clock ??= new SteadyClock(monotonicMs, wallMs, {
      votes: (byMs, now) => this.replica.votesForStep(byMs, now),
      stepped: () => this.clockTold.push("stepped"),
      refused: () => this.clockTold.push("refused"),
      settled: () => this.clockTold.push("settled"),
    });
  }

  get now(): Now {
    const { monotonicMs, wallMs } = this.#cluster.now;
    if (this.#clock === undefined) return { monotonicMs, wallMs };
    const now = this.#clock.now(monotonicMs, wallMs + this.#machineAheadMs);
    this.replica.machineAheadMs = this.#clock.machineAheadMs;
    return now;
  }

  start(): void {
    this.#starts += 1;
    const { seed, replica, each } = this.#cluster.options;
    const boot = this.#bootId();
    const identity = clusterIdentity("virtual");
    this.#codec = new DatagramCodec(boot, identity);
    this.#replica = new Replica(
      {
        boot,
        name: `node-${this.index}`,
        hashKey: identity.hashKey,
        bytesMax: 1 << 28,
        countMax: 1_000_000,
        tombstonesMax: 100_000,
        stubsMax: 100_000,
        tombstoneRetentionMs: 86_400_000,
        idleMsDefault: 1_800_000,
        absoluteMsDefault: 0,
        ...replica,
        ...each?.[this.index],
      },
      deltaCodec,
      this,
      new Prng(seed * 1_000 + this.index * 10 + this.#starts),
    );
    this.#replica.start(this.now);
    this.wake();
  }

  /** Like SIGKILL: nothing is said to anybody. */
  kill(): void {
    this.#replica = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
  }

  /** Like SIGTERM: runs on until it has handed over, then is gone. */
  leave(): void {
    this.replica.leave(this.now);
    this.wake();
  }

  /** To be called after commands: the driver's end of turn. */
  wake(): void {
    if (this.#replica === undefined) return;
    this.#replica.tick(this.now);
    if (this.#replica.hasLeft) {
      this.kill();
      return;
    }
    const dueMs = Math.max(this.#replica.deadline(), this.#cluster.nowMs);
    if (dueMs >= this.#timerAtMs || dueMs === Number.POSITIVE_INFINITY) return;
    this.#timerAtMs = dueMs;
    const { replica } = this;
    this.#cluster.queue.push(dueMs, () => {
      if (this.#replica !== replica || this.#timerAtMs !== dueMs) return;
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.wake();
    });
  }

  deliver(bytes: Buffer, from: number, via: Via): void {
    if (this.#replica === undefined || this.#codec === undefined) return;
    const gate = new Gate(this.#codec, this.#replica, unusedPrng);
    if (gate.take(bytes, `node:${from}`, via, this.now) === "taken") this.wake();
  }

  multicast(frames: readonly Frame[], copies: readonly Address[] = []): void {
    const bytes = this.#encode(frames);
    const cluster = this.#cluster;
    for (let to = 0; to < cluster.nodes.length; to++) {
      if (to === this.index || this.replica.mode === "unicast") continue;
      if (cluster.multicasts(this.index, to)) cluster.transmit(this.index, to, bytes, "multicast");
    }
    for (const address of copies) this.#send(address, bytes);
  }

  unicast(address: Address, frames: readonly Frame[]): void {
    this.#send(address, this.#encode(frames));
  }

  rejoin(): void {}

  /** What the network has not taken, as the test says. */
  backlogBytes = 0;

  #send(address: Address, bytes: Buffer): void {
    this.#cluster.transmit(this.index, Number(address.split(":")[1]), bytes, "unicast");
  }

  fetched(ticket: number, known: boolean): void {
    this.fetches.set(ticket, known);
  }

  confirmed(ticket: number, peers: number): void {
    this.confirmations.set(ticket, peers);
  }

  notify(event: CoreEvent): void {
    this.events.push(event);
  }

  #encode(frames: readonly Frame[]): Buffer {
    assert(this.#codec !== undefined);
    const clock = Math.max(this.replica.clockTime, stampTimeOf(this.now.wallMs));
    const bytes = this.#codec.encode(frames, clock);
    assert(bytes.length <= limits.datagramBytesMax, "a datagram keeps its limit");
    return bytes;
  }

  #bootId(): string {
    const time = Math.floor(this.#cluster.now.wallMs).toString(16).padStart(12, "0");
    // Doubled, because the lowest bit is not part of a stamp's tag.
    const random = [this.#cluster.prng.uint32(), (this.index * 256 + this.#starts) * 2]
      .map((part) => part.toString(16).padStart(8, "0"))
      .join("")
      .slice(4);
    return time + random;
  }
}

function corrupt(bytes: Buffer, prng: Prng): void {
  const index = prng.below(bytes.length);
  bytes[index] = (bytes[index] ?? 0) ^ (1 << prng.below(8));
}
