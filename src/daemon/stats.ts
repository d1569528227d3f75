import type { Now } from "../base/now.ts";
import type { Peer } from "../core/membership/peer.ts";
import type { Store } from "../core/store/store.ts";
import type { Driver } from "../net/driver.ts";
import type { EventLoopDelayMs } from "./event-loop-delay.ts";
import { showFingerprint } from "./key-file-text.ts";
import type { LocalSockets } from "./local-sockets.ts";
import type { NodeKeys } from "./node-keys.ts";
import { membershipWarnings, standingOf } from "./peer-standing.ts";
import { describeWays, pathWarnings } from "./peer-ways.ts";

export interface StatsSources {
  readonly version: string;
  readonly node: string;
  readonly cluster: string;
  readonly startedMs: number;
  readonly driver: Driver;
  /** Not open yet at the start. */
  readonly sockets: LocalSockets;
  readonly eventLoopDelayMs: () => EventLoopDelayMs;
  /** What an operator should not overlook; see `startSidecar`. */
  readonly warnings: readonly string[];
  /** Undefined: datagrams are not sealed. */
  readonly keys: NodeKeys | undefined;
}

/** What `sessioncast stats` shows: plain data, numbers only grow unless they are sizes. */
export function collectStats(sources: StatsSources): Record<string, unknown> {
  const { driver } = sources;
  const { replica, transport } = driver;
  const { store, counters } = replica;
  const now = driver.now();
  const memory = process.memoryUsage();
  return {
    version: sources.version,
    pid: process.pid,
    node: sources.node,
    cluster: sources.cluster,
    ...(sources.keys && { keys: { ...sources.keys.names, older: sources.keys.older } }),
    state: replica.phase,
    uptimeMs: Math.round(now.monotonicMs - sources.startedMs),
    sessions: describeSessions(store),
    peers: [...replica.peers.all()].map((peer) => ({
      ...describePeer(peer, now),
      ...(replica.mode === "multicast" ? describeWays(peer, now.monotonicMs) : {}),
    })),
    digest: hex(store.trie.root.high) + hex(store.trie.root.low),
    warnings: [
      ...sources.warnings,
      ...floodWarnings(driver),
      ...clockWarnings(driver),
      ...membershipWarnings(replica, sources.node),
      ...pathWarnings(replica.peers.all()),
    ],
    datagrams: {
      ...transport?.counters,
      rejected: driver.rejects,
      address: transport?.address,
      receiveBufferBytes: transport?.receiveBufferBytes,
      groupNarrowed: driver.shield.narrowed,
      groupIsNarrow: driver.shield.isNarrow,
    },
    pacing: {
      ...replica.pacing(now.wallMs),
      ...counters.pacing,
      backlogBytes: driver.backlogBytes,
    },
    naks: counters.naks,
    confirmations: counters.confirmations,
    stream: counters.stream,
    reconcile: counters.reconcile,
    membership: counters.membership,
    guard: counters.guard,
    paths: {
      mode: replica.mode,
      ...counters.paths,
      seedLookups: driver.seeds.counters.lookups,
      seedFailures: driver.seeds.counters.failures,
    },
    clock: counters.clock,
    store: counters.store,
    buffers: driver.buffers,
    local: describeSockets(sources.sockets),
    cpuMicros: Math.round(process.cpuUsage().user + process.cpuUsage().system),
    eventLoopDelayMs: sources.eventLoopDelayMs(),
    memory: {
      residentBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      heapTotalBytes: memory.heapTotal,
      /** Buffers are in it, and it is no part of the heap. */
      externalBytes: memory.external,
    },
  };
}

function clockWarnings({ unfollowedMs }: Driver): string[] {
  if (unfollowedMs === 0) return [];
  const byMs = Math.round(Math.abs(unfollowedMs));
  const way = unfollowedMs > 0 ? "ahead of" : "behind";
  return [`this machine's clock is ${byMs} ms ${way} what most peers show, and not followed`];
}

function describeSessions(store: Store): Record<string, number> {
  return {
    count: store.live.size,
    bytes: store.bytes,
    tombstones: store.tombstoneCount,
    /** The longest that this node or a peer is configured for. */
    tombstoneRetentionMs: store.tombstoneRetentionMs,
    stubs: store.stubs.size,
    stubBytes: store.stubs.bytes,
  };
}

function describeSockets({ apps, stats }: LocalSockets): Record<string, unknown> {
  return {
    clients: apps?.clients ?? 0,
    statsClients: stats?.clients ?? 0,
    watching: apps?.watching ?? 0,
    tracked: apps?.tracked ?? 0,
    backlogBytes: apps?.backlogBytes ?? 0,
    /** Of both sockets. */
    ...apps?.counters,
  };
}

function floodWarnings({ shield }: Driver): string[] {
  if (!shield.isNarrow) return [];
  return ["the group is flooded: only members are heard by multicast"];
}

function describePeer(peer: Peer, now: Now): Record<string, unknown> {
  const clockOffsetMs = peer.clockOffsetMs(now);
  return {
    node: peer.name,
    address: peer.address,
    state: standingOf(peer),
    phase: peer.phase,
    ...describeKeys(peer),
    boot: peer.boot,
    lastHeardMs: Math.round(now.monotonicMs - peer.lastHeardMs),
    records: peer.count,
    stubs: peer.stubs,
    digest: hex(peer.digest.high) + hex(peer.digest.low),
    missingSequences: peer.incoming.missingCount,
    skewMs: peer.skewMs,
    clockOffsetMs: clockOffsetMs === undefined ? undefined : Math.round(clockOffsetMs),
    tombstoneRetentionMs: peer.tombstoneRetentionMs,
    /** Of what this node sent lately, the share that it missed. */
    missedShare: Math.round(peer.feedback.share * 1_000) / 1_000,
    /** Whether it misses so much that it is left to anti-entropy. */
    lags: peer.feedback.leftOut,
  };
}

/** Nothing for a peer that has told of none. */
function describeKeys({ keys: [use, ...open] }: Peer): Record<string, unknown> {
  if (use === undefined) return {};
  return { uses: showFingerprint(use), opens: open.map(showFingerprint) };
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, "0");
}
