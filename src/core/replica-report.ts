import { stampWallMs } from "../session/stamp.ts";
import type { PeerTable } from "./membership/peer-table.ts";
import type { Donor } from "./reconcile/donor.ts";
import type { Fetcher } from "./reconcile/fetcher.ts";
import type { Puller } from "./reconcile/puller.ts";
import type { Confirmations } from "./stream/confirmations.ts";
import type { OutgoingStream } from "./stream/outgoing-stream.ts";
import type { Pacer } from "./stream/pacer.ts";

/** How deltas leave. */
export function pacingReport(
  { rate, rateMax, limitedMs }: Pacer,
  { oldestDirty, dirtyRecords }: OutgoingStream,
  wallMs: number,
): Record<string, number> {
  const lagMs = oldestDirty === undefined ? 0 : Math.max(0, wallMs - stampWallMs(oldestDirty));
  return {
    rateBytesPerSecond: Math.round(rate),
    rateBytesPerSecondMax: rateMax,
    /** For how long something has waited for the rate, in all. */
    limitedMs: Math.round(limitedMs),
    dirtyRecords,
    /** For how long the change that waits longest has. */
    lagMs: Math.round(lagMs),
  };
}

interface Buffering {
  readonly outgoing: OutgoingStream;
  readonly donor: Donor;
  readonly puller: Puller;
  readonly confirmations: Confirmations;
  readonly fetcher: Fetcher;
}

/** Sizes of what waits: of peers' data for the rest of it, of this node's for peers. */
export function bufferReport(
  peers: PeerTable,
  { outgoing, donor, puller, confirmations, fetcher }: Buffering,
): Record<string, number> {
  let missingSequences = 0;
  let reassemblyBytes = 0;
  let reassemblyMessages = 0;
  for (const peer of peers.all()) {
    missingSequences += peer.incoming.missingCount;
    reassemblyBytes += peer.reassembly.bytes;
    reassemblyMessages += peer.reassembly.messages;
  }
  return {
    missingSequences,
    reassemblyBytes,
    reassemblyMessages,
    repairRingBytes: outgoing.ringBytes,
    repairRingDatagrams: outgoing.ringDatagrams,
    outgoingTransfers: donor.transferCount,
    incomingTransfers: puller.transferCount,
    chunksAhead: puller.chunksAhead,
    rangesWaiting: puller.rangesWaiting,
    confirmations: confirmations.size,
    fetches: fetcher.waiting,
    fetchWaiters: fetcher.waiters,
    absences: fetcher.absent,
  };
}
