import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { Counters } from "../../src/core/counters.ts";
import type { Peer } from "../../src/core/membership/peer.ts";
import { PeerTable } from "../../src/core/membership/peer-table.ts";
import { type BootId, type Heartbeat, type Phase, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { onlyOf, RecordingOutbox } from "../support/recording-outbox.ts";

/** Boot ids begin with the time of the start, so a later start has a greater one. */
function bootAt(start: number): BootId {
  return start.toString(16).padStart(12, "0").padEnd(24, "0");
}

function heartbeat(name: string, phase: Phase = "ready"): Heartbeat {
  return {
    tag: Tag.heartbeat,
    name,
    phase,
    hello: false,
    sequence: 0,
    digest: { high: 1, low: 2 },
    count: 3,
    stubs: 4,
  };
}

class Table {
  readonly outbox = new RecordingOutbox();
  readonly counters = new Counters();
  readonly peers = new PeerTable(
    { boot: bootAt(1), name: "self" },
    new Prng(1),
    this.outbox,
    this.counters,
  );

  /** A heartbeat of this start of the named node arrives. Undefined: it was refused. */
  beat(name: string, start: number, nowMs: number, phase: Phase = "ready"): Peer | undefined {
    const peer = this.peers.hear(bootAt(start), `${name}:${start}`, nowMs);
    if (peer === undefined) return undefined;
    return this.peers.introduce(peer, heartbeat(name, phase)) ? peer : undefined;
  }

  get names(): string[] {
    return [...this.peers.all()].map(
      ({ name, boot }) => `${name} ${Number.parseInt(boot.slice(0, 12), 16)}`,
    );
  }

  get told(): string[] {
    return this.outbox.takeEvents().map((event) => event.event);
  }
}

test("a peer that introduces itself is up, with what it said of itself", () => {
  const table = new Table();
  const peer = table.beat("app-1", 100, 0);
  assert.deepEqual(table.told, ["peer_up"]);
  assert.equal(peer?.state, "up");
  assert.deepEqual([peer?.name, peer?.phase, peer?.count, peer?.stubs], ["app-1", "ready", 3, 4]);
  assert.deepEqual(peer?.digest, { high: 1, low: 2 });
  assert.equal(table.peers.get(bootAt(100)), peer);
});

test("a second heartbeat brings the peer's state up to date and tells nobody", () => {
  const table = new Table();
  const peer = table.beat("app-1", 100, 0, "joining");
  table.outbox.takeEvents();
  assert.equal(table.beat("app-1", 100, 500), peer);
  assert.deepEqual([peer?.phase, peer?.lastHeardMs], ["ready", 500]);
  assert.deepEqual(table.told, []);
});

test("a peer is found at the address that it last spoke from", () => {
  const table = new Table();
  const peer = table.peers.hear(bootAt(100), "host:1", 0);
  table.peers.hear(bootAt(100), "host:2", 1);
  assert.equal(peer?.address, "host:2");
});

test("a silent peer is pinged several times and then counts as down", () => {
  const table = new Table();
  const peer = table.beat("app-1", 100, 0);
  const pings: number[] = [];
  let downAtMs = 0;
  for (let spins = 0; downAtMs === 0 && spins < 100; spins++) {
    const nowMs = table.peers.dueMs;
    table.peers.tick(nowMs);
    for (const { to, frames } of table.outbox.takeSent()) {
      assert.equal(to, "app-1:100");
      assert.equal(onlyOf(frames).tag, Tag.ping);
      pings.push(nowMs);
    }
    if (peer?.state === "down") downAtMs = nowMs;
  }
  assert.deepEqual(pings, [900, 1_200, 1_500, 1_800, 2_100, 2_400, 2_700]);
  assert.equal(downAtMs, limits.downAfterMs);
  assert.deepEqual(table.told, ["peer_up", "peer_down"]);
  assert.equal(table.counters.membership.pingsSent, pings.length);
});

test("any datagram of a peer is a sign of life and puts the pings off", () => {
  const table = new Table();
  table.beat("app-1", 100, 0);
  table.peers.hear(bootAt(100), "app-1:100", 800);
  table.peers.tick(1_600);
  assert.deepEqual(table.outbox.sent, []);
  assert.equal(table.peers.dueMs, 800 + limits.pingAfterMs);
});

test("a peer that was down and is heard again is up again", () => {
  const table = new Table();
  const peer = table.beat("app-1", 100, 0);
  table.peers.tick(limits.downAfterMs);
  table.peers.hear(bootAt(100), "app-1:100", 9_000);
  assert.equal(peer?.state, "up");
  assert.deepEqual(table.told, ["peer_up", "peer_down", "peer_up"]);
});

test("a peer that went down is no longer compared by its digest", () => {
  const table = new Table();
  const peer = table.beat("app-1", 100, 0);
  assert(peer !== undefined);
  peer.mismatchSinceMs = 5;
  table.peers.tick(limits.downAfterMs);
  assert.equal(peer.mismatchSinceMs, Number.POSITIVE_INFINITY);
});

test("a peer that says good-bye has left, is told once, and is neither pinged nor down", () => {
  const table = new Table();
  const peer = table.beat("app-1", 100, 0);
  assert(peer !== undefined);
  for (let times = 0; times < 3; times++) table.peers.leave(peer);
  table.peers.tick(10_000);
  assert.equal(peer.state, "left");
  assert.deepEqual(table.outbox.sent, []);
  assert.deepEqual(table.told, ["peer_up", "peer_left"]);
});

test("one that is down is forgotten after an hour", () => {
  const table = new Table();
  table.beat("app-1", 100, 0);
  table.peers.tick(limits.downAfterMs);
  table.beat("app-2", 101, limits.peerForgetMs - 1);
  table.peers.tick(limits.peerForgetMs - 1);
  assert.deepEqual(table.names, ["app-1 100", "app-2 101"]);
  table.peers.tick(limits.peerForgetMs);
  assert.deepEqual(table.names, ["app-2 101"]);
});

test("one that has left is forgotten after a minute", () => {
  const table = new Table();
  const gone = table.beat("app-1", 100, 0);
  assert(gone !== undefined);
  table.peers.leave(gone);
  assert.equal(table.peers.dueMs, limits.peerForgetLeftMs);
  table.peers.tick(limits.peerForgetLeftMs - 1);
  assert.deepEqual(table.names, ["app-1 100"]);
  table.peers.tick(limits.peerForgetLeftMs);
  assert.deepEqual(table.names, []);
});

test("one that has left and speaks on is up again, and is told", () => {
  const table = new Table();
  const peer = table.beat("app-1", 100, 0);
  assert(peer !== undefined);
  table.peers.leave(peer);
  table.beat("app-1", 100, 10, "leaving");
  assert.equal(peer.state, "left");
  table.beat("app-1", 100, 20);
  assert.equal(peer.state, "up");
  assert.deepEqual(table.told, ["peer_up", "peer_left", "peer_up"]);
});

test("a restarted peer replaces its former self at once", () => {
  const table = new Table();
  table.beat("app-1", 100, 0);
  assert.equal(table.beat("app-1", 200, 10)?.state, "up");
  assert.deepEqual(table.names, ["app-1 200"]);
  assert.deepEqual(table.told, ["peer_up", "peer_restarted"]);
});

test("late datagrams of a former start are refused while the newer is up", () => {
  const table = new Table();
  table.beat("app-1", 100, 0);
  table.beat("app-1", 200, 10);
  assert.equal(table.beat("app-1", 100, 20), undefined);
  assert.equal(table.counters.membership.staleBoots, 1);
  assert.deepEqual(table.names, ["app-1 200"]);
});

test("an older start that is heard for the first time is refused while the newer is up", () => {
  const table = new Table();
  table.beat("app-1", 200, 0);
  assert.equal(table.beat("app-1", 100, 10), undefined);
  assert.equal(table.beat("app-1", 100, 20), undefined);
  assert.deepEqual(table.names, ["app-1 200"]);
  assert.equal(table.counters.membership.staleBoots, 1);
});

test("an older start is heard again once the newer is down: clocks may go back", () => {
  const table = new Table();
  table.beat("app-1", 200, 0);
  table.beat("app-1", 100, 10);
  table.peers.tick(limits.downAfterMs);
  assert.equal(table.beat("app-1", 100, limits.downAfterMs + 1)?.state, "up");
  assert.deepEqual(table.names, ["app-1 100"]);
  assert.deepEqual(table.told, ["peer_up", "peer_down", "peer_restarted"]);
});

test("a peer that left and starts again is up as a new start", () => {
  const table = new Table();
  const former = table.beat("app-1", 100, 0);
  assert(former !== undefined);
  table.peers.leave(former);
  assert.equal(table.beat("app-1", 200, 10)?.state, "up");
  assert.deepEqual(table.names, ["app-1 200"]);
});

test("another node under this node's own name is told once, and still heard", () => {
  const table = new Table();
  assert.notEqual(table.beat("self", 100, 0), undefined);
  table.beat("self", 100, 1_000);
  assert.deepEqual(table.told, ["name_taken"]);
  assert.equal(table.counters.membership.namesTaken, 1);
});

test("the table is bounded: one peer too many is refused and counted", () => {
  const table = new Table();
  for (let number = 0; number < limits.peersMax; number++) {
    assert.notEqual(table.beat(`app-${number}`, 100 + number, 0), undefined);
  }
  assert.equal(table.beat("late", 9_999, 0), undefined);
  assert.equal(table.counters.membership.tableFull, 1);
  assert.equal(table.names.length, limits.peersMax);
  assert.notEqual(table.beat("app-7", 107, 1), undefined, "those who are in are heard");
});

test("in a full table a newcomer takes the place of the one that is gone longest", () => {
  const table = new Table();
  for (let number = 0; number < limits.peersMax; number++) {
    table.beat(`app-${number}`, 100 + number, number);
  }
  table.peers.tick(limits.downAfterMs + 5);
  assert.notEqual(table.beat("late", 9_999, limits.downAfterMs + 6), undefined);
  assert.equal(table.counters.membership.tableFull, 0);
  assert.equal(table.names.length, limits.peersMax);
  assert.equal(table.names.includes("app-0 100"), false);
  assert.equal(table.names.includes("app-1 101"), true);
});

test("starts that were replaced are remembered in a bounded number", () => {
  const table = new Table();
  for (let start = 1; start <= 3 * limits.peersMax; start++) table.beat("app-1", start, start);
  assert.deepEqual(table.names, [`app-1 ${3 * limits.peersMax}`]);
  assert.equal(table.beat("app-1", 3 * limits.peersMax - 1, 9_000), undefined);
});

test("a node that was stopped itself blames nobody, and finds out who is there", () => {
  const table = new Table();
  table.beat("app-1", 100, 0);
  table.peers.tick(0);
  table.outbox.takeSent();
  const awakeMs = 60_000;
  table.peers.tick(awakeMs);
  assert.deepEqual(table.told, ["peer_up"]);
  assert.equal(table.outbox.framesOf(Tag.ping).length, 1, "pinged at once");
  for (let nowMs = awakeMs; nowMs < awakeMs + limits.downAfterMs; nowMs += 100) {
    table.peers.tick(nowMs);
    assert.deepEqual(table.told, []);
  }
  table.peers.tick(awakeMs + limits.downAfterMs);
  assert.deepEqual(table.told, ["peer_down"], "silence after that counts");
});
