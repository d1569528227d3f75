import type { Peer } from "../../src/core/membership/peer.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampWallMs } from "../../src/session/stamp.ts";
import type { SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";

/** Everything that a node buffers, within its limit: held after every turn of every node. */
export function checkBounds(node: SimNode): void {
  const { life } = node;
  if (life === undefined) return;
  const { replica } = life;
  const { store, buffers } = replica;
  let peers = 0;
  for (const peer of replica.peers.all()) {
    peers += 1;
    below(node, "missing numbers", peer.incoming.missingCount, limits.gapAheadMax);
    below(node, "octets in reassembly", peer.reassembly.bytes, limits.reassemblyBytesMax);
    below(node, "blocks in reassembly", peer.reassembly.messages, limits.reassemblyMessagesMax);
    below(node, "nodes that ask for a peer", peer.doubts.askers.size, limits.vouchAskersMax);
  }
  below(node, "peers", peers, limits.peersMax);
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
  below(node, "octets in the repair ring", repairRingBytes, limits.repairRingBytesMax);
  below(node, "datagrams in the repair ring", repairRingDatagrams, limits.repairRingDatagramsMax);
  below(node, "transfers out", outgoingTransfers, limits.transferOutgoingMax);
  // As many for a join as for all else.
  below(node, "transfers in", incomingTransfers, 2 * limits.transferIncomingMax);
  below(node, "chunks ahead", chunksAhead, incomingTransfers * limits.transferWindowChunks);
  below(node, "ranges to be pulled", rangesWaiting, limits.rangesWaitingMax);
  below(node, "writes that wait for peers", confirmations, limits.confirmationsMax);
  below(node, "sessions asked for", fetches, limits.fetchesMax);
  below(node, "requests that wait for them", fetchWaiters, fetches * limits.fetchWaitersMax);
  below(node, "sessions known to be absent", absences, limits.absencesMax);
  const { count, bytes, tombstones, stubs } = node.capacity;
  // Those that were evicted meanwhile are cleared out when it has doubled.
  const { dirtyRecords = 0 } = replica.pacing(0);
  const dirtyMax = Math.max(limits.dirtyRecordsMin, 2 * (count + tombstones));
  below(node, "records to be sent", dirtyRecords, dirtyMax);
  below(node, "octets of sessions", store.bytes, bytes);
  below(node, "sessions", store.recordCount - store.tombstoneCount, count);
  below(node, "stubs", store.stubs.size, stubs);
  below(node, "tombstones", store.tombstoneCount, tombstones);
}

/**
 * A clock that was never wrong is never dragged further than it may be. Whole milliseconds: a stamp
 * has counted beyond its own when many were issued in one.
 */
export function checkClock(node: SimNode, wallMs: number): void {
  const { life, tainted } = node;
  if (life === undefined || tainted) return;
  const aheadMs = stampWallMs(life.replica.clockTime) - wallMs;
  const fact = () => `${node.label} is ${aheadMs} ms ahead of its own clock`;
  hold(aheadMs <= limits.clockDriftMsMax + 1, "clocks-are-not-dragged", fact);
}

/** A name is up once: a start of a node replaces the one before. */
export class NameWatch {
  /** The peers that were up, and their names, when all names were last seen to differ. */
  readonly #held: { readonly peer: Peer; name: string }[] = [];

  /** Nearly always nothing has changed since the turn before, and names need not be compared. */
  check(node: SimNode): void {
    const { life } = node;
    if (life === undefined) return;
    let up = 0;
    let same = true;
    for (const peer of life.replica.peers.all()) {
      const { name, state } = peer;
      if (state !== "up") continue;
      const held = this.#held[up];
      if (held?.peer === peer && held.name === name) {
        // Each heartbeat brings a copy of the name, and one string is soonest compared with itself.
        held.name = name;
      } else {
        same = false;
        this.#held[up] = { peer, name };
      }
      up += 1;
    }
    if (same && up === this.#held.length) return;
    this.#held.length = up;
    const names = new Set([node.name]);
    for (const { name } of this.#held) {
      hold(!names.has(name), "one-start-of-a-name", () => `${node.label} has ${name} up twice`);
      names.add(name);
    }
  }
}

function below(node: SimNode, what: string, value: number, max: number): void {
  hold(value >= 0 && value <= max, "buffers-are-bounded", () => {
    return `${node.label} has ${value} ${what}, ${max} at most`;
  });
}
