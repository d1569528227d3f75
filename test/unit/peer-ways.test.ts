import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { Peer, type PeerState } from "../../src/core/membership/peer.ts";
import type { PathFault } from "../../src/core/membership/ways.ts";
import { describeWays, pathWarnings } from "../../src/daemon/peer-ways.ts";

const words: Readonly<Record<PathFault, string>> = {
  never_any: "no multicast arrives here at all: wrong interface, a firewall, or the TTL",
  stopped: "multicast arrived and stopped: IGMP or MLD snooping in a switch without a querier",
  not_this_peer: "only this peer's multicast does not arrive: the TTL, or routing in between",
};
const faults = Object.keys(words) as PathFault[];

function peer(name: string, fault?: PathFault, state: PeerState = "up"): Peer {
  const made = new Peer("00".repeat(12), "10.0.0.1:1", 0, new Prng(1));
  made.name = name;
  made.state = state;
  made.ways.fault = fault;
  return made;
}

for (const fault of faults) {
  test(`a peer's multicast does not arrive (${fault}): what to look at is shown with it`, () => {
    assert.deepEqual(describeWays(peer("app-1", fault), 0), {
      multicast: false,
      multicastFault: words[fault],
      getsCopies: false,
    });
    assert.deepEqual(pathWarnings([peer("app-1", fault)]), [
      `app-1: copies by unicast, since ${words[fault]}`,
    ]);
  });
}

test("where multicast arrives there is no reason to show and nothing to warn of", () => {
  const well = peer("app-1");
  assert.deepEqual(describeWays(well, 0), {
    multicast: true,
    multicastFault: undefined,
    getsCopies: false,
  });
  assert.deepEqual(pathWarnings([well]), []);
});

test("a peer gets copies until its lease ends", () => {
  const asker = peer("app-1");
  asker.ways.copiesUntilMs = 10_000;
  assert.equal(describeWays(asker, 9_999).getsCopies, true);
  assert.equal(describeWays(asker, 10_000).getsCopies, false);
});

test("peers of one fault share a warning, and who is not there is in none", () => {
  const peers = [
    peer("app-1", "stopped"),
    peer("app-2", "not_this_peer"),
    peer("app-3", "stopped"),
    peer("app-4", "stopped", "down"),
    peer("app-5", "never_any", "left"),
  ];
  assert.deepEqual(pathWarnings(peers), [
    `app-1, app-3: copies by unicast, since ${words.stopped}`,
    `app-2: copies by unicast, since ${words.not_this_peer}`,
  ]);
});
