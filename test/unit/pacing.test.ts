import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Counters } from "../../src/core/counters.ts";
import type { StoredRecord } from "../../src/core/store/stored-record.ts";
import { Feedback } from "../../src/core/stream/feedback.ts";
import { OutgoingStream } from "../../src/core/stream/outgoing-stream.ts";
import { Pacer } from "../../src/core/stream/pacer.ts";
import { TokenBucket } from "../../src/core/stream/token-bucket.ts";
import { Tag } from "../../src/protocol/frames.ts";
import { fragmentBytesMax, limits } from "../../src/protocol/limits.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { LoneReplica, peerBoot, peerHeartbeat } from "../support/lone-replica.ts";
import { onlyOf, RecordingOutbox } from "../support/recording-outbox.ts";
import { storeWith } from "../support/store-model.ts";

const boot = "0".repeat(24);
const tag = 7;
const byDefault = { idleMs: undefined, absoluteMs: undefined };

/** A stream whose clock and network are the test's. */
class Paced {
  readonly outbox = new RecordingOutbox();
  readonly counters = new Counters();
  readonly store = storeWith();
  readonly pacer: Pacer;
  readonly stream: OutgoingStream;
  readonly #feedback = new Feedback();
  nowMs = 0;
  #time = 1_000_000_000_000;

  constructor(rateMax: number) {
    this.pacer = new Pacer(rateMax);
    const self = { boot, tag };
    this.stream = new OutgoingStream(self, deltaCodec, this.pacer, this.outbox, this.counters);
  }

