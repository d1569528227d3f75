import type { Now } from "../base/now.ts";
import type { Prng } from "../base/prng.ts";
import type { DeltaCodec } from "../protocol/delta-codec.ts";
import { type BootId, type Datagram, type Heartbeat, type Phase, Tag } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import { HybridClock } from "../session/hybrid-clock.ts";
import { showsWrite, type Value } from "../session/record.ts";
import { type Stamp, tagOf } from "../session/stamp.ts";
import { ClockRecovery } from "./clock-recovery.ts";
import type {
  AckRequest,
  DestroyedAll,
  Lifetime,
  ListPage,
  ListQuery,
  NamedValue,
  SessionView,
  WriteOutcome,
} from "./commands.ts";
import { Counters } from "./counters.ts";
import { Dispatch } from "./dispatch.ts";
import { Intake } from "./intake.ts";
import { Departure } from "./membership/departure.ts";
import { type GossipMode, Group } from "./membership/group.ts";
import { HeartbeatSchedule } from "./membership/heartbeat-schedule.ts";
import { Membership } from "./membership/membership.ts";
import type { PeerTable } from "./membership/peer-table.ts";
import type { Via } from "./membership/ways.ts";
import type { Address, Outbox } from "./outbox.ts";
import { ownHeartbeat } from "./own-heartbeat.ts";
import { AntiEntropy } from "./reconcile/anti-entropy.ts";
import { Donor } from "./reconcile/donor.ts";
import { Fetcher } from "./reconcile/fetcher.ts";
import { Join } from "./reconcile/join.ts";
import { Puller } from "./reconcile/puller.ts";
import { Refill } from "./reconcile/refill.ts";
import { bufferReport, pacingReport } from "./replica-report.ts";
import { Sessions } from "./sessions.ts";
import { Store, type StoreOptions } from "./store/store.ts";
import { Confirmations } from "./stream/confirmations.ts";
import { Gaps } from "./stream/gaps.ts";
import { OutgoingStream } from "./stream/outgoing-stream.ts";
import { Pacer } from "./stream/pacer.ts";
import { RateControl } from "./stream/rate-control.ts";
import { Sweep } from "./sweep.ts";

export interface ReplicaOptions extends StoreOptions {
  readonly boot: BootId;
  readonly name: string;
  readonly idleMsDefault: number;
  readonly absoluteMsDefault: number;
  /** Multicast unless told otherwise. */
  readonly mode?: GossipMode;
  /** How fast this node sends deltas and repairs at most, copies counted each. */
  readonly rateBytesPerSecondMax?: number;
}

/**
 * One node of the cluster, as a pure state machine: datagrams, commands and the time go in,
 * datagrams and events come out through the outbox. It never waits, never throws on a peer's
 * octets, and replays exactly from the same inputs.
 *
 * The contract with the shell around it: after each batch of `receive` and command calls, call
 * `tick` once; call it again no later than `deadline`.
 */
export class Replica {
  readonly counters = new Counters();
  readonly store: Store;
  /** Fingerprints of the keys that its datagrams are sealed and opened with; see `Heartbeat`. */
  keys: readonly number[] = [];
  /** By how much the machine's clock is ahead of the one that it is given; see `Heartbeat`. */
  machineAheadMs = 0;
  readonly #options: ReplicaOptions;
  readonly #outbox: Outbox;
  readonly #clock = new HybridClock(limits.clockDriftMsMax);
  readonly #membership: Membership;
  readonly #gaps: Gaps;
  readonly #sessions: Sessions;
  readonly #intake: Intake;
  readonly #pacer: Pacer;
  readonly #rateControl: RateControl;
  readonly #outgoing: OutgoingStream;
  readonly #heartbeats: HeartbeatSchedule;
  readonly #donor: Donor;
  readonly #puller: Puller;
  readonly #antiEntropy: AntiEntropy;
  readonly #refill: Refill;
  readonly #join: Join;
  readonly #fetcher: Fetcher;
  readonly #confirmations: Confirmations;
  readonly #departure = new Departure();
  readonly #group: Group;
  readonly #sweep: Sweep;
  readonly #recovery: ClockRecovery;
  readonly #dispatch: Dispatch;
  #now: Now = { monotonicMs: 0, wallMs: 0 };
  #hasLeft = false;

