import type { Replica } from "../../src/core/replica.ts";
import type { Gate } from "../../src/net/gate.ts";
import { limits } from "../../src/protocol/limits.ts";

/** As a node is configured. */
export interface Capacity {
  readonly count: number;
  readonly bytes: number;
  readonly tombstones: number;
  readonly stubs: number;
}

/** Told of all that is held: what it is, how much, and how much it may be. */
export type HeldCheck = (what: string, value: number, max: number) => void;

/** Everything that a replica keeps of others and for others. */
export function checkReplica(replica: Replica, capacity: Capacity, check: HeldCheck): void {
  const { store, buffers } = replica;
  let peers = 0;
  for (const { incoming, reassembly, doubts } of replica.peers.all()) {
    peers += 1;
    check("missing numbers", incoming.missingCount, limits.gapAheadMax);
    check("octets in reassembly", reassembly.bytes, limits.reassemblyBytesMax);
    check("blocks in reassembly", reassembly.messages, limits.reassemblyMessagesMax);
    check("nodes that ask for a peer", doubts.askers.size, limits.vouchAskersMax);
  }
  check("peers", peers, limits.peersMax);
  const {
    repairRingBytes = 0,
    repairRingDatagrams = 0,
    outgoingTransfers = 0,
    incomingTransfers = 0,
    chunksAhead = 0,
    rangesWaiting = 0,
    confirmations = 0,
    fetches = 0,
    fetchWaiters = 0,
    absences = 0,
  } = buffers;
  check("octets in the repair ring", repairRingBytes, limits.repairRingBytesMax);
  check("datagrams in the repair ring", repairRingDatagrams, limits.repairRingDatagramsMax);
  check("transfers out", outgoingTransfers, limits.transferOutgoingMax);
  // As many for a join as for all else.
  check("transfers in", incomingTransfers, 2 * limits.transferIncomingMax);
  check("chunks ahead", chunksAhead, incomingTransfers * limits.transferWindowChunks);
  check("ranges to be pulled", rangesWaiting, limits.rangesWaitingMax);
  check("writes that wait for peers", confirmations, limits.confirmationsMax);
  check("sessions asked for", fetches, limits.fetchesMax);
  check("requests that wait for them", fetchWaiters, fetches * limits.fetchWaitersMax);
  check("sessions known to be absent", absences, limits.absencesMax);
  const { count, bytes, tombstones, stubs } = capacity;
  // Those that were evicted meanwhile are cleared out when it has doubled.
  const { dirtyRecords = 0 } = replica.pacing(0);
  const dirtyMax = Math.max(limits.dirtyRecordsMin, 2 * (count + tombstones));
  check("records to be sent", dirtyRecords, dirtyMax);
  check("octets of sessions", store.bytes, bytes);
  check("sessions", store.recordCount - store.tombstoneCount, count);
  check("stubs", store.stubs.size, stubs);
  check("tombstones", store.tombstoneCount, tombstones);
}

/** Everything that a gate keeps of those who knock. */
export function checkGate({ buffers }: Gate, check: HeldCheck): void {
  const { subKeys = 0, failedHosts = 0, probations = 0 } = buffers;
  check("sub-keys", subKeys, limits.subKeysMax);
  check("hosts from which seals failed", failedHosts, limits.failedHostsMax);
  check("terms of those who never answer", probations, limits.probationsMax);
}
