import type { Now } from "../base/now.ts";
import { Prng } from "../base/prng.ts";
import type { AckRequest } from "../core/commands.ts";
import type { Via } from "../core/membership/ways.ts";
import type { Address, CoreEvent, Outbox } from "../core/outbox.ts";
import { Replica, type ReplicaOptions } from "../core/replica.ts";
import type { BootId, Frame } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import { type Stamp, stampTimeOf } from "../session/stamp.ts";
import { DatagramCodec } from "../wire/datagram-codec.ts";
import { deltaCodec } from "../wire/delta-codec.ts";
import type { ClusterIdentity, Keyring } from "../wire/keyring.ts";
import { parseAddress } from "./address.ts";
import { FloodShield } from "./flood-shield.ts";
import { Gate, type GateReject } from "./gate.ts";
import { SeedResolver, type SeedResolverOptions } from "./seed-resolver.ts";
import { SteadyClock } from "./steady-clock.ts";
import { openTransport, type Transport, type TransportOptions } from "./udp-transport.ts";

export interface DriverOptions {
  readonly replica: Omit<ReplicaOptions, "hashKey" | "boot">;
  readonly boot: BootId;
  /** Of all that the replica draws, the proofs that it asks for included: secret. */
  readonly seed: readonly [number, number, number];
  readonly cluster: ClusterIdentity;
  /** Undefined: datagrams are not sealed. */
  readonly keyring: Keyring | undefined;
  readonly transport: TransportOptions;
  /** Where peers are, as configured. */
  readonly seeds: Omit<SeedResolverOptions, "onSeeds">;
  readonly onEvent: (event: CoreEvent) => void;
  /** The wall clock was set, by so many milliseconds, and has stayed so. */
  readonly onClockStep: (byMs: number) => void;
  /** It was set, and most peers show the time from before: it is not followed. */
  readonly onClockRefused: (byMs: number) => void;
  /** It agrees again with what is followed. */
  readonly onClockSettled: () => void;
  /** Another process has this one's boot id. Nothing more is sent under it. */
  readonly onCloned: () => void;
  /** The group is flooded: see `FloodShield`. */
  readonly onFlood: () => void;
  readonly onFloodOver: () => void;
}

/**
 * Runs a replica on real sockets and real time: the only place with a timer. All input of one turn
 * of the event loop is taken in first; then one tick at the turn's end sends what it led to. So a
 * lone write leaves at once, and a burst leaves in full datagrams, without a delay to tune.
 */
export class Driver implements Outbox {
  readonly replica: Replica;
  readonly seeds: SeedResolver;
  readonly shield: FloodShield;
  readonly #codec: DatagramCodec;
  readonly #gate: Gate;
  readonly #onEvent: (event: CoreEvent) => void;
  readonly #onCloned: () => void;
  readonly #clock: SteadyClock;
  readonly #fetching = new Map<number, (known: boolean) => void>();
  readonly #confirming = new Map<number, (peers: number) => void>();
  #transport: Transport | undefined;
  #turn: NodeJS.Immediate | undefined;
  /** Since the last tick. */
  #inputs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #closed = false;
  #closing: Promise<void> | undefined;
  #onLeft = (): void => {};

