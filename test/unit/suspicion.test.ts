import assert from "node:assert/strict";
import { test } from "node:test";
import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { bootAt, Neighbours } from "../support/neighbours.ts";
import { onlyOf } from "../support/recording-outbox.ts";

/** Ticks when there is something to do, and no more, until then; others go on being heard. */
function pass(node: Neighbours, fromMs: number, untilMs: number, others: readonly number[] = []) {
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += 100) {
    for (const start of others) node.beat(`app-${start}`, start, nowMs);
    node.suspicion.tick(nowMs);
  }
}

function sentTo(node: Neighbours, to: string | undefined): Frame[] {
  return node.outbox.sent.filter((sent) => sent.to === to).flatMap(({ frames }) => frames);
}

test("a silent peer is pinged several times, suspected, and then down", () => {
  const node = new Neighbours();
  const peer = node.beat("app-1", 100, 0);
  const pings: number[] = [];
  const suspects: number[] = [];
  let downAtMs = 0;
  for (let spins = 0; downAtMs === 0 && spins < 100; spins++) {
    const nowMs = node.suspicion.dueMs;
    node.suspicion.tick(nowMs);
    for (const { to, frames } of node.outbox.takeSent()) {
      const frame = onlyOf(frames);
      if (frame.tag === Tag.ping) pings.push(nowMs);
      else if (frame.tag === Tag.suspect && to === undefined) suspects.push(nowMs);
      else assert.fail(`sent ${frame.tag} to ${to}`);
    }
    if (peer.state === "down") downAtMs = nowMs;
  }
  assert.deepEqual(pings, [900, 1_200, 1_500, 1_800, 2_100, 2_400, 2_700]);
  assert.deepEqual(suspects, [1_500, 1_900, 2_300, 2_700]);
  assert.equal(downAtMs, limits.downAfterMs);
  assert.deepEqual(node.told, ["peer_up", "peer_suspected", "peer_down"]);
  const { pingsSent, suspicions } = node.counters.membership;
  assert.deepEqual([pingsSent, suspicions], [pings.length, 1]);
});

test("any datagram of a peer is a sign of life and puts the pings off", () => {
  const node = new Neighbours();
  node.beat("app-1", 100, 0);
  node.peers.hear(bootAt(100), "app-1:100", 800);
  node.suspicion.tick(1_600);
  assert.deepEqual(node.outbox.sent, []);
  assert.equal(node.suspicion.dueMs, 800 + limits.pingAfterMs);
});

test("a suspected peer that is heard again is suspected no more", () => {
  const node = new Neighbours();
  const peer = node.beat("app-1", 100, 0);
  pass(node, 100, 2_000);
  assert.equal(peer.doubts.suspected, true);
  node.beat("app-1", 100, 2_050);
  assert.equal(peer.doubts.suspected, false);
  assert.deepEqual(node.told, ["peer_up", "peer_suspected", "peer_heard_again"]);
});

test("who is suspected refutes it to the group and to the one who said so", () => {
  const node = new Neighbours();
  const peer = node.beat("app-1", 100, 0);
  const suspect = { tag: Tag.suspect, boot: bootAt(1) };
  node.suspicion.onSuspect(peer, suspect, 10);
  assert.equal(onlyOf(sentTo(node, undefined)).tag, Tag.heartbeat);
  assert.equal(onlyOf(sentTo(node, "app-1:100")).tag, Tag.heartbeat);
  node.suspicion.onSuspect(peer, suspect, 11);
  assert.equal(node.outbox.sent.length, 2, "many who say so at once get one answer");
  node.suspicion.onSuspect(peer, suspect, 10 + limits.refuteEveryMs);
  assert.equal(node.counters.membership.refutations, 2);
});

test("what another has just told the group is not told again", () => {
  const node = new Neighbours();
  node.beat("app-1", 100, 0);
  const other = node.beat("app-2", 200, 0);
  node.suspicion.onSuspect(other, { tag: Tag.suspect, boot: bootAt(100) }, 1_450);
  pass(node, 100, 1_600, [200]);
  assert.deepEqual(node.outbox.framesOf(Tag.suspect), []);
  pass(node, 1_700, 2_000, [200]);
  assert.equal(node.outbox.framesOf(Tag.suspect).length, 1);
});

test("some others are asked about a suspected peer, and one who vouches keeps it up", () => {
  const node = new Neighbours();
  const peer = node.beat("app-1", 100, 0);
  const others = [201, 202, 203, 204, 205];
  pass(node, 0, 1_500, others);
  const requests = node.outbox.framesOf(Tag.pingRequest);
  assert.equal(requests.length, limits.vouchersMax);
  const [request] = requests;
  assert(request?.boot === bootAt(100));
  const voucher = node.beat("app-201", 201, 1_550);
  const vouch = { tag: Tag.vouch, nonce: request.nonce, boot: request.boot };
  node.suspicion.onVouch(voucher, { ...vouch, nonce: request.nonce + 1 }, 1_560);
  assert.equal(peer.doubts.vouchedMs, Number.NEGATIVE_INFINITY, "it answers another question");
  node.suspicion.onVouch(voucher, vouch, 2_700);
  pass(node, 2_700, 2_700 + limits.vouchForMs - 100, others);
  assert.equal(peer.state, "up");
  pass(node, 2_700 + limits.vouchForMs, 2_700 + limits.vouchForMs, others);
  assert.equal(peer.state, "down", "nobody has vouched since");
  assert.equal(node.told.filter((event) => event === "peer_vouched").length, 1);
});

