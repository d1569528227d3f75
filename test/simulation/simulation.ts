import type { Prng } from "../../src/base/prng.ts";
import type { Address, CoreEvent } from "../../src/core/outbox.ts";
import type { BootId } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { EventQueue } from "../support/event-queue.ts";
import { checkBounds, checkClock, NameWatch } from "./bounds.ts";
import { between, prngFor } from "./chance.ts";
import { Faults } from "./faults.ts";
import { Issued } from "./issued.ts";
import { JoinWatch } from "./join-watch.ts";
import { LeaveWatch } from "./leave-watch.ts";
import { MembershipWatch } from "./membership-watch.ts";
import { Network, type Packet } from "./network.ts";
import { retentionMsDefault, type SimulationOptions } from "./options.ts";
import { PeerWaits } from "./peer-waits.ts";
import { checkReach } from "./reach.ts";
import { SimNode, type World } from "./sim-node.ts";
import { useLimits } from "./small-limits.ts";
import type { StreamWatch } from "./stream-watch.ts";
import type { Trace } from "./trace.ts";
import {
  addHeld,
  checkContents,
  checkDestroyed,
  checkIdleTraffic,
  checkMembership,
  checkRepairTraffic,
  checkRest,
  correctNodes,
  hasConverged,
  heldBySurvivors,
  type Standing,
  type Survivors,
  suspectsOf,
  waysOf,
  whyNotConverged,
} from "./verdict.ts";
import { hold, Violation } from "./violation.ts";
import { Workload } from "./workload.ts";
import { WriteLedger } from "./write-ledger.ts";

const convergeMsMax = 60_000;
/** Repair and the ladder of heartbeats end well within this. */
const settleMs = 5_000;
const idleMs = 8_000;
const idleWindowsMax = 4;
const replays = 50;
/** Events of one instant: more of them means that somebody asks for ticks without end. */
const eventsPerInstantMax = 50_000;
const eventsMax = 30_000_000;

export interface Statistics {
  events: number;
  convergedMs: number;
  operations: number;
  writes: number;
}

/** One cluster through chaos to rest. Throws a `Violation` when a demand does not hold. */
export class Simulation implements World {
  readonly options: SimulationOptions;
  readonly trace: Trace;
  readonly network: Network;
  readonly issued = new Issued();
  readonly nodes: SimNode[] = [];
  readonly ledger: WriteLedger;
  readonly waits: PeerWaits;
  readonly boots: Prng;
  readonly statistics: Statistics = { events: 0, convergedMs: 0, operations: 0, writes: 0 };
  readonly #queue = new EventQueue();
  readonly #faults: Faults;
  readonly #joins: JoinWatch;
  readonly #leaves: LeaveWatch;
  readonly #members = new MembershipWatch();
  readonly #names: NameWatch[] = [];
  readonly #dead = new Set<BootId>();
  /** Of the last datagram of each boot: with the boot's sub-key, the nonce. */
  readonly #counters = new Map<BootId, number>();
  readonly #streams = new Set<StreamWatch>();
  /** What must be there at the end, once all is healed. */
  #expected: Survivors | undefined;
  #healedMs = 0;
  nowMs = 1;

  constructor(options: SimulationOptions, trace: Trace) {
    useLimits(options.limits);
    this.options = options;
    this.trace = trace;
    this.boots = prngFor(options.seed, "boots");
    const prng = prngFor(options.seed, "network");
    this.network = new Network(this, options.network, prng, trace);
    for (let index = 0; index < options.nodes; index++) {
      this.nodes.push(new SimNode(this, index));
      this.#names.push(new NameWatch());
    }
    this.#faults = new Faults(this);
    this.#joins = new JoinWatch(this);
    this.ledger = new WriteLedger(this);
    this.waits = new PeerWaits(this);
    this.#leaves = new LeaveWatch(this);
  }

  get nodeCount(): number {
    return this.nodes.length;
  }

  run(): void {
    const { options } = this;
    const prng = prngFor(options.seed, "starts");
    this.#faults.start();
    for (const node of this.nodes) {
      const atMs = this.nowMs + between(prng, 0, options.node.startSpreadMs);
      this.at(atMs, () => {
        if (!node.running) node.start();
      });
    }
    if (options.seal?.rotates) this.#rotate();
    // A gentle run is about repair, so all are ready before the first write.
    const startMs = options.profile === "gentle" ? 2_000 : this.nowMs;
    const workload = new Workload(this, startMs, startMs + options.chaosMs);
    this.#advance(startMs + options.chaosMs);
    this.statistics.operations = workload.operations;
    this.statistics.writes = this.ledger.writes;
    this.#faults.heal();
    this.trace.note(this.nowMs, "healed", -1, 0);
    if (options.profile === "unsealed") this.#advance(this.nowMs + settleMs);
    else this.#demandConvergence();
  }