  private constructor(options: DriverOptions) {
    this.#codec = new DatagramCodec(options.boot, options.cluster, options.keyring);
    this.#onEvent = options.onEvent;
    this.#onCloned = options.onCloned;
    this.#clock = new SteadyClock(performance.now(), Date.now(), {
      votes: (byMs, now) => this.replica.votesForStep(byMs, now),
      stepped: options.onClockStep,
      refused: (byMs) => {
        this.replica.counters.clock.stepsRefused += 1;
        options.onClockRefused(byMs);
      },
      settled: options.onClockSettled,
    });
    const replicaOptions = {
      ...options.replica,
      boot: options.boot,
      hashKey: options.cluster.hashKey,
    };
    const prng = new Prng(options.seed);
    this.replica = new Replica(replicaOptions, deltaCodec, this, prng);
    this.replica.keys = options.keyring?.fingerprints ?? [];
    this.#gate = new Gate(this.#codec, this.replica, prng);
    this.shield = new FloodShield(
      {
        narrow: (hosts) => this.#transport?.narrow(hosts) ?? false,
        widen: () => this.#transport?.widen(),
      },
      options,
    );
    this.seeds = new SeedResolver({ ...options.seeds, onSeeds: () => this.#seed() });
  }

  static async start(options: DriverOptions): Promise<Driver> {
    const driver = new Driver(options);
    await driver.#awaitSeeds();
    driver.#transport = await openTransport(options.transport, (bytes, source, via) =>
      driver.#receive(bytes, source, via),
    );
    driver.replica.start(driver.now());
    driver.#seed();
    return driver;
  }

  now(): Now {
    return this.#clock.now(performance.now(), Date.now());
  }

  /**
   * Something was put in: tick once this turn's input is all in. A turn may read a socket again and
   * again, so after much input the tick comes as soon as what is being handled has been.
   */
  wake(): void {
    this.#inputs += 1;
    if (this.#inputs === limits.inputsPerTickMax) queueMicrotask(this.#tickAtOnce);
    if (this.#turn !== undefined || this.#closed) return;
    this.#turn = setImmediate(this.#tick);
  }

  /** Seals and opens with these keys from now on, and says so with the next heartbeat. */
  rekey(ring: Keyring): void {
    this.#codec.rekey(ring);
    this.replica.keys = ring.fingerprints;
  }

  /** By how much the machine's clock is ahead of the one that is followed instead; 0: of none. */
  get unfollowedMs(): number {
    return this.#clock.refuses ? this.#clock.machineAheadMs : 0;
  }

  /** Why datagrams were dropped, and how many. */
  get rejects(): Readonly<Partial<Record<GateReject, number>>> {
    return this.#gate.rejects;
  }

  /** Sizes of what is buffered. */
  get buffers(): Record<string, number> {
    return { ...this.replica.buffers, ...this.#gate.buffers };
  }

  get transport(): Transport | undefined {
    return this.#transport;
  }

  multicast(frames: readonly Frame[], copies: readonly Address[] = []): void {
    const bytes = this.#encode(frames);
    this.#transport?.multicast(bytes);
    for (const address of copies) this.#transport?.unicast(address, bytes);
    this.#sent();
  }

  rejoin(): void {
    this.#transport?.rejoin();
  }

  get backlogBytes(): number {
    return this.#transport?.queuedBytes ?? 0;
  }

  unicast(address: Address, frames: readonly Frame[]): void {
    this.#transport?.unicast(address, this.#encode(frames));
    this.#sent();
  }

  /** Calls back, later, once the session has been fetched or nobody was able to tell. */
  fetch(id: string, write: Stamp | undefined, done: (known: boolean) => void): void {
    const ticket = this.replica.fetch(id, write, this.now());
    if (ticket === undefined) setImmediate(done, false);
    else this.#fetching.set(ticket, done);
    this.wake();
  }

  fetched(ticket: number, known: boolean): void {
    const done = this.#fetching.get(ticket);
    this.#fetching.delete(ticket);
    done?.(known);
  }

  /**
   * To be called in the turn of a write: calls back, later, with how many peers have applied it.
   * False: too many writes wait already, and it will not.
   */
  confirm(id: string, ack: AckRequest, done: (peers: number) => void): boolean {
    const ticket = this.replica.confirm(id, ack, this.now());
    if (ticket === undefined) return false;
    this.#confirming.set(ticket, done);
    this.wake();
    return true;
  }

  confirmed(ticket: number, peers: number): void {
    const done = this.#confirming.get(ticket);
    this.#confirming.delete(ticket);
    done?.(peers);
  }

  notify(event: CoreEvent): void {
    this.#onEvent(event);
  }

  /** Leaves the cluster and closes the sockets; the same promise however often called. */
  close(): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => {
      this.#onLeft = resolve;
      if (this.#closed) resolve();
      this.replica.leave(this.now());
      this.wake();
    }).then(() => this.#transport?.close());
    return this.#closing;
  }

  /** So that the first greeting finds its way; a name server that is away stops no start. */
  async #awaitSeeds(): Promise<void> {
    let patience: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      patience = setTimeout(resolve, limits.seedResolveMsMax);
    });
    this.seeds.tick(this.now().monotonicMs);
    await Promise.race([this.seeds.resolve(), enough]);
    clearTimeout(patience);
  }

  /** One list may serve all nodes, so this one may be on it. */
  #seed(): void {
    const own = this.#transport?.address;
    if (own === undefined) return;
    const others = this.seeds.addresses.filter((address) => address !== own);
    this.replica.setSeeds(others, this.now());
    this.wake();
  }

  #encode(frames: readonly Frame[]): Buffer {
    const clock = Math.max(this.replica.clockTime, stampTimeOf(this.now().wallMs));
    return this.#codec.encodeInPlace(frames, clock);
  }

  /** The kernel takes nearly every datagram at once. */
  #sent(): void {
    if (this.backlogBytes > 0) this.#codec.letGo();
  }

  #receive(bytes: Buffer, source: Address | undefined, via: Via): void {
    if (this.#closed) return;
    const now = this.now();
    const passage = this.#gate.take(bytes, source, via, now);
    if (passage === "taken") this.wake();
    else if (passage === "cloned") this.#stopAsClone();
    else if (passage === "twin") this.#tellTwins(bytes, source);
    else if (passage !== "own" && via === "multicast") {
      if (this.shield.refused(now.monotonicMs)) this.wake();
    }
  }

  /** Of peers that are there, or were and may come back. */
  readonly #memberHosts = (): Set<string> => {
    const hosts = new Set<string>();
    for (const peer of this.replica.peers.all()) {
      if (peer.wasUp && peer.state !== "left") hosts.add(parseAddress(peer.address).host);
    }
    return hosts;
  };

  /**
   * Two processes of one boot id hardly hear each other: they may even have one address. So each is
   * shown what the other has sealed, octet for octet, and finds out by itself.
   */
  #tellTwins(bytes: Buffer, source: Address | undefined): void {
    const known = this.replica.peers.onTwin(this.#codec.bootOf(bytes));
    for (const address of new Set([known, source])) {
      if (address !== undefined) this.#transport?.unicast(address, bytes);
    }
  }

  /** Two senders under one sub-key use one nonce twice, so silence comes before order. */
  #stopAsClone(): void {
    this.#closed = true;
    clearImmediate(this.#turn);
    clearTimeout(this.#timer);
    this.#onLeft();
    this.#onCloned();
  }

  readonly #tickAtOnce = (): void => {
    clearImmediate(this.#turn);
    this.#tick();
  };

  readonly #tick = (): void => {
    this.#turn = undefined;
    this.#inputs = 0;
    if (this.#closed) return;
    const now = this.now();
    this.replica.machineAheadMs = this.#clock.machineAheadMs;
    this.replica.tick(now);
    this.seeds.tick(now.monotonicMs);
    this.shield.tick(now.monotonicMs, this.#memberHosts);
    if (this.replica.hasLeft) {
      this.#closed = true;
      clearTimeout(this.#timer);
      this.#onLeft();
      return;
    }
    const deadline = this.replica.deadline();
    if (deadline <= now.monotonicMs) this.wake();
    else this.#arm(deadline, now.monotonicMs);
  };

  /** A timer that is already due sooner is left alone: it only makes an early tick. */
  #arm(deadlineMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= deadlineMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = deadlineMs;
    this.#timer = setTimeout(this.#onTimer, Math.max(1, deadlineMs - nowMs));
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.#tick();
  };
}
