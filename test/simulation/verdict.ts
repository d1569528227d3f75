import { limits } from "../../src/protocol/limits.ts";
import { fingerprintOf, hashId, xorInto } from "../../src/session/fingerprint.ts";
import { clusterIdentity } from "../../src/wire/keyring.ts";
import type { Issued } from "./issued.ts";
import { isOver, ModelSession } from "./model.ts";
import type { Network } from "./network.ts";
import type { SimulationOptions } from "./options.ts";
import type { Life, SimNode } from "./sim-node.ts";
import type { StreamWatch } from "./stream-watch.ts";
import { hold, Violation } from "./violation.ts";

/** What is demanded of a cluster in which nothing goes wrong any more. */
export interface Demands {
  readonly options: SimulationOptions;
  readonly nodes: readonly SimNode[];
  readonly nowMs: number;
  readonly issued: Issued;
}

/** Octets a second that an idle node may send; see the figures of the product. */
export const idleBytesPerSecondMax = 300;
/** And to each peer that its multicast does not reach, or that it asks for copies itself. */
const idleBytesPerSecondAndWay = 195;
/** And there for the seals of two heartbeats a second, and the names of the keys in them. */
const idleSealBytesPerSecondAndWay = 40;
/** And to each configured peer that is away: a sealed heartbeat every five seconds. */
const idleBytesPerSecondAndSeedAway = 40;

/** Each number that was lost or late is asked for this often, and each ask may be answered. */
const repairsPerLossMax = limits.nakTriesMax;
const repairsFree = 100;

export function correctNodes(nodes: readonly SimNode[]): (SimNode & { readonly life: Life })[] {
  return nodes.filter(
    (node): node is SimNode & { readonly life: Life } =>
      node.life !== undefined && node.serving && node.correct,
  );
}

export function hasConverged(nodes: readonly SimNode[]): boolean {
  let first: { high: number; low: number } | undefined;
  for (const { life } of correctNodes(nodes)) {
    if (life.replica.phase !== "ready" || life.replica.pending) return false;
    const { root } = life.replica.store.trie;
    first ??= root;
    if (root.high !== first.high || root.low !== first.low) return false;
  }
  return true;
}

export function whyNotConverged(nodes: readonly SimNode[]): string {
  return correctNodes(nodes)
    .map(({ index, life }) => {
      const { high } = life.replica.store.trie.root;
      const root = (high >>> 0).toString(16);
      const { phase, pending, store } = life.replica;
      const waits = pending ? " sending" : "";
      const { recordCount, stubs } = store;
      return `node ${index} ${phase}${waits} ${root} (${recordCount} and ${stubs.size})`;
    })
    .join(", ");
}

/** What nodes held of each session; the join of it is what may not be lost. */
export type Survivors = Map<string, ModelSession[]>;

/**
 * All that nodes with room for it hold: none of it may be lost from now on. What is stamped in the
 * future counts only once it has been given its right time; see `addHeld`.
 */
export function heldBySurvivors({ nodes, nowMs }: Demands): Survivors {
  const held: Survivors = new Map();
  for (const node of correctNodes(nodes)) {
    if (!node.tiny && !node.hasFutureStamps(nowMs)) addHeld(held, node);
  }
  return held;
}

/** Adds all that a node holds. */
export function addHeld(held: Survivors, { life }: SimNode): void {
  for (const [id, model] of life?.stores?.all() ?? []) {
    held.set(id, [...(held.get(id) ?? []), model.clone()]);
  }
}

/**
 * Of the states of a session those that have not ended: what one node held of it may have been
 * forgotten there before another's, which ends later, came.
 */
function whatHasNotEnded(states: readonly ModelSession[], wallMs: number, retentionMs: number) {
  return joinOf(states.filter((state) => !isOver(state.forgetAtMs(retentionMs), wallMs, -2)));
}

