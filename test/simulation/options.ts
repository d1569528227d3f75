/**
 * What one run is made of, drawn from its seed. Each run gets a random subset of the faults
 * (Groce et al. 2012, "Swarm Testing"): with all of them at once, most would hide each other.
 */
import type { Prng } from "../../src/base/prng.ts";
import { between, integer, oneOf, prngFor, scaled } from "./chance.ts";

/**
 * `swarm` makes all demands. `gentle` has light loss only, and demands that repair alone delivers
 * every write in time. `unsealed` hands corrupt octets to the replica, as only a broken seal would,
 * and demands no more than that nothing throws, hangs or grows.
 */
export type Profile = "swarm" | "gentle" | "unsealed";

/** A fault that comes again and again, and how long it stays at most. */
export interface Recurring {
  readonly everyMs: number;
  readonly forMs: number;
}

/** Links that stop to pass multicast. */
export interface DeafOptions extends Recurring {
  /** Only these nodes' links; null: any. */
  readonly node: number | null;
  /** What went deaf never hears multicast again, not even when all else is healed. */
  readonly stays: boolean;
}

/** How nodes find and reach each other. */
export interface PathOptions {
  /** Without multicast altogether. */
  readonly unicast: boolean;
  /** All nodes' addresses are configured on all. */
  readonly seeds: boolean;
}

export interface NetworkOptions {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly loss: number;
  /** The switch loses a multicast for all receivers. */
  readonly sharedLoss: number;
  /** Gilbert-Elliott: chances per datagram to enter and to leave the bad state, and its loss. */
  readonly burst: { readonly enter: number; readonly leave: number; readonly loss: number } | null;
  readonly duplicate: number;
  readonly reorder: { readonly chance: number; readonly ms: number } | null;
  readonly corrupt: number;
  readonly clog: Recurring | null;
  readonly oneWay: Recurring | null;
  readonly partition: (Recurring & { readonly symmetric: boolean }) | null;
  readonly deaf: DeafOptions | null;
  readonly replay: { readonly everyMs: number } | null;
  /** Datagrams made from recorded ones by somebody without a key. */
  readonly forge: { readonly everyMs: number } | null;
}

export interface BufferOptions {
  readonly datagrams: number;
  readonly msPerDatagram: number;
  /** Pauses of the receiving process, during which the buffer fills. */
  readonly stallEveryMs: number;
  readonly stallMs: number;
}

export interface ClockOptions {
  readonly offsetMs: number;
  readonly driftPpm: number;
  /** One node's clock, beyond what peers accept. */
  readonly skew: {
    readonly node: number;
    readonly offsetMs: number;
    /** It is not set right at the end either. */
    readonly stays: boolean;
  } | null;
  readonly step: (Recurring & { readonly stepMs: number }) | null;
}

/** Nodes that are too small for the workload. */
export interface TinyOptions {
  /** null: all are. */
  readonly node: number | null;
  readonly count: number;
  readonly bytes: number;
  /** Too few to know of all that it does not hold; null: enough. */
  readonly stubs: number | null;
}

/** A node that no other one sees, for what is wrong in its configuration. */
export interface ForeignOptions {
  readonly node: number;
  /** Another cluster's name or key, or no multicast and no peer to send to instead. */
  readonly by: "cluster" | "key" | "unicast";
}

export interface NodeOptions {
  readonly buffers: BufferOptions | null;
  readonly crash: (Recurring & { readonly leave: number }) | null;
  readonly pause: Recurring | null;
  readonly tiny: TinyOptions | null;
  /** Does everything ten times slower. */
  readonly laggard: number | null;
  readonly foreign: ForeignOptions | null;
  /** So low that deltas and repairs have to wait for it; null: the one by default. */
  readonly rateBytesPerSecondMax: number | null;
  readonly startSpreadMs: number;
}

