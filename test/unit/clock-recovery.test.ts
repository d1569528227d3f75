import assert from "node:assert/strict";
import { test } from "node:test";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampWallMs } from "../../src/session/stamp.ts";
import { LoneReplica, peerBoot, peerHeartbeat, startWallMs } from "../support/lone-replica.ts";

const byDefault = { idleMs: undefined, absoluteMs: undefined };
const value = [{ name: "a", value: "v" }];
const hour = 3_600_000;

function beat(lone: LoneReplica): void {
  lone.receive(peerHeartbeat({ wallMs: startWallMs + lone.nowMs + lone.peerAheadMs }));
  lone.pass(100);
}

/** A node that was an hour ahead, wrote, and was set right again; and a peer. */
function setRight(): LoneReplica {
  const lone = new LoneReplica();
  lone.aheadMs = hour;
  lone.settle();
  lone.replica.create("s", value, byDefault, lone.now);
  lone.replica.create("t", value, byDefault, lone.now);
  lone.replica.destroy("t", lone.now);
  lone.pass(20_000);
  lone.aheadMs = 0;
  return lone;
}

test("what was written in the future is given its time once the clock is right again", () => {
  const lone = setRight();
  beat(lone);
  const record = lone.replica.store.peek("s");
  assert(record !== undefined);
  // It was written at 600 ms; the clock was set right 20 s after that.
  assert.equal(stampWallMs(record.life.stamp.time), startWallMs + 600);
  assert.equal(record.expiry.idleDeadlineMs, startWallMs + 600 + 1_800_000);
  assert.equal(lone.replica.get("t", lone.now), undefined);
  assert.equal(lone.replica.store.peek("t")?.life.alive, false);
  assert(stampWallMs(lone.replica.clockTime) <= lone.now.wallMs, "and so is what comes next");
  const { recoveries, restamped } = lone.replica.counters.clock;
  assert.deepEqual([recoveries, restamped], [1, 2]);
  const events = lone.outbox.takeEvents().filter(({ event }) => event === "clock_recovered");
  assert.deepEqual(events, [{ event: "clock_recovered", aheadMs: hour, records: 2 }]);
});

test("what was written just before and just after what peers accept stays in its order", () => {
  const lone = new LoneReplica();
  const aheadMs = 2 * limits.clockDriftMsMax;
  lone.aheadMs = aheadMs;
  lone.settle();
  lone.replica.create("s", value, byDefault, lone.now);
  lone.pass(1);
  lone.replica.patch("s", [{ name: "a", value: "later" }], [], lone.now);
  const latest = lone.replica.clockTime;
  // Now the first stamp is the last that is accepted, and the second must not get before it.
  lone.nowMs += aheadMs - limits.clockDriftMsMax - 1;
  lone.aheadMs = 0;
  lone.receive(peerHeartbeat({ wallMs: lone.now.wallMs }));
  lone.tick();
  assert.equal(lone.replica.counters.clock.recoveries, 1);
  const record = lone.replica.store.peek("s");
  const [attribute] = record?.attributes ?? [];
  assert(record !== undefined && attribute !== undefined);
  assert(attribute.stamp.time > record.life.stamp.time, "the patch is later than the create");
  assert(attribute.stamp.time > latest, "it had to be moved on, by less than a millisecond");
  assert(lone.replica.clockTime >= attribute.stamp.time, "and what comes next is later still");
});

test("the digest follows", () => {
  const lone = setRight();
  const before = lone.replica.store.trie.root;
  beat(lone);
  const { root } = lone.replica.store.trie;
  assert.notDeepEqual(root, before);
  lone.outbox.takeSent();
  lone.pass(1_000);
  const [heartbeat] = lone.outbox.framesOf(Tag.heartbeat);
  assert.deepEqual(heartbeat?.digest, root);
});

test("peers that had nothing to gain from rounds with it have now", () => {
  const lone = setRight();
  lone.receive(peerHeartbeat({ wallMs: startWallMs + lone.nowMs }));
  const peer = lone.replica.peers.get(peerBoot);
  assert(peer !== undefined);
  [peer.roundPauseMs, peer.nextRoundMs] = [limits.roundEveryMsMax, lone.nowMs + 60_000];
  lone.tick();
  assert.equal(lone.replica.counters.clock.recoveries, 1);
  assert.deepEqual([peer.roundPauseMs, peer.nextRoundMs], [limits.roundEveryMs, 0]);
});

test("without a peer that shows the right time nothing is changed", () => {
  const lone = setRight();
  lone.pass(5_000);
  assert.equal(lone.replica.counters.clock.recoveries, 0);
});

test("a node whose clock was right and is set back changes nothing", () => {
  const lone = new LoneReplica();
  lone.settle();
  lone.replica.create("s", value, byDefault, lone.now);
  lone.pass(1_000);
  lone.aheadMs = -hour;
  beat(lone);
  assert.equal(lone.replica.counters.clock.recoveries, 0);
  const record = lone.replica.store.peek("s");
  assert.equal(stampWallMs(record?.life.stamp.time ?? 0), startWallMs + 600);
});

test("no stamp is issued a second time when real time comes to where the clock was", () => {
  const lone = setRight();
  lone.aheadMs = hour;
  const issued = new Set<number>();
  for (let writes = 0; writes < 50; writes++) {
    const { stamp } = lone.replica.set("u", value, byDefault, lone.now);
    issued.add(stamp?.time ?? 0);
  }
  lone.aheadMs = 0;
  beat(lone);
  assert.equal(lone.replica.counters.clock.recoveries, 1);
  lone.aheadMs = hour - 100;
  for (let writes = 0; writes < 50; writes++) {
    const { stamp } = lone.replica.set("u", value, byDefault, lone.now);
    assert.equal(issued.has(stamp?.time ?? 0), false);
  }
});
