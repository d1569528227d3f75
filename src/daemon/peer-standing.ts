import type { Peer, PeerState } from "../core/membership/peer.ts";
import type { Replica } from "../core/replica.ts";

/** A peer's state as an operator sees it; what is up may be doubtful. */
export type Standing = PeerState | "suspected" | "vouched";

/** `vouched`: not heard here, but by others. */
export function standingOf({ state, doubts, lastHeardMs }: Peer): Standing {
  if (state !== "up" || !doubts.suspected) return state;
  return doubts.vouchedMs > lastHeardMs ? "vouched" : "suspected";
}

/** What is wrong with who is there, a line each. */
export function membershipWarnings(replica: Replica, ownName: string): string[] {
  const warnings: string[] = [];
  if (replica.isolated) warnings.push("no peer is heard: look at this node's own network");
  const up = [...replica.peers.all()].filter(({ state }) => state === "up");
  const names = [ownName, ...up.map(({ name }) => name)];
  const taken = new Set(names.filter((name, index) => names.indexOf(name) < index));
  for (const name of taken) {
    const addresses = up.filter((peer) => peer.name === name).map(({ address }) => address);
    const where = name === ownName ? [...addresses, "this node"] : addresses;
    warnings.push(`several nodes are named ${name}: ${where.join(", ")}`);
  }
  return [...warnings, ...retentionWarnings(replica, up)];
}

function retentionWarnings({ ownRetentionMs }: Replica, up: readonly Peer[]): string[] {
  const others = up.filter((peer) => peer.tombstoneRetentionMs !== ownRetentionMs);
  if (others.length === 0) return [];
  const theirs = others.map((peer) => `${peer.tombstoneRetentionMs} on ${peer.name}`).join(", ");
  return [
    `sessions.tombstoneRetentionMs is ${ownRetentionMs} here and ${theirs}: ` +
      "the longest counts; set it alike on all nodes",
  ];
}