export interface WorkloadOptions {
  readonly operations: number;
  readonly sessions: number;
  readonly hotShare: number;
  readonly hop: number;
  readonly concurrent: number;
  readonly slowRequest: number;
  readonly large: number;
  readonly largeBytes: number;
  readonly burst: number;
  readonly shortLives: number;
  /** Share of requests that move the session to another id. */
  readonly moves: number;
  /** Share of writes that wait for peers, and that are read elsewhere at once. */
  readonly waits: number;
  /** Share of requests beside which ids are read that nobody ever wrote. */
  readonly misses: number;
  readonly weights: Readonly<Record<WorkloadAction, number>>;
}

export type WorkloadAction = "create" | "set" | "patch" | "unset" | "touch" | "destroy" | "get";

export interface SimulationOptions {
  readonly seed: number;
  readonly profile: Profile;
  readonly nodes: number;
  readonly chaosMs: number;
  readonly network: NetworkOptions;
  readonly paths: PathOptions;
  readonly clocks: ClockOptions;
  readonly node: NodeOptions;
  readonly workload: WorkloadOptions;
  /** Longer than any node is cut off, as an operator has to see to. */
  readonly tombstoneRetentionMs: number;
  /** Real seals; `rotates`: one node after the other changes keys. null: the simulation seals. */
  readonly seal: { readonly rotates: boolean } | null;
  /** Limits of the product made small, so that a short run reaches them. */
  readonly limits: Readonly<Record<string, number>>;
}

export interface Wishes {
  readonly nodes?: number | undefined;
}

/** As the configuration has it. */
export const retentionMsDefault = 86_400_000;

export function drawOptions(seed: number, wishes: Wishes = {}): SimulationOptions {
  const prng = prngFor(seed, "shape");
  const profile: Profile = prng.chance(0.2) ? "gentle" : prng.chance(0.08) ? "unsealed" : "swarm";
  const drawn = prng.chance(0.001) ? 64 : integer(prng, 1, oneOf(prng, [3, 5, 8, 12]));
  const nodes = wishes.nodes ?? (profile === "gentle" ? Math.max(2, drawn) : drawn);
  const many = nodes > 16;
  const calm = profile === "gentle";
  const network = calm ? gentleNetwork(seed) : drawNetwork(seed, profile, nodes);
  const chaosMs = Math.round(many ? between(prng, 3_000, 8_000) : scaled(prng, 4_000, 40_000));
  const clocks = drawClocks(seed, nodes, calm);
  const node = calm ? gentleNodes(seed) : drawNodes(seed, nodes);
  return {
    seed,
    profile,
    nodes,
    chaosMs,
    network,
    paths: drawPaths(seed, network),
    clocks,
    node,
    workload: drawWorkload(seed, many, calm),
    tombstoneRetentionMs: many ? retentionMsDefault : drawRetention(seed, chaosMs, clocks),
    seal: profile === "unsealed" ? null : drawSeal(seed, node.foreign?.by === "key"),
    limits: calm ? drawSlices(seed) : { ...drawLimits(seed), ...drawSlices(seed) },
  };
}

/**
 * So short that tombstones end while the run lasts, and beyond chaos and the time that nodes have
 * then to converge. What is promised for so long goes by clocks that are right.
 */
function drawRetention(seed: number, chaosMs: number, { skew, step }: ClockOptions): number {
  const beyondMs = maybe(seed, "retention", 0.25, (prng) => scaled(prng, 60_000, 120_000));
  if (beyondMs === null || skew !== null || step !== null) return retentionMsDefault;
  return Math.round(chaosMs + beyondMs);
}

/** Real seals cost time, and the simulation does without as well but for what is tried here. */
function drawSeal(seed: number, isNeeded: boolean): SimulationOptions["seal"] {
  const share = isNeeded ? 1 : 0.15;
  return maybe(seed, "seal", share, (prng) => ({ rotates: prng.chance(0.5) }));
}