function joinOf(states: readonly ModelSession[]): ModelSession {
  const join = new ModelSession();
  for (const { cells } of states) join.joinCells(cells);
  return join;
}

/** Every correct node holds the same, and at least what survivors held when all was healed. */
export function checkContents(demands: Demands, expected: Survivors): void {
  const nodes = correctNodes(demands.nodes);
  for (const node of nodes) {
    const { retentionMs } = node;
    node.life.stores?.checkAll();
    checkDigest(node);
    for (const [id, states] of expected) {
      const { wallMs } = node.clock.at(demands.nowMs);
      const model = whatHasNotEnded(states, wallMs, retentionMs);
      if (model.cells.size === 0) continue;
      const known = node.life.stores?.known(id);
      const late = known !== undefined && isOver(known.forgetAtMs(retentionMs), wallMs, 2);
      hold(!late, "forgotten-at-its-end", () => `${node.label} keeps ${id}`);
      // Ended, maybe by a write that its node has forgotten with the session, or nearly ended.
      const whole = demands.issued.joinedWith(id, model);
      if (
        [model, joinOf(states), whole].some((state) =>
          isOver(state.forgetAtMs(retentionMs), wallMs, -2),
        )
      ) {
        continue;
      }
      if (known === undefined && isStub(node, id)) continue;
      const missing = known === undefined ? "all" : model.missingFrom(known);
      // Or by one whose later writes were lost with the only node that had them.
      const successors = missing === undefined ? [] : demands.issued.successors(id, model);
      if ([...successors].some((state) => isOver(state.forgetAtMs(retentionMs), wallMs, -2))) {
        continue;
      }
      if (missing !== undefined && demands.issued.hasEnded(id, model)) continue;
      const fact = () => `${node.label} lacks ${missing} of ${id}`;
      hold(missing === undefined, "nothing-accepted-is-lost", fact);
    }
  }
  const [first, ...others] = nodes;
  for (const other of others) if (first !== undefined) checkSame(first, other);
}

/** Also once nobody remembers any more that it was. */
export function checkDestroyed(demands: Demands, expected: Survivors): void {
  for (const node of correctNodes(demands.nodes)) {
    for (const [id, states] of expected) {
      const join = joinOf(states);
      const known = node.life.stores?.known(id);
      if (!join.dead || known === undefined || known.dead) continue;
      const isLater = join.missingFrom(known) === undefined;
      const fact = () => `${node.label} has ${id} again, which was destroyed`;
      hold(isLater, "destroyed-stays-destroyed", fact);
    }
  }
}

type Running = SimNode & { readonly life: Life };

/** Whether a node without room knows of it at least. */
function isStub(node: Running, id: string): boolean {
  return node.tiny && node.life.replica.store.hasStub(id);
}

function checkSame(first: Running, other: Running): void {
  const left = new Map(first.life.stores?.all() ?? []);
  const right = new Map(other.life.stores?.all() ?? []);
  for (const id of new Set([...left.keys(), ...right.keys()])) {
    const one = left.get(id);
    const two = right.get(id);
    if ((one === undefined && isStub(first, id)) || (two === undefined && isStub(other, id))) {
      continue;
    }
    const why = one && two ? (one.missingFrom(two) ?? two.missingFrom(one)) : "all";
    const fact = () => `${first.label} and ${other.label} differ in ${why} of ${id}`;
    hold(why === undefined, "equal-digests-equal-contents", fact);
  }
}

const nothing = { high: 0, low: 0 };

/** The digest, from scratch. */
function checkDigest({ label, life }: Running): void {
  const { hashKey } = clusterIdentity("simulated");
  const sum = { high: 0, low: 0 };
  for (const record of life.stores?.records() ?? []) {
    xorInto(sum, fingerprintOf(record, hashId(hashKey, record.id)));
  }
  const { trie, stubs } = life.replica.store;
  for (let row = 0; row < stubs.rows; row++) xorInto(sum, stubs.at(row)?.fingerprint ?? nothing);
  const { root } = trie;
  const equal = sum.high === root.high && sum.low === root.low;
  hold(equal, "digest-is-the-sum", () => `${label} tells another digest than it holds`);
}