  /** One node after the other, as an operator would, some only when all is healed. */
  #rotate(): void {
    const prng = prngFor(this.options.seed, "rotation");
    for (const node of this.nodes) {
      this.at(between(prng, 0, this.options.chaosMs * 1.2), () => node.rotate());
    }
  }

  at(atMs: number, run: () => void): void {
    this.#queue.push(Math.max(atMs, this.nowMs), run);
  }

  nodeAt(address: Address): number | undefined {
    const node = this.nodes[Number(address.split(":")[1])];
    return node?.address === address ? node.index : undefined;
  }

  arrive(to: number, packet: Packet): void {
    const node = this.nodes[to];
    const isHeard = node?.hearsGroup === true || packet.via === "unicast";
    if (node?.running && isHeard) node.inbox.arrive(packet);
  }

  afterTurn(node: SimNode): void {
    checkBounds(node);
    checkClock(node, node.clock.at(this.nowMs).wallMs);
    // Foreign octets can put any name into the table.
    if (this.options.profile !== "unsealed") this.#names[node.index]?.check(node);
    this.ledger.checkMoves(node);
    const { life } = node;
    life?.pace.afterTurn(life.replica, node.clock.at(this.nowMs).monotonicMs);
    life?.guard?.check();
    life?.stores?.checkEvicted(this.nowMs, node.clock.at(this.nowMs).wallMs);
    if (life?.streams !== undefined) this.#streams.add(life.streams);
  }

  onEvent(node: SimNode, event: CoreEvent): void {
    this.#joins.onEvent(node, event);
    this.#leaves.onEvent(node, event);
    if (event.event === "clock_recovered" && node.correct && this.#expected !== undefined) {
      // A tiny or leaving node may give away what others refused until now, or take it along.
      if (!node.tiny && node.serving) addHeld(this.#expected, node);
    }
    // Foreign octets can answer for anybody.
    if (this.options.profile !== "unsealed") this.#members.onEvent(node, event, this.nowMs);
    const { guard } = node.life ?? {};
    if (event.event === "peer_restarted") guard?.restarted(event.peer.boot);
    if (event.event === "peer_down") guard?.wentDown(event.peer.boot, this.nowMs);
  }

  onStart(node: SimNode): void {
    this.#joins.onStart(node);
  }

  onLeave(node: SimNode): void {
    this.#leaves.onLeave(node);
  }

  onLeft(node: SimNode): void {
    this.#leaves.onLeft(node);
  }

  onEnd(boot: BootId): void {
    this.#members.onEnd(boot, this.nowMs);
    this.#dead.add(boot);
  }

  deadNow(): (boot: BootId) => boolean {
    const dead = new Set(this.#dead);
    return (boot) => dead.has(boot);
  }

  sealed(boot: BootId, bytes: Buffer): void {
    const counter = bytes.readUIntBE(20, 6);
    const fact = () => `${boot} seals ${counter} after ${this.#counters.get(boot)}`;
    hold(counter > (this.#counters.get(boot) ?? 0), "no-nonce-comes-twice", fact);
    this.#counters.set(boot, counter);
  }

  #demandConvergence(): void {
    const expected = heldBySurvivors(this);
    this.#expected = expected;
    const { options } = this;
    const healedMs = this.nowMs;
    this.#healedMs = healedMs;
    this.#demandEqual(healedMs + convergeMsMax);
    this.statistics.convergedMs = this.nowMs - healedMs;
    this.#advance(Math.max(this.nowMs, healedMs + settleMs / 2) + settleMs);
    let before = this.#standing();
    this.#advance(this.nowMs + idleMs);
    const untilMs = this.nowMs + (idleWindowsMax - 1) * idleMs;
    const refilledMs = untilMs + this.#refillMsMax();
    while (
      (this.nowMs < untilMs && this.#unrestSince(before)) ||
      (this.nowMs < refilledMs && this.#refillsSince(before))
    ) {
      before = this.#standing();
      this.#advance(this.nowMs + idleMs);
    }
    // Clocks may differ, so one node may have forgotten a session that another will in a moment.
    this.#demandEqual(this.nowMs + settleMs);
    checkContents(this, expected);
    checkMembership(this);
    checkRest(this);
    this.ledger.checkDelays();
    if (this.#restExpected) checkIdleTraffic(this, before, idleMs);
    checkRepairTraffic(this.network, [...this.#streams]);
    checkReach(this, (forMs) => this.#advance(this.nowMs + forMs));
    if (options.tombstoneRetentionMs < retentionMsDefault) this.#outliveTombstones(expected);
  }

  /** What was destroyed before all was healed is forgotten by all, and does not come back. */
  #outliveTombstones(expected: Survivors): void {
    const endMs = this.#healedMs + this.options.tombstoneRetentionMs + 3 * limits.expirySlotMs;
    this.#advance(Math.max(endMs, this.nowMs));
    for (const { label, life } of correctNodes(this.nodes)) {
      const { tombstoneCount } = life.replica.store;
      const fact = () => `${label} has ${tombstoneCount} tombstones`;
      hold(tombstoneCount === 0, "tombstones-end", fact);
    }
    // Somebody sends again what was recorded while the sessions lived.
    for (let count = 0; count < replays; count++) this.network.replay();
    this.#advance(this.nowMs + settleMs);
    this.#demandEqual(this.nowMs + settleMs);
    checkContents(this, expected);
    checkDestroyed(this, expected);
  }

  #standing(): ReadonlyMap<SimNode, Standing> {
    return new Map(
      correctNodes(this.nodes).map((node) => {
        const { reconcile, membership } = node.life.replica.counters;
        const { missingSequences = 0, reassemblyBytes = 0 } = node.life.replica.buffers;
        const waits = missingSequences + reassemblyBytes > 0;
        const { rounds, refills } = reconcile;
        const proofs = membership.proofsAsked;
        const suspects = suspectsOf(node);
        const ways = waysOf(node);
        const joins = node.life.replica.phase === "joining";
        const bytes = node.bytesSent;
        return [node, { bytes, rounds, refills, proofs, suspects, waits, ways, joins }];
      }),
    );
  }

  /**
   * Whether a node still joined, got back what it had evicted, as sessions that end make room once,
   * had yet to decide who is dead, waited for what was lost, or only now found somebody
   * again, and what it had missed of him.
   */
  #unrestSince(before: ReadonlyMap<SimNode, Standing>): boolean {
    if (this.#refillsSince(before)) return true;
    return [...this.#standing()].some(([node, { proofs }]) => {
      const then = before.get(node);
      if (then === undefined || then.suspects > 0 || then.waits || then.joins) return true;
      return proofs !== then.proofs;
    });
  }

  #refillsSince(before: ReadonlyMap<SimNode, Standing>): boolean {
    return [...this.#standing()].some(
      ([node, { refills }]) => refills !== before.get(node)?.refills,
    );
  }

  /** How long nodes may look once for what they evicted: a few stubs at each peer's heartbeat. */
  #refillMsMax(): number {
    const nodes = correctNodes(this.nodes);
    const stubs = Math.max(0, ...nodes.map(({ life }) => life.replica.store.stubs.size));
    const heartbeats = Math.floor(stubs / limits.refillRangesMax) * (nodes.length - 1);
    return heartbeats * limits.heartbeatMs;
  }

  /** Whether no node is left that others cannot agree with. */
  get #restExpected(): boolean {
    return this.nodes.every((node) => !node.running || node.foreign || node.correct);
  }

  #demandEqual(untilMs: number): void {
    while (!hasConverged(this.nodes)) {
      if (this.nowMs >= untilMs) {
        throw new Violation("converges", whyNotConverged(this.nodes), "liveness");
      }
      this.#advance(this.nowMs + 100);
    }
  }

  #advance(untilMs: number): void {
    let instant = 0;
    while (this.#queue.nextAtMs <= untilMs) {
      const atMs = this.#queue.nextAtMs;
      instant = atMs === this.nowMs ? instant + 1 : 0;
      this.statistics.events += 1;
      if (instant > eventsPerInstantMax || this.statistics.events > eventsMax) {
        throw new Violation("time-goes-on", `at ${this.nowMs} ms`, "liveness");
      }
      this.nowMs = atMs;
      this.#queue.pop()?.();
    }
    this.nowMs = untilMs;
  }
}
