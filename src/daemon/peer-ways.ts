import type { Peer } from "../core/membership/peer.ts";
import type { PathFault } from "../core/membership/ways.ts";

/** What an operator should look at when a peer's multicast does not arrive, likeliest first. */
export const pathFaultWords: Readonly<Record<PathFault, string>> = {
  never_any: "no multicast arrives here at all: wrong interface, a firewall, or the TTL",
  stopped: "multicast arrived and stopped: IGMP or MLD snooping in a switch without a querier",
  not_this_peer: "only this peer's multicast does not arrive: the TTL, or routing in between",
};

/** By which ways a peer and this node reach each other. */
export function describeWays({ ways }: Peer, nowMs: number): Record<string, unknown> {
  return {
    /** Whether its multicast arrives here; if not, it is asked for copies by unicast. */
    multicast: ways.fault === undefined,
    multicastFault: ways.fault === undefined ? undefined : pathFaultWords[ways.fault],
    /** Whether it asked this node for copies. */
    getsCopies: nowMs < ways.copiesUntilMs,
  };
}

/** One line for each fault, with the peers that it concerns. */
export function pathWarnings(peers: Iterable<Peer>): string[] {
  const names = new Map<PathFault, string[]>();
  for (const { ways, state, name } of peers) {
    if (ways.fault === undefined || state !== "up") continue;
    names.set(ways.fault, [...(names.get(ways.fault) ?? []), name]);
  }
  return [...names].map(
    ([fault, of]) => `${of.join(", ")}: copies by unicast, since ${pathFaultWords[fault]}`,
  );
}