/** Everybody sees everybody who is there, and nobody who is not. */
export function checkMembership(demands: Demands): void {
  const visible = demands.nodes.filter((node) => node.serving && !node.foreign);
  for (const node of correctNodes(demands.nodes)) {
    const expected = visible
      .filter((other) => other !== node)
      .map(({ life }) => life?.boot)
      .sort();
    const seen = [...node.life.replica.peers.all()]
      .filter(({ state }) => state === "up")
      .map(({ boot }) => boot)
      .sort();
    const fact = () => `${node.label} sees ${seen.join()} instead of ${expected.join()}`;
    hold(seen.join() === expected.join(), "members-are-known", fact);
  }
}

/** Nothing waits for what will not come. */
export function checkRest(demands: Demands): void {
  for (const { label, life } of correctNodes(demands.nodes)) {
    const { missingSequences = 0, reassemblyBytes = 0 } = life.replica.buffers;
    const fact = () => `${label} waits for ${missingSequences} numbers, ${reassemblyBytes} octets`;
    hold(missingSequences === 0 && reassemblyBytes === 0, "gaps-are-closed", fact);
  }
}

const idle = "idle-is-quiet";

/** How many links of a node need datagrams of their own. */
export function waysOf({ life: { replica } }: Running): number {
  let ways = 0;
  for (const peer of replica.peers.all()) {
    const { fault, copiesUntilMs } = peer.ways;
    if (replica.mode === "unicast" || copiesUntilMs > 0) ways += 1;
    if (fault !== undefined) ways += 1;
  }
  return ways;
}

/** How many peers a node asks for a sign of life. */
export function suspectsOf({ life: { replica } }: Running): number {
  return [...replica.peers.all()].filter(({ doubts }) => doubts.suspected).length;
}

/** What a node had done at some moment. */
export interface Standing {
  readonly bytes: number;
  readonly rounds: number;
  readonly refills: number;
  readonly proofs: number;
  readonly suspects: number;
  /** For numbers or fragments: what repair gives up is looked for by a round. */
  readonly waits: boolean;
  readonly ways: number;
  readonly joins: boolean;
}

export function checkIdleTraffic(
  demands: Demands,
  before: ReadonlyMap<SimNode, Standing>,
  forMs: number,
): void {
  const forSeals = demands.options.seal === null ? 0 : idleSealBytesPerSecondAndWay;
  const perWay = idleBytesPerSecondAndWay + forSeals;
  const away = demands.nodes.filter(({ serving }) => !serving).length;
  const forSeeds = demands.options.paths.seeds ? away * idleBytesPerSecondAndSeedAway : 0;
  for (const node of correctNodes(demands.nodes)) {
    const then = before.get(node);
    if (then === undefined) continue;
    const bytes = ((node.bytesSent - then.bytes) * 1_000) / forMs;
    const fact = () => `${node.label} sends ${Math.round(bytes)} octets a second`;
    // One that was needed at the start may have been given up since.
    const ways = Math.max(then.ways, waysOf(node));
    hold(bytes <= idleBytesPerSecondMax + ways * perWay + forSeeds, idle, fact);
    const rounds = node.life.replica.counters.reconcile.rounds - then.rounds;
    hold(rounds === 0, idle, () => `${node.label} began ${rounds} rounds`);
  }
}

export function checkRepairTraffic(network: Network, streams: readonly StreamWatch[]): void {
  const repairs = streams.reduce((sum, stream) => sum + stream.repairs, 0);
  const missed = network.lostNumbered + network.lateNumbered;
  if (repairs <= repairsPerLossMax * missed + repairsFree) return;
  throw new Violation("repair-follows-loss", `${repairs} repairs for ${missed} lost or late`);
}
