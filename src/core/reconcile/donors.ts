import { limits } from "../../protocol/limits.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";

/**
 * Who can give the whole state, the ones with most first. A node with much less than another has
 * not all of it, whatever it says: it has evicted, or was alone for a time. It is asked all the
 * same when those with more fail.
 */
export function donorsAmong(peers: PeerTable): Peer[] {
  const donors = withRecords(peers).filter(({ phase }) => phase === "ready");
  donors.sort((left, right) => right.count - left.count);
  const fullest = donors.find(({ donorFailures }) => donorFailures === 0) ?? donors[0];
  const enough = ((fullest?.count ?? 0) * limits.donorSharePercent) / 100;
  return donors.filter(({ count }) => count >= enough);
}

/** Who has a part of the state, or had all of it and is about to go. */
export function partsAmong(peers: PeerTable): Peer[] {
  return withRecords(peers).filter(({ phase }) => phase !== "ready");
}

function withRecords(peers: PeerTable): Peer[] {
  return [...peers.all()].filter(({ state, count, stubs }) => state === "up" && count + stubs > 0);
}