  write(id: string, value = "v".repeat(1_000)): StoredRecord {
    this.#time += 1;
    const stamp = { time: this.#time, tag };
    const attributes = [{ name: "a", stamp, value }];
    const delta = { id, life: undefined, floor: undefined, attributes, expiry: undefined };
    const applied = this.store.apply(delta, 0);
    assert(applied !== undefined);
    this.stream.changed(applied.record, stamp);
    return applied.record;
  }

  writeMany(count: number): string[] {
    const ids = Array.from({ length: count }, (_, number) => `s${number}`);
    for (const id of ids) this.write(id);
    return ids;
  }

  /** Flushes whenever the stream asks for it, until the end of that time. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    while (this.stream.dueMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.stream.dueMs);
      this.stream.flush(this.nowMs);
    }
    this.nowMs = endMs;
  }

  repair(first: number, count: number): void {
    const requester = { address: "peer:1", feedback: this.#feedback };
    this.stream.repair({ tag: Tag.nak, boot, ranges: [{ first, count }] }, requester, this.nowMs);
  }

  get ids(): string[] {
    const blocks = this.outbox.framesOf(Tag.delta);
    return blocks.flatMap(({ block }) => deltaCodec.decode(block) ?? []).map(({ id }) => id);
  }

  /** Octets of numbered frames that have left. */
  get bytesSent(): number {
    return this.outbox.sent.reduce((sum, { frames }) => {
      const frame = onlyOf(frames);
      if (frame.tag === Tag.delta) return sum + frame.block.length + 64;
      return frame.tag === Tag.fragment ? sum + frame.bytes.length + 64 : sum;
    }, 0);
  }
}

test("a bucket gives what was saved up, then its rate, and takes debts into account", () => {
  const bucket = new TokenBucket();
  bucket.resize(10, 100, 0);
  assert.equal(bucket.isOpen(0), true);
  bucket.take(150, 0);
  assert.equal(bucket.isOpen(4), false);
  assert.equal(bucket.dueMs, 4 + 1.1);
  assert.equal(bucket.isOpen(bucket.dueMs), true);
  assert.equal(bucket.isOpen(1_000_000), true);
  bucket.take(100, 1_000_000);
  assert.equal(bucket.isOpen(1_000_000), false, "no more is saved up than it holds");
});

test("what is taken is not paid by time in which a full bucket saved up nothing", () => {
  const bucket = new TokenBucket();
  bucket.resize(10, 100, 0);
  bucket.take(150, 1_000);
  assert.equal(bucket.isOpen(1_000), false);
  assert.equal(bucket.dueMs, 1_000 + 5.1);
});

test("a lone write leaves at once", () => {
  const paced = new Paced(limits.rateBytesPerSecondMin);
  paced.write("s");
  assert.equal(paced.stream.dueMs, Number.NEGATIVE_INFINITY);
  assert.equal(paced.stream.flush(paced.nowMs), true);
  assert.deepEqual(paced.ids, ["s"]);
  assert.equal(paced.stream.dueMs, Number.POSITIVE_INFINITY);
});

test("deltas leave at the rate, in the order in which they were written, none lost", () => {
  const rate = 1_000_000;
  const paced = new Paced(rate);
  const ids = paced.writeMany(1_000);
  for (const passedMs of [100, 400]) {
    paced.pass(passedMs - paced.nowMs);
    const most = limits.rateBurstBytesMin + (rate / 1_000) * passedMs;
    assert(paced.bytesSent <= most + limits.datagramBytesMax, `${paced.bytesSent} of ${most}`);
    assert(paced.bytesSent >= most - limits.datagramBytesMax, `${paced.bytesSent} of ${most}`);
    assert.equal(paced.stream.pending, true);
  }
  assert(paced.pacer.limitedMs > 300);
  paced.pass(1_000);
  assert.equal(paced.stream.pending, false);
  assert.deepEqual(paced.ids, ids);
});

test("what waits is merged: of many writes to a session the last one leaves", () => {
  const paced = new Paced(limits.rateBytesPerSecondMin);
  paced.writeMany(200);
  paced.pass(100);
  const before = paced.ids.length;
  for (let round = 0; round < 50; round++) paced.writeMany(200);
  assert(paced.stream.dirtyRecords <= 200);
  paced.pass(60_000);
  assert.equal(paced.ids.length - before, 200);
});

test("copies are charged each for itself", () => {
  const paced = new Paced(1_000_000);
  paced.outbox.fanOut = 5;
  paced.writeMany(1_000);
  paced.pass(500);
  assert(paced.bytesSent * 5 <= limits.rateBurstBytesMin + 500_000 + 5 * limits.datagramBytesMax);
});

test("one turn sends a slice, and asks for the next turn at once", () => {
  const paced = new Paced(1e12);
  paced.writeMany(100);
  paced.stream.flush(0);
  assert.equal(paced.outbox.takeSent().length, limits.sendSliceDatagramsMax);
  assert.equal(paced.stream.dueMs, Number.NEGATIVE_INFINITY);
  paced.outbox.fanOut = 10;
  paced.stream.flush(0);
  assert.equal(paced.outbox.takeSent().length, Math.ceil(limits.sendSliceDatagramsMax / 10));
});

test("a large session leaves in several turns, whole, with nothing between its pieces", () => {
  const paced = new Paced(1e12);
  const pieces = 3 * limits.sendSliceDatagramsMax;
  const record = paced.write("large", "v".repeat(pieces * fragmentBytesMax - 100));
  paced.stream.flush(0);
  assert.equal(record.dirtySince, undefined);
  assert.equal(paced.stream.sequence, limits.sendSliceDatagramsMax);
  assert.equal(paced.stream.sequenceTaken, pieces);
  paced.write("other");
  paced.write("large", "again");
  paced.pass(0);
  assert.deepEqual(
    paced.outbox
      .framesOf(Tag.fragment)
      .map(({ sequence, index, count }) => [sequence, index, count]),
    Array.from({ length: pieces }, (_, index) => [index + 1, index, pieces]),
  );
  assert.deepEqual(paced.ids, ["other", "large"]);
});

test("while the network takes nothing, deltas and repairs wait, and go on when it does", () => {
  const paced = new Paced(1e12);
  paced.write("first");
  paced.pass(0);
  paced.outbox.takeSent();
  paced.outbox.backlogBytes = limits.sendQueuePauseBytes + 1;
  paced.write("s");
  paced.pass(100);
  paced.repair(1, 1);
  assert.deepEqual(paced.outbox.takeSent(), []);
  assert(paced.counters.pacing.backlogPauses > 0);
  assert.equal(paced.counters.naks.repairsDeferred, 1);
  paced.outbox.backlogBytes = limits.sendQueuePauseBytes;
  paced.pass(limits.sendQueueLookMs);
  assert.deepEqual(paced.ids, ["s"]);
});

test("repairs get half of the rate at most, deltas at least the other half", () => {
  const rate = 1_000_000;
  const paced = new Paced(rate);
  paced.writeMany(2_000);
  paced.pass(1_000);
  const sent = paced.stream.sequence;
  paced.outbox.takeSent();
  let repaired = 0;
  for (let turn = 0; turn < 100; turn++) {
    paced.repair(1, sent);
    repaired += paced.bytesSent;
    paced.outbox.takeSent();
    paced.pass(10);
    paced.outbox.takeSent();
  }
  const most = (rate + limits.rateBurstBytesMin) / 2;
  assert(repaired > 0.9 * most && repaired < 1.1 * most, `${repaired} octets of repairs`);
  const more = (paced.stream.sequence - sent) * 1_080;
  assert(more > 0.4 * rate && more < 0.6 * rate, `${more} octets of deltas`);
  assert(paced.counters.naks.repairsDeferred > 0);
});

test("an ask that was put off is answered when it comes again", () => {
  const paced = new Paced(limits.rateBytesPerSecondMin);
  paced.writeMany(20);
  paced.pass(10_000);
  paced.outbox.takeSent();
  paced.repair(1, 20);
  const first = paced.outbox.takeSent().length;
  assert(first > 0 && first < 20, `${first} repairs`);
  paced.nowMs += 200;
  paced.repair(first + 1, 20 - first);
  assert(paced.outbox.takeSent().length > 0);
});

test("who is left out is told at once that nothing will be repeated", () => {
  const paced = new Paced(1e12);
  paced.writeMany(5);
  paced.pass(0);
  paced.outbox.takeSent();
  const requester = { address: "peer:1", feedback: new Feedback() };
  requester.feedback.leftOut = true;
  const ranges = [
    { first: 3, count: 1 },
    { first: 1, count: 1 },
  ];
  paced.stream.repair({ tag: Tag.nak, boot, ranges }, requester, 0);
  const miss = { tag: Tag.nakMiss, oldest: 4 };
  assert.deepEqual(paced.outbox.takeSent(), [{ to: "peer:1", frames: [miss] }]);
  paced.stream.repair({ tag: Tag.nak, boot, ranges: [{ first: 4, count: 60_000 }] }, requester, 0);
  const beyond = { tag: Tag.nakMiss, oldest: 6 };
  assert.deepEqual(paced.outbox.takeSent(), [{ to: "peer:1", frames: [beyond] }]);
});

test("only the first ask for a number counts as loss", () => {
  const feedback = new Feedback();
  feedback.note([{ first: 11, count: 10 }], 1_000);
  feedback.note([{ first: 11, count: 10 }], 1_000);
  feedback.note(
    [
      { first: 15, count: 10 },
      { first: 11, count: 2 },
    ],
    1_000,
  );
  feedback.note([{ first: 999, count: 50 }], 1_000);
  feedback.judge(100, 0);
  assert.equal(feedback.share, 0.16);
});

test("what changed together and does not fit one block leaves in several", () => {
  const paced = new Paced(1e12);
  const most = "v".repeat(limits.sessionBytesMax - 100);
  const records = ["a", "b", "c"].map((id) => paced.write(id, most));
  const [a, b, c] = records;
  assert(a && b && c);
  paced.stream.changedTogether(a, b);
  paced.stream.changedTogether(a, c);
  paced.pass(0);
  const fragments = paced.outbox.framesOf(Tag.fragment);
  assert(fragments.every(({ count }) => count <= limits.fragmentsPerMessageMax));
  assert.equal(fragments.filter(({ index }) => index === 0).length, 3);
  assert.deepEqual(
    records.map(({ dirtySince }) => dirtySince),
    [undefined, undefined, undefined],
  );
});

test("records that were evicted while they waited do not wait for ever", () => {
  const lone = new LoneReplica({
    countMax: 100,
    rateBytesPerSecondMax: limits.rateBytesPerSecondMin,
  });
  lone.settle();
  for (let number = 0; number < 3 * limits.dirtyRecordsMin; number++) {
    lone.replica.create(`s${number}`, [{ name: "a", value: "v" }], byDefault, lone.now);
  }
  const { dirtyRecords = 0 } = lone.replica.pacing(0);
  assert(dirtyRecords <= limits.dirtyRecordsMin, `${dirtyRecords} wait`);
  const { evictedUnsent } = lone.replica.counters.stream;
  assert(evictedUnsent >= 2 * limits.dirtyRecordsMin - 100, `${evictedUnsent} given up`);
});

test("control leaves at once however much waits", () => {
  const lone = new LoneReplica({ rateBytesPerSecondMax: limits.rateBytesPerSecondMin });
  lone.settle();
  lone.receive(peerHeartbeat());
  for (let number = 0; number < 500; number++) {
    const values = [{ name: "a", value: "v".repeat(1_000) }];
    lone.replica.create(`s${number}`, values, byDefault, lone.now);
  }
  lone.tick();
  assert.equal(lone.replica.pending, true);
  lone.outbox.takeSent();
  lone.receive({ tag: Tag.ping, nonce: 1 });
  assert.equal(lone.outbox.framesOf(Tag.ack).length, 1);
  lone.pass(600);
  assert.equal(lone.replica.pending, true);
  assert(lone.outbox.framesOf(Tag.heartbeat).length >= 1);
  const { lagMs = 0 } = lone.replica.pacing(lone.now.wallMs);
  assert(lagMs > 500 && lagMs < 700, `${lagMs}`);
});

test("a write that waits for the rate is asked about after it has left", () => {
  const lone = new LoneReplica({ rateBytesPerSecondMax: limits.rateBytesPerSecondMin });
  lone.settle();
  lone.receive(peerHeartbeat());
  const values = [{ name: "a", value: "v".repeat(100_000) }];
  lone.replica.create("first", values, byDefault, lone.now);
  lone.replica.create("second", values, byDefault, lone.now);
  const ticket = lone.replica.confirm("second", { peers: 1, timeoutMs: 5_000 }, lone.now);
  lone.pass(500);
  assert.deepEqual(lone.outbox.framesOf(Tag.confirm), []);
  lone.pass(2_000);
  const [asked] = lone.outbox.framesOf(Tag.confirm);
  const last = lone.outbox.framesOf(Tag.fragment).at(-1)?.sequence;
  assert.equal(asked?.last, last);
  assert(asked !== undefined);
  lone.receive({
    tag: Tag.confirmed,
    boot: "00000000aaaa000000000001",
    first: 1,
    last: asked.last,
  });
  assert.deepEqual(lone.outbox.confirmations, [{ ticket, peers: 1 }]);
  assert.notEqual(peerBoot, boot);
});

test("a node that leaves sends all that waits before it goes", () => {
  const lone = new LoneReplica({ rateBytesPerSecondMax: limits.rateBytesPerSecondMin });
  lone.settle();
  lone.receive(peerHeartbeat());
  const values = [{ name: "a", value: "v".repeat(1_000) }];
  for (let number = 0; number < 300; number++) {
    lone.replica.create(`s${number}`, values, byDefault, lone.now);
  }
  lone.replica.leave(lone.now);
  lone.pass(1_500);
  assert.deepEqual([lone.replica.pending, lone.replica.hasLeft], [true, false]);
  lone.pass(5_000);
  assert.deepEqual([lone.replica.pending, lone.replica.hasLeft], [false, true]);
  const blocks = lone.outbox.framesOf(Tag.delta).map(({ block }) => deltaCodec.decode(block));
  assert.equal(blocks.flat().length, 300);
});