  constructor(options: ReplicaOptions, codec: DeltaCodec, shell: Outbox, prng: Prng) {
    this.#options = options;
    const { counters } = this;
    const tag = tagOf(options.boot);
    const outbox = new Group(this.mode, shell, counters);
    this.#outbox = outbox;
    this.#group = outbox;
    const { boot, name, idleMsDefault, absoluteMsDefault } = options;
    this.store = new Store(options, counters);
    const speaker = { boot, name, heartbeat: (hello: boolean) => this.#heartbeat(hello) };
    this.#membership = new Membership(speaker, this.mode, prng, outbox, counters);
    this.#heartbeats = new HeartbeatSchedule(prng);
    this.#pacer = new Pacer(options.rateBytesPerSecondMax ?? limits.rateBytesPerSecondDefault);
    this.#rateControl = new RateControl(this.#pacer, outbox, counters);
    this.#outgoing = new OutgoingStream({ boot, tag }, codec, this.#pacer, outbox, counters);
    this.#sessions = new Sessions(
      { tag, idleMsDefault, absoluteMsDefault },
      this.store,
      this.#clock,
      {
        changed: (record, stamp) => this.#outgoing.changed(record, stamp),
        movedTogether: (source, target) => this.#outgoing.changedTogether(source, target),
        isComplete: () => this.#join.phase === "ready",
      },
    );
    this.#intake = new Intake(codec, this.store, this.#clock, outbox, counters, (id) =>
      this.#fetcher.askAnew(id),
    );
    this.#donor = new Donor(this.store, codec, outbox, counters);
    this.#puller = new Puller(prng, outbox, counters, {
      received: (peer, blocks) =>
        this.#intake.takeTransfer(peer, blocks, this.#fetcher.bringer(peer), this.#now),
      ended: (transfer, completed) => {
        if (this.#join.ended(transfer, completed, this.#now.monotonicMs)) return;
        this.#fetcher.onTransferEnded(transfer, completed);
        this.#antiEntropy.ended(transfer);
        if (!completed || transfer.skipped > 0) this.#refill.failed(transfer.peer);
      },
    });
    this.#antiEntropy = new AntiEntropy(this.store, this.#puller, this.#outgoing, outbox, counters);
    this.#gaps = new Gaps(this.peers, outbox, counters, (peer) =>
      this.#antiEntropy.suspect(peer, this.#now.monotonicMs),
    );
    this.#refill = new Refill(this.store, this.#puller, counters);
    this.#join = new Join(this.#puller, outbox, prng);
    this.#fetcher = new Fetcher(this.store, prng, outbox, counters);
    this.store.onEvicted = (id) => this.#fetcher.askAnew(id);
    this.#confirmations = new Confirmations(options.boot, this.peers, outbox, counters);
    this.#outgoing.onGivenUp = (record) => this.#confirmations.givenUp(record);
    this.#sweep = new Sweep(this.store, this.peers, this.#gaps, outbox, counters);
    this.#recovery = new ClockRecovery(this.store, this.#clock, this.peers, outbox, counters);
    this.#dispatch = new Dispatch(
      {
        peers: this.peers,
        suspicion: this.#membership.suspicion,
        group: this.#group,
        outgoing: this.#outgoing,
        intake: this.#intake,
        donor: this.#donor,
        puller: this.#puller,
        antiEntropy: this.#antiEntropy,
        refill: this.#refill,
        join: this.#join,
        fetcher: this.#fetcher,
        confirmations: this.#confirmations,
        heartbeat: () => this.#heartbeat(false),
      },
      outbox,
      counters,
    );
  }

  start(now: Now): void {
    this.#now = now;
    this.#join.start(now.monotonicMs);
  }

  /** Begins to leave: sees to it that the peers have everything, then `hasLeft`. */
  leave(now: Now): void {
    this.#now = now;
    this.#join.leave();
    this.#antiEntropy.hurry(this.peers);
    this.#departure.begin(now.monotonicMs);
  }

  /** Whether it has said good-bye; nothing more will come of it. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Where the configuration says that peers are, besides those that multicast finds. */
  setSeeds(addresses: readonly Address[], now: Now): void {
    this.#membership.setSeeds(addresses, now.monotonicMs);
  }

  /** Takes in one datagram. `source` is where its sender's unicast socket is. */
  receive(datagram: Datagram, source: Address, now: Now, via: Via = "unicast"): void {
    if (datagram.boot === this.#options.boot) return;
    this.#now = now;
    const peer = this.#membership.hear(datagram, source, via, now.monotonicMs);
    if (peer === undefined) return;
    if (peer.trusted) this.#intake.noteClock(peer, datagram.clock, now);
    for (const frame of datagram.frames) this.#dispatch.take(peer, frame, now);
    this.#gaps.note(peer);
  }

  get(id: string, now: Now): SessionView | undefined {
    return this.#sessions.get(id, now.wallMs);
  }

  create(
    id: string,
    attributes: readonly NamedValue[],
    lifetime: Lifetime,
    now: Now,
  ): WriteOutcome {
    return this.#sessions.create(id, attributes, lifetime, now.wallMs);
  }

  set(id: string, attributes: readonly NamedValue[], lifetime: Lifetime, now: Now): WriteOutcome {
    return this.#sessions.set(id, attributes, lifetime, now.wallMs);
  }

  patch(
    id: string,
    set: readonly NamedValue[],
    unset: readonly string[],
    now: Now,
    ifStamp?: Stamp,
  ): WriteOutcome {
    return this.#sessions.patch(id, set, unset, now.wallMs, ifStamp);
  }

  touch(id: string, idleMs: number | undefined, now: Now): WriteOutcome {
    return this.#sessions.touch(id, idleMs, now.wallMs);
  }

  destroy(id: string, now: Now): WriteOutcome {
    return this.#sessions.destroy(id, now.wallMs);
  }

  destroyAll(owner: Value, except: string | undefined, now: Now): DestroyedAll {
    return this.#sessions.destroyAll(owner, except, now.wallMs);
  }

  rotate(id: string, newId: string, now: Now): WriteOutcome {
    return this.#sessions.rotate(id, newId, now.wallMs);
  }

  /**
   * To be called in the turn of a write: how many peers have applied it comes back under this
   * number through `Outbox.confirmed`. Undefined: too many writes wait.
   */
  confirm(id: string, ack: AckRequest, now: Now): number | undefined {
    const { lastChanged } = this.#outgoing;
    const record = lastChanged?.id === id ? lastChanged : this.store.peek(id);
    return this.#confirmations.wait(record, ack, this.#outgoing.sequenceTaken, now.monotonicMs);
  }

  list(query: ListQuery, now: Now): ListPage {
    return this.#sessions.list(query, now.wallMs);
  }

  /**
   * Whether a command on this session can be answered now, from a state that includes `write` if
   * that is given; else it must be fetched first.
   */
  knows(id: string, write?: Stamp): boolean {
    const isTelling = this.#join.phase !== "joining" || this.#fetcher.isAbsent(id);
    if (this.store.lacks(id) || (!isTelling && !this.store.has(id))) return false;
    if (write === undefined) return true;
    const record = this.store.peek(id);
    if (write.tag === tagOf(this.#options.boot) && record?.gaveUp !== true) return true;
    return record !== undefined && showsWrite(record, write);
  }

  /** See `Outbox.fetched`, which gets this number. Undefined: too many are under way. */
  fetch(id: string, write: Stamp | undefined, now: Now): number | undefined {
    return this.#fetcher.start(id, write, now.monotonicMs);
  }

  /** Sends what is pending and does what is due. */
  tick(now: Now): void {
    this.#now = now;
    const { monotonicMs } = now;
    this.#sweep.tick(now);
    this.#recovery.tick(now);
    this.#group.tick(this.peers, monotonicMs);
    this.#rateControl.tick(this.peers.up(), monotonicMs);
    if (this.#outgoing.flush(monotonicMs)) this.#heartbeats.dataSent(monotonicMs);
    this.#confirmations.sent(this.#outgoing.sequenceTaken, monotonicMs);
    this.#confirmations.tick(monotonicMs);
    this.#membership.tick(monotonicMs);
    this.#gaps.tick(monotonicMs);
    this.#puller.tick(monotonicMs);
    this.#join.tick(this.peers, monotonicMs);
    this.#fetcher.tick(this.peers, this.#join.phase !== "joining", monotonicMs);
    if (this.phase !== "joining") this.#antiEntropy.tick(this.peers, monotonicMs);
    this.#beat(monotonicMs);
    this.#depart(monotonicMs);
  }

  /** Monotonic time by which `tick` must be called again; -Infinity: as soon as possible. */
  deadline(): number {
    if (this.#hasLeft) return Number.POSITIVE_INFINITY;
    return Math.min(
      this.#outgoing.dueMs,
      this.#sweep.dueMs,
      this.#heartbeats.dueMs,
      this.#membership.dueMs,
      this.#gaps.dueMs,
      this.#puller.dueMs,
      this.#join.dueMs,
      this.#departure.dueMs,
      this.#fetcher.dueMs,
      this.#confirmations.dueMs,
      this.phase === "joining" ? Number.POSITIVE_INFINITY : this.#antiEntropy.dueMs(this.peers),
    );
  }

  get peers(): PeerTable {
    return this.#membership.peers;
  }

  get mode(): GossipMode {
    return this.#options.mode ?? "multicast";
  }

  /** As configured; what counts is `Store.tombstoneRetentionMs`. */
  get ownRetentionMs(): number {
    return this.#options.tombstoneRetentionMs;
  }

  get phase(): Phase {
    return this.#join.phase;
  }

  /** Whether nobody is heard of several who were there: this node's own network may be down. */
  get isolated(): boolean {
    return this.#membership.suspicion.isolated;
  }

  /** How deltas leave, for `stats`. */
  pacing(wallMs: number): Record<string, number> {
    return pacingReport(this.#pacer, this.#outgoing, wallMs);
  }

  /** Whether something that was written here waits to be sent. */
  get pending(): boolean {
    return this.#outgoing.pending;
  }

  /** Sizes of what is buffered, for `stats`. */
  get buffers(): Record<string, number> {
    return bufferReport(this.peers, {
      outgoing: this.#outgoing,
      donor: this.#donor,
      puller: this.#puller,
      confirmations: this.#confirmations,
      fetcher: this.#fetcher,
    });
  }

  #beat(nowMs: number): void {
    const hello = this.#join.helloDue(nowMs) || this.#departure.helloDue(nowMs);
    if (!hello && nowMs < this.#heartbeats.dueMs) return;
    if (hello) {
      this.#join.helloSent();
      this.#departure.helloSent(nowMs);
    }
    this.#heartbeats.sent(nowMs);
    this.counters.membership.heartbeatsSent += 1;
    this.#outbox.multicast([this.#heartbeat(hello)]);
  }

  /** Three times, since nobody repairs a LEAVE. */
  #depart(nowMs: number): void {
    const { root } = this.store.trie;
    if (this.#hasLeft || !this.#departure.isOver(this.peers, root, this.pending, nowMs)) return;
    this.#hasLeft = true;
    for (let times = 0; times < 3; times++) this.#outbox.multicast([{ tag: Tag.leave }]);
  }

  #heartbeat(hello: boolean): Heartbeat {
    const { sequence } = this.#outgoing;
    const { wallMs } = this.#now;
    return ownHeartbeat(this, { name: this.#options.name, hello, sequence, wallMs });
  }

  /** How many more peers a step of the machine leads to than away from; see `ClockVotes`. */
  votesForStep(byMs: number, now: Now): number | undefined {
    return this.#recovery.votes.forStep(byMs, now);
  }

  /** The hybrid clock, as sent with every datagram. */
  get clockTime(): number {
    return this.#clock.time;
  }
}