/** Whether a fault is in, and its own generator, so that faults do not shift each other. */
function maybe<T>(seed: number, name: string, share: number, draw: (prng: Prng) => T): T | null {
  const prng = prngFor(seed, name);
  return prng.chance(share) ? draw(prng) : null;
}

function recurring(prng: Prng, forMs: number): Recurring {
  return { everyMs: scaled(prng, 500, 15_000), forMs: scaled(prng, 50, forMs) };
}

function gentleNetwork(seed: number): NetworkOptions {
  return {
    delayMs: 0.1,
    jitterMs: 0.3,
    loss: maybe(seed, "loss", 0.9, (prng) => scaled(prng, 0.002, 0.03)) ?? 0,
    sharedLoss: maybe(seed, "sharedLoss", 0.4, (prng) => scaled(prng, 0.002, 0.02)) ?? 0,
    burst: null,
    duplicate: maybe(seed, "duplicate", 0.3, (prng) => between(prng, 0, 0.1)) ?? 0,
    reorder: maybe(seed, "reorder", 0.3, () => ({ chance: 0.02, ms: 3 })),
    corrupt: 0,
    clog: null,
    oneWay: null,
    partition: null,
    deaf: null,
    replay: null,
    forge: null,
  };
}

/** Where several nodes may stay deaf to each other, nothing but configured addresses helps. */
function drawPaths(seed: number, { deaf }: NetworkOptions): PathOptions {
  const unicast = prngFor(seed, "unicast").chance(0.1);
  const needed = unicast || (deaf?.stays && deaf.node === null) === true;
  return { unicast, seeds: needed || prngFor(seed, "seeds").chance(0.05) };
}

function drawNetwork(seed: number, profile: Profile, nodes: number): NetworkOptions {
  const sure = profile === "unsealed" ? 1 : 0.15;
  return {
    delayMs: scaled(prngFor(seed, "delay"), 0.05, 5),
    jitterMs: scaled(prngFor(seed, "jitter"), 0.05, 10),
    loss: maybe(seed, "loss", 0.4, (prng) => scaled(prng, 0.005, 0.3)) ?? 0,
    sharedLoss: maybe(seed, "sharedLoss", 0.2, (prng) => scaled(prng, 0.005, 0.1)) ?? 0,
    burst: maybe(seed, "burst", 0.25, (prng) => ({
      enter: scaled(prng, 0.001, 0.02),
      leave: scaled(prng, 0.02, 0.5),
      loss: between(prng, 0.3, 1),
    })),
    duplicate: maybe(seed, "duplicate", 0.3, (prng) => scaled(prng, 0.01, 0.5)) ?? 0,
    reorder: maybe(seed, "reorder", 0.3, (prng) => ({
      chance: scaled(prng, 0.01, 0.3),
      ms: scaled(prng, 2, 500),
    })),
    corrupt: maybe(seed, "corrupt", sure, (prng) => scaled(prng, 0.001, 0.1)) ?? 0,
    clog: maybe(seed, "clog", 0.2, (prng) => recurring(prng, 5_000)),
    oneWay: maybe(seed, "oneWay", 0.2, (prng) => recurring(prng, 8_000)),
    partition: maybe(seed, "partition", 0.3, (prng) => ({
      ...recurring(prng, 20_000),
      symmetric: prng.chance(0.6),
    })),
    deaf: maybe(seed, "deaf", 0.2, (prng) => ({
      ...recurring(prng, 30_000),
      node: prng.chance(0.5) ? prng.below(nodes) : null,
      stays: prng.chance(0.6),
    })),
    replay: maybe(seed, "replay", 0.25, (prng) => ({ everyMs: scaled(prng, 5, 500) })),
    forge: maybe(seed, "forge", 0.15, (prng) => ({ everyMs: scaled(prng, 5, 500) })),
  };
}