test("a vouch that nobody asked for does not count", () => {
  const node = new Neighbours();
  const peer = node.beat("app-1", 100, 0);
  const voucher = node.beat("app-2", 200, 0);
  node.suspicion.onVouch(voucher, { tag: Tag.vouch, nonce: 0, boot: bootAt(100) }, 10);
  assert.equal(peer.doubts.vouchedMs, Number.NEGATIVE_INFINITY);
});

test("who hears the peer vouches for it at once", () => {
  const node = new Neighbours();
  node.beat("app-1", 100, 1_000);
  const asker = node.beat("app-2", 200, 1_000);
  const request = { tag: Tag.pingRequest, nonce: 7, boot: bootAt(100) };
  node.suspicion.onPingRequest(asker, request, 1_100);
  assert.deepEqual(sentTo(node, "app-2:200"), [{ tag: Tag.vouch, nonce: 7, boot: bootAt(100) }]);
});

test("who does not pings it, and vouches once it answers", () => {
  const node = new Neighbours();
  node.beat("app-1", 100, 0);
  const asker = node.beat("app-2", 200, 1_000);
  const request = { tag: Tag.pingRequest, nonce: 7, boot: bootAt(100) };
  node.suspicion.onPingRequest(asker, request, 1_000);
  assert.equal(onlyOf(sentTo(node, "app-1:100")).tag, Tag.ping);
  assert.deepEqual(sentTo(node, "app-2:200"), []);
  node.beat("app-1", 100, 1_100);
  assert.deepEqual(sentTo(node, "app-2:200"), [{ tag: Tag.vouch, nonce: 7, boot: bootAt(100) }]);
  node.beat("app-1", 100, 1_200);
  assert.equal(node.outbox.framesOf(Tag.vouch).length, 1, "once for each question");
});

test("questions about strangers, of strangers, and too many are refused and counted", () => {
  const node = new Neighbours();
  node.beat("app-1", 100, 0);
  const request = { tag: Tag.pingRequest, nonce: 7, boot: bootAt(100) };
  const stranger = node.peers.hear(bootAt(300), "nobody:1", 2_000);
  assert(stranger !== undefined);
  node.suspicion.onPingRequest(stranger, request, 2_000);
  const known = node.beat("app-2", 200, 2_000);
  node.suspicion.onPingRequest(known, { ...request, boot: bootAt(999) }, 2_000);
  assert.equal(node.counters.membership.requestsRefused, 2);
  for (let start = 1_000; start <= 1_000 + limits.vouchAskersMax; start++) {
    node.suspicion.onPingRequest(node.beat(`app-${start}`, start, 2_000), request, 2_000);
  }
  assert.equal(node.counters.membership.requestsRefused, 3);
});

test("a node that hears none of several peers takes its time before it blames them", () => {
  const node = new Neighbours();
  const peers = [node.beat("app-1", 100, 0), node.beat("app-2", 200, 0)];
  pass(node, 100, limits.isolatedDownAfterMs - 100);
  assert.deepEqual(
    peers.map(({ state }) => state),
    ["up", "up"],
  );
  assert.equal(node.suspicion.isolated, true);
  assert.equal(node.told.filter((event) => event === "isolated").length, 1);
  node.suspicion.tick(limits.isolatedDownAfterMs);
  assert.deepEqual(
    peers.map(({ state }) => state),
    ["down", "down"],
    "but not for ever",
  );
  node.beat("app-1", 100, 20_000);
  node.beat("app-1", 100, 20_100);
  assert.equal(node.suspicion.isolated, false);
  assert.equal(node.told.at(-1), "isolation_over");
});

test("whoever is heard first after an isolation does not make the others dead", () => {
  const node = new Neighbours();
  const late = node.beat("app-1", 100, 0);
  node.beat("app-2", 200, 0);
  pass(node, 100, 5_000);
  assert.equal(node.suspicion.isolated, true);
  pass(node, 5_100, 6_000, [200]);
  assert.equal(node.suspicion.isolated, false);
  assert.equal(late.state, "up", "its silence counts from now on");
  pass(node, 6_100, 8_000, [200]);
  assert.equal(late.state, "down");
});

test("one that still hears somebody is not isolated", () => {
  const node = new Neighbours();
  const peer = node.beat("app-1", 100, 0);
  node.beat("app-2", 200, 0);
  pass(node, 0, limits.downAfterMs, [300]);
  assert.equal(peer.state, "down");
  assert.equal(node.suspicion.isolated, false);
});

test("a node that was stopped itself blames nobody, and finds out who is there", () => {
  const node = new Neighbours();
  node.beat("app-1", 100, 0);
  node.suspicion.tick(0);
  node.outbox.takeSent();
  const awakeMs = 60_000;
  node.suspicion.tick(awakeMs);
  assert.deepEqual(node.told, ["peer_up"]);
  assert.equal(node.outbox.framesOf(Tag.ping).length, 1, "pinged at once");
  pass(node, awakeMs, awakeMs + limits.downAfterMs - 100);
  assert.deepEqual(node.told, ["peer_suspected"]);
  node.suspicion.tick(awakeMs + limits.downAfterMs);
  assert.deepEqual(node.told, ["peer_down"], "silence after that counts");
});
