import assert from "node:assert/strict";
import { test } from "node:test";
import type { Peer } from "../../src/core/membership/peer.ts";
import { type BootId, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { bootAt, heartbeatOf, Neighbours } from "../support/neighbours.ts";
import { onlyOf } from "../support/recording-outbox.ts";

/** What a former start of a node is called here: it still speaks, but answers nothing. */
function late(table: Neighbours, name: string, start: number, nowMs: number): Peer {
  const peer = table.peers.hear(bootAt(start), `${name}:${start}`, nowMs);
  assert(peer !== undefined);
  table.peers.introduce(peer, heartbeatOf(name), nowMs);
  return peer;
}

function proofsAsked(table: Neighbours, nowMs: number): { to: string; nonce: number }[] {
  table.outbox.takeSent();
  table.peers.tick(nowMs);
  return table.outbox.takeSent().map(({ to, frames }) => {
    const ping = onlyOf(frames);
    assert(ping.tag === Tag.ping && to !== undefined);
    return { to, nonce: ping.nonce };
  });
}

test("who says its name and answers a ping is up, with what it said of itself", () => {
  const table = new Neighbours();
  const peer = late(table, "app-1", 100, 0);
  assert.equal(peer.state, "unproven");
  assert.deepEqual(table.told, [], "nobody is told of one that may be dead");
  const { to, nonce } = onlyOf(proofsAsked(table, 0));
  assert.equal(to, "app-1:100");
  table.peers.onAck(peer, nonce, 0);
  assert.equal(peer.state, "up");
  assert.deepEqual(table.told, ["peer_up"]);
  assert.deepEqual([peer.name, peer.phase, peer.count, peer.stubs], ["app-1", "ready", 3, 4]);
  assert.deepEqual(peer.digest, { high: 1, low: 2 });
  assert.equal(table.peers.get(bootAt(100)), peer);
});

test("who has not said its name is asked for nothing until it does", () => {
  const table = new Neighbours();
  const peer = table.peers.hear(bootAt(100), "app-1:100", 0);
  assert(peer !== undefined);
  assert.deepEqual(proofsAsked(table, 0), []);
  assert.equal(table.peers.onAck(peer, peer.challenge, 0), false);
  assert.equal(peer.state, "unproven", "that may be late, and it dead when its name comes");
  table.peers.introduce(peer, heartbeatOf("app-1"), 1);
  assert.equal(table.peers.onAck(peer, onlyOf(proofsAsked(table, 1)).nonce, 1), true);
  assert.equal(peer.state, "up");
});

test("the answer to another ping proves nothing", () => {
  const table = new Neighbours();
  const peer = late(table, "app-1", 100, 0);
  const { nonce } = onlyOf(proofsAsked(table, 0));
  table.peers.onAck(peer, nonce + 1, 0);
  assert.equal(peer.state, "unproven");
  assert.equal(table.counters.guard.badProofs, 1);
});

test("a known peer is asked for proof when it speaks, and not more often than so", () => {
  const table = new Neighbours();
  table.peers.markDown(table.beat("app-1", 100, 0));
  assert.deepEqual(proofsAsked(table, 1_000), [], "the silent are left alone");
  late(table, "app-1", 100, 5_000);
  const { nonce } = onlyOf(proofsAsked(table, 5_000));
  late(table, "app-1", 100, 5_001);
  assert.deepEqual(proofsAsked(table, 5_001), []);
  assert.equal(table.peers.dueMs, 5_000 + limits.proveEveryMs);
  const again = onlyOf(proofsAsked(table, 5_000 + limits.proveEveryMs));
  assert.equal(again.nonce, nonce, "the first answer counts still");
  for (const nowMs of [9_000, 9_900]) assert.equal(proofsAsked(table, nowMs).length, 1);
  assert.deepEqual(proofsAsked(table, 20_000), []);
  assert.equal(table.counters.membership.proofsAsked, 5, "with the one at its start");
});

test("each heartbeat of who is not up pays for three pings, at doubling pauses", () => {
  const table = new Neighbours();
  late(table, "app-1", 100, 0);
  const asked: number[] = [];
  for (let nowMs = 0; table.names.length > 0; nowMs = table.peers.dueMs) {
    if (proofsAsked(table, nowMs).length > 0) asked.push(nowMs);
  }
  assert.deepEqual(asked, [0, 100, 300]);
});

test("an answer that comes late, or from elsewhere, proves nothing", () => {
  const table = new Neighbours();
  const peer = late(table, "app-1", 100, 0);
  const { nonce } = onlyOf(proofsAsked(table, 0));
  assert.equal(table.peers.onAck(peer, nonce, limits.freshMs + 1), false);
  table.peers.hear(bootAt(100), "elsewhere:1", 5);
  assert.equal(table.peers.onAck(peer, nonce, 5), false);
  assert.equal(table.counters.guard.badProofs, 2);
  table.peers.hear(bootAt(100), "app-1:100", 6);
  assert.equal(table.peers.onAck(peer, nonce, 6), true);
});

test("a nonce is drawn anew after a while, so that none can be answered late", () => {
  const table = new Neighbours();
  const peer = late(table, "app-1", 100, 0);
  const { nonce } = onlyOf(proofsAsked(table, 0));
  late(table, "app-1", 100, limits.freshMs - 1);
  assert.equal(onlyOf(proofsAsked(table, limits.freshMs - 1)).nonce, nonce);
  late(table, "app-1", 100, limits.freshMs + 100);
  const next = onlyOf(proofsAsked(table, limits.freshMs + 100)).nonce;
  assert.notEqual(next, nonce);
  assert.equal(table.peers.onAck(peer, nonce, limits.freshMs + 101), false);
  assert.equal(table.peers.onAck(peer, next, limits.freshMs + 101), true);
});

test("one that goes while a new start of its name comes is heard to the end, and is not up", () => {
  const table = new Neighbours();
  const former = table.beat("app-1", 100, 0, "leaving");
  assert.equal(former.state, "unproven", "one that was never up stays unheard");
  const old = table.beat("app-2", 101, 0);
  table.beat("app-2", 201, 10);
  assert.deepEqual([old.state, old.trusted], ["down", false]);
  table.beat("app-2", 101, 100, "leaving");
  assert.deepEqual([old.state, old.trusted], ["down", true]);
  table.peers.leave(old);
  assert.equal(old.trusted, false);
  assert.equal(former.trusted, false);
});

test("who never proves that it lives is forgotten soon", () => {
  const table = new Neighbours();
  late(table, "app-1", 100, 0);
  table.peers.tick(limits.peerForgetUnprovenMs - 1);
  assert.deepEqual(table.names, ["app-1 100"]);
  table.peers.tick(limits.peerForgetUnprovenMs);
  assert.deepEqual(table.names, []);
});

test("a second heartbeat brings the peer's state up to date and tells nobody", () => {
  const table = new Neighbours();
  const peer = table.beat("app-1", 100, 0, "joining");
  table.outbox.takeEvents();
  assert.equal(table.beat("app-1", 100, 500), peer);
  assert.deepEqual([peer.phase, peer.lastHeardMs], ["ready", 500]);
  assert.deepEqual(table.told, []);
});

test("a peer is found where it has answered, whoever sends its datagrams on", () => {
  const table = new Neighbours();
  const peer = table.beat("app-1", 100, 0);
  table.peers.hear(bootAt(100), "elsewhere:1", 1);
  assert.equal(peer.address, "app-1:100");
  table.peers.markDown(peer);
  table.peers.hear(bootAt(100), "elsewhere:1", 100);
  table.peers.introduce(peer, heartbeatOf("app-1"), 100);
  assert.equal(peer.address, "app-1:100");
  const { to, nonce } = onlyOf(proofsAsked(table, 100));
  assert.equal(to, "elsewhere:1");
  table.peers.onAck(peer, nonce, 100);
  assert.equal(peer.address, "elsewhere:1");
});

test("a peer that was down has to prove anew that it lives", () => {
  const table = new Neighbours();
  const peer = table.beat("app-1", 100, 0);
  const { challenge } = peer;
  table.peers.markDown(peer);
  late(table, "app-1", 100, 9_000);
  table.peers.onAck(peer, challenge, 9_000);
  assert.equal(peer.state, "down", "the answer of before does not count");
  table.peers.onAck(peer, onlyOf(proofsAsked(table, 9_000)).nonce, 9_000);
  assert.equal(peer.state, "up");
  assert.deepEqual(table.told, ["peer_up", "peer_down", "peer_up"]);
});

test("a peer that went down is no longer compared by its digest", () => {
  const table = new Neighbours();
  const peer = table.beat("app-1", 100, 0);
  peer.mismatchSinceMs = 5;
  table.peers.markDown(peer);
  assert.equal(peer.mismatchSinceMs, Number.POSITIVE_INFINITY);
});

test("a peer that says good-bye has left and is told once", () => {
  const table = new Neighbours();
  const peer = table.beat("app-1", 100, 0);
  for (let times = 0; times < 3; times++) table.peers.leave(peer);
  table.peers.tick(10_000);
  assert.equal(peer.state, "left");
  assert.deepEqual(table.outbox.sent, []);
  assert.deepEqual(table.told, ["peer_up", "peer_left"]);
});

test("one that is down is forgotten after an hour", () => {
  const table = new Neighbours();
  table.peers.markDown(table.beat("app-1", 100, 0));
  table.beat("app-2", 101, limits.peerForgetMs - 1);
  table.peers.tick(limits.peerForgetMs - 1);
  assert.deepEqual(table.names, ["app-1 100", "app-2 101"]);
  table.peers.tick(limits.peerForgetMs);
  assert.deepEqual(table.names, ["app-2 101"]);
});

test("one that has left is forgotten after a minute", () => {
  const table = new Neighbours();
  table.peers.leave(table.beat("app-1", 100, 0));
  table.peers.tick(200);
  assert.equal(table.peers.dueMs, limits.peerForgetLeftMs);
  table.peers.tick(limits.peerForgetLeftMs - 1);
  assert.deepEqual(table.names, ["app-1 100"]);
  table.peers.tick(limits.peerForgetLeftMs);
  assert.deepEqual(table.names, []);
});

test("one that has left and lives on is up again, and is told", () => {
  const table = new Neighbours();
  const peer = table.beat("app-1", 100, 0);
  table.peers.leave(peer);
  table.beat("app-1", 100, 100, "leaving");
  assert.equal(peer.state, "left");
  late(table, "app-1", 100, 200);
  assert.equal(peer.state, "left", "a late datagram from before says nothing");
  table.beat("app-1", 100, 300);
  assert.equal(peer.state, "up");
  assert.deepEqual(table.told, ["peer_up", "peer_left", "peer_up"]);
});

test("a restarted peer replaces its former self at once", () => {
  const table = new Neighbours();
  const former = table.beat("app-1", 100, 0);
  assert.equal(table.beat("app-1", 200, 10).state, "up");
  assert.equal(former.state, "down");
  assert.deepEqual(table.told, ["peer_up", "peer_restarted"]);
  table.peers.tick(limits.peerForgetUnprovenMs);
  assert.deepEqual(table.names, ["app-1 200"]);
});

test("late datagrams of a former start do not bring it back", () => {
  const table = new Neighbours();
  table.beat("app-1", 100, 0);
  table.beat("app-1", 200, 10);
  assert.equal(late(table, "app-1", 100, 20).state, "down");
  table.peers.tick(limits.peerForgetUnprovenMs + 20);
  assert.equal(late(table, "app-1", 100, 20_000).state, "unproven", "nor after it was forgotten");
  assert.deepEqual(table.told, ["peer_up", "peer_restarted"]);
});

test("which start is the present one does not hang on the clock that dated it", () => {
  const table = new Neighbours();
  const former = table.beat("app-1", 200, 0);
  assert.equal(table.beat("app-1", 100, 10).state, "up");
  assert.equal(former.state, "down");
});

test("two nodes of one name that both live are told, and both are heard", () => {
  const table = new Neighbours();
  const one = table.beat("app-1", 100, 0);
  const two = table.beat("app-1", 200, 100);
  table.beat("app-1", 100, 200);
  assert.deepEqual([one.state, two.state], ["up", "up"]);
  const events = table.outbox.takeEvents();
  assert.deepEqual(
    events.map(({ event }) => event),
    ["peer_up", "peer_restarted", "name_taken", "peer_up"],
  );
  assert.deepEqual(events[2], { event: "name_taken", peer: one.who, by: two.boot });
  for (let beats = 0; beats < 9; beats++) {
    table.beat("app-1", 100, 300 + beats);
    table.beat("app-1", 200, 300 + beats);
  }
  assert.deepEqual([one.state, two.state, table.told], ["up", "up", []], "and so it stays");
  assert.equal(table.counters.membership.namesTaken, 1);
});

test("another node under this node's own name is told once it proves that it lives", () => {
  const table = new Neighbours();
  late(table, "self", 100, 0);
  assert.deepEqual(table.told, [], "it may be a former start of this node");
  table.beat("self", 100, 1_000);
  table.beat("self", 100, 2_000);
  assert.deepEqual(table.told, ["name_taken", "peer_up"]);
  assert.equal(table.counters.membership.namesTaken, 1);
});

test("the table is bounded: one peer too many is refused and counted", () => {
  const table = new Neighbours();
  for (let number = 0; number < limits.peersMax; number++) {
    table.beat(`app-${number}`, 100 + number, 0);
  }
  assert.equal(table.peers.hear(bootAt(9_999), "late:1", 0), undefined);
  assert.equal(table.counters.membership.tableFull, 1);
  assert.equal(table.names.length, limits.peersMax);
  assert.equal(table.beat("app-7", 107, 1).state, "up", "those who are in are heard");
});

test("in a full table a newcomer takes the place of the one that was heard longest ago", () => {
  const table = new Neighbours();
  const peers: Peer[] = [];
  for (let number = 0; number < limits.peersMax; number++) {
    peers.push(table.beat(`app-${number}`, 100 + number, number));
  }
  for (const peer of peers) table.peers.markDown(peer);
  const boot: BootId = bootAt(9_999);
  assert.notEqual(table.peers.hear(boot, "late:1", 900), undefined);
  assert.equal(table.counters.membership.tableFull, 0);
  assert.equal(table.names.length, limits.peersMax);
  assert.equal(table.names.includes("app-0 100"), false);
  assert.equal(table.names.includes("app-1 101"), true);
});