function drawClocks(seed: number, nodes: number, calm: boolean): ClockOptions {
  const off = calm ? 0 : 1;
  return {
    offsetMs: maybe(seed, "offset", off * 0.4, (prng) => scaled(prng, 1, 200)) ?? 0,
    driftPpm: maybe(seed, "drift", off * 0.3, (prng) => scaled(prng, 1, 200)) ?? 0,
    skew: maybe(seed, "skew", off * 0.12, (prng) => drawSkew(prng, nodes)),
    step: maybe(seed, "step", off * 0.08, (prng) => ({
      ...recurring(prng, 10_000),
      stepMs: scaled(prng, 1_500, 3_600_000) * (prng.chance(0.5) ? -1 : 1),
    })),
  };
}

/** Off by about what peers accept, so that some do and some do not; or by far more. */
function drawSkew(prng: Prng, nodes: number): ClockOptions["skew"] {
  const fringe = prng.chance(0.4);
  const sizeMs = fringe ? between(prng, 300, 1_000) : scaled(prng, 1_000, 3_600_000);
  return {
    node: prng.below(nodes),
    offsetMs: sizeMs * (prng.chance(0.5) ? -1 : 1),
    stays: fringe && sizeMs < 700 && prng.chance(0.5),
  };
}

/** Nodes leave there, and nothing that clients wrote on them may go with them. */
function gentleNodes(seed: number): NodeOptions {
  const crash = maybe(seed, "leave", 0.5, (prng) => ({ ...recurring(prng, 10_000), leave: 1 }));
  return { ...undisturbed, crash };
}

const undisturbed: NodeOptions = {
  buffers: null,
  crash: null,
  pause: null,
  tiny: null,
  laggard: null,
  foreign: null,
  rateBytesPerSecondMax: null,
  startSpreadMs: 0,
};

function drawNodes(seed: number, nodes: number): NodeOptions {
  const several = nodes > 1 ? 1 : 0;
  return {
    buffers: maybe(seed, "buffers", 0.25, (prng) => ({
      datagrams: Math.round(scaled(prng, 8, 512)),
      msPerDatagram: scaled(prng, 0.01, 0.5),
      stallEveryMs: scaled(prng, 200, 5_000),
      stallMs: scaled(prng, 5, 200),
    })),
    crash: maybe(seed, "crash", 0.35, (prng) => ({
      ...recurring(prng, 10_000),
      leave: prng.chance(0.5) ? prng.fraction() : 0,
    })),
    pause: maybe(seed, "pause", 0.25, (prng) => recurring(prng, 30_000)),
    tiny: maybe(seed, "tiny", several * 0.25, (prng) => drawTiny(prng, nodes)),
    laggard: maybe(seed, "laggard", several * 0.1, (prng) => prng.below(nodes)),
    foreign: maybe(seed, "foreign", several * 0.1, (prng) => drawForeign(prng, nodes)),
    rateBytesPerSecondMax: maybe(seed, "rate", 0.25, (prng) =>
      Math.round(scaled(prng, 50_000, 2_000_000) * Math.max(1, nodes / 4)),
    ),
    startSpreadMs: maybe(seed, "spread", 0.6, (prng) => scaled(prng, 10, 5_000)) ?? 0,
  };
}

function drawForeign(prng: Prng, nodes: number): ForeignOptions {
  const node = prng.below(nodes);
  return { node, by: oneOf(prng, ["cluster", "key", "unicast"] as const) };
}

function drawTiny(prng: Prng, nodes: number): TinyOptions {
  const node = prng.below(nodes);
  const count = integer(prng, 2, 40);
  const bytes = Math.round(scaled(prng, 4_000, 200_000));
  const all = prng.chance(0.25);
  const stubs = prng.chance(0.1) ? integer(prng, 1, 30) : null;
  return { node: all ? null : node, count, bytes, stubs };
}

function drawWorkload(seed: number, many: boolean, calm: boolean): WorkloadOptions {
  const prng = prngFor(seed, "workload");
  const weight = (share: number) => (prng.chance(0.85) ? share * (0.5 + prng.fraction()) : 0);
  return {
    operations: many ? integer(prng, 20, 60) : Math.round(scaled(prng, 40, 500)),
    sessions: Math.round(scaled(prng, 2, 200)),
    hotShare: prng.chance(0.4) ? prng.fraction() : 0,
    hop: prng.chance(0.5) ? prng.fraction() : 0.05,
    concurrent: prng.chance(0.5) ? prng.fraction() * 0.4 : 0,
    slowRequest: prng.chance(0.5) ? prng.fraction() * 0.6 : 0,
    large: prng.chance(0.4) ? prng.fraction() * 0.1 : 0,
    largeBytes: many ? 4_000 : Math.round(scaled(prng, 2_000, 60_000)),
    burst: prng.chance(0.4) ? Math.round(scaled(prng, 2, 60)) : 1,
    // Lives of seconds end while the run lasts; a gentle run wants to find all that was written.
    shortLives: !calm && prng.chance(0.4) ? prng.fraction() * 0.6 : 0,
    moves: maybe(seed, "moves", 0.5, (each) => scaled(each, 0.01, 0.2)) ?? 0,
    waits: maybe(seed, "waits", 0.6, (each) => scaled(each, 0.05, 0.8)) ?? 0,
    misses: maybe(seed, "misses", 0.5, (each) => scaled(each, 0.05, 1)) ?? 0,
    weights: {
      create: 0.2,
      set: weight(0.2),
      patch: 0.1 + weight(0.4),
      unset: weight(0.1),
      touch: weight(0.15),
      destroy: weight(0.12),
      get: 0.1 + weight(0.3),
    },
  };
}

/** Sending in small turns takes no time, so that no demand depends on it. */
function drawSlices(seed: number): Record<string, number> {
  const slice = maybe(seed, "limit sendSliceDatagramsMax", 0.4, (prng) => integer(prng, 1, 8));
  return slice === null ? {} : { sendSliceDatagramsMax: slice };
}

function drawLimits(seed: number): Record<string, number> {
  const drawn: Record<string, number> = {};
  const small = (name: string, share: number, low: number, high: number) => {
    const value = maybe(seed, `limit ${name}`, share, (prng) =>
      Math.round(scaled(prng, low, high)),
    );
    if (value !== null) drawn[name] = value;
  };
  small("repairRingDatagramsMax", 0.3, 4, 400);
  small("repairRingBytesMax", 0.1, 4_000, 200_000);
  small("gapAheadMax", 0.2, 4, 400);
  small("reassemblyBytesMax", 0.25, 2_000, 100_000);
  small("reassemblyMessagesMax", 0.1, 1, 8);
  small("transferWindowChunks", 0.2, 2, 32);
  small("transferOutgoingMax", 0.2, 1, 4);
  small("transferIncomingMax", 0.2, 1, 2);
  small("joinTransferRecords", 0.4, 1, 100);
  small("digestNodesPerRoundMax", 0.1, 4, 64);
  small("fetchAsksPerSecondMax", 0.3, 2, 100);
  small("absencesMax", 0.5, 1, 3);
  small("peerForgetMs", 0.2, 12_000, 30_000);
  small("rateBytesPerSecondMin", 0.2, 20_000, 100_000);
  small("rateJudgeDatagrams", 0.3, 10, 100);
  small("rateJudgeDatagramsMin", 0.3, 5, 40);
  small("laggardMs", 0.3, 500, 4_000);
  small("dirtyRecordsMin", 0.2, 4, 100);
  small("rangesWaitingMax", 0.3, 1, 16);
  if (drawn.rangesWaitingMax !== undefined) drawn.refillRangesMax = drawn.rangesWaitingMax;
  small("fetchWaitersMax", 0.3, 1, 8);
  return drawn;
}
