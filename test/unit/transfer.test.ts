/** A donor and a puller over a link in memory that may lose what it is told to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { Counters } from "../../src/core/counters.ts";
import { Donor } from "../../src/core/reconcile/donor.ts";
import { Puller } from "../../src/core/reconcile/puller.ts";
import { type Chunk, type Frame, Tag, type TrieRange } from "../../src/protocol/frames.ts";
import { framesBytesMax, limits } from "../../src/protocol/limits.ts";
import { ByteWriter } from "../../src/wire/byte-writer.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { writeFrame } from "../../src/wire/frame-codec.ts";
import { peerUp } from "../support/neighbours.ts";
import { onlyOf, RecordingOutbox } from "../support/recording-outbox.ts";
import { recordsOf, storeWith } from "../support/store-model.ts";

const wholeTrie: TrieRange = { level: 0, prefix: 0 };
const stamp = { time: 1_000_000_000_000, tag: 3 };

class Link {
  readonly donorOutbox = new RecordingOutbox();
  readonly pullerOutbox = new RecordingOutbox();
  readonly counters = new Counters();
  readonly store = storeWith();
  readonly donor = new Donor(this.store, deltaCodec, this.donorOutbox, this.counters);
  /** The donor as the puller sees it, and the other way round. */
  readonly donorPeer = peerUp("d".repeat(24), "donor:1");
  readonly pullerPeer = peerUp("e".repeat(24), "puller:1");
  readonly received = new Set<string>();
  readonly ends: boolean[] = [];
  changes = 0;
  readonly puller = new Puller(new Prng(7), this.pullerOutbox, this.counters, {
    received: (_peer, blocks) => {
      const before = this.received.size;
      for (const { bytes } of blocks) {
        const deltas = deltaCodec.decode(bytes);
        if (deltas === undefined) return undefined;
        for (const { id } of deltas) this.received.add(id);
      }
      return { changes: this.received.size - before, skipped: 0 };
    },
    ended: ({ changes }, completed) => {
      this.ends.push(completed);
      this.changes += changes;
    },
  });
  loses: (frame: Frame) => boolean = () => false;
  /** The most chunks that were on their way beyond what had been credited. */
  ahead = 0;
  nowMs = 0;
  #credited = 0;

  get outbox() {
    return this.pullerOutbox.sent;
  }

  fill(sessions: number, valueBytes = 100): void {
    for (let number = 0; number < sessions; number++) {
      const attributes = [{ name: "a", stamp, value: "v".repeat(valueBytes) }];
      const life = { stamp, alive: true, absoluteDeadlineMs: 0 };
      const id = `session-${number}`;
      this.store.apply({ id, life, floor: stamp, attributes, expiry: undefined }, 0);
    }
  }

  /** Carries frames to and fro, each step a millisecond, until so many transfers ended. */
  run(maxMs = 60_000, transfers = 1): void {
    for (; this.nowMs < maxMs && this.ends.length < transfers; this.nowMs++) {
      this.puller.tick(this.nowMs);
      for (const frame of framesIn(this.pullerOutbox)) this.#toDonor(frame);
      for (const frame of framesIn(this.donorOutbox)) this.#toPuller(frame);
    }
  }

  #toDonor(frame: Frame): void {
    if (this.loses(frame)) return;
    if (frame.tag === Tag.want) this.donor.onWant(this.pullerPeer, frame, this.nowMs);
    if (frame.tag !== Tag.credit) return;
    this.#credited = Math.max(this.#credited, frame.next);
    this.donor.onCredit(this.pullerPeer, frame, this.nowMs);
  }

  #toPuller(frame: Frame): void {
    if (frame.tag === Tag.chunk)
      this.ahead = Math.max(this.ahead, frame.index - this.#credited + 1);
    if (this.loses(frame)) return;
    if (frame.tag === Tag.chunk) this.puller.onChunk(this.donorPeer, frame, this.nowMs);
    else if (frame.tag === Tag.credit)
      this.puller.onRefused(this.donorPeer, frame.transfer, this.nowMs);
  }
}

function framesIn(outbox: RecordingOutbox): Frame[] {
  return outbox.takeSent().flatMap(({ frames }) => frames);
}

test("a transfer brings all records of its ranges, each once, and ends on both sides", () => {
  const link = new Link();
  link.fill(2_000);
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  assert.equal(link.puller.active, true);
  link.run();
  assert.deepEqual(link.ends, [true]);
  assert.deepEqual([link.received.size, link.changes], [2_000, 2_000]);
  assert.equal(link.counters.reconcile.recordsSent, 2_000);
  assert.equal(link.puller.active, false);
  for (const frame of framesIn(link.pullerOutbox)) {
    if (frame.tag === Tag.credit) link.donor.onCredit(link.pullerPeer, frame, link.nowMs);
  }
  assert.equal(link.donor.transferCount, 0);
});

test("only the records of the ranges that were asked for come", () => {
  const link = new Link();
  link.fill(500);
  const expected = recordsOf(link.store)
    .filter(({ leaf }) => leaf >>> 12 === 3)
    .map(({ id }) => id);
  link.puller.pull(link.donorPeer, [{ level: 1, prefix: 3 }], 0);
  link.run();
  assert.deepEqual([...link.received].sort(), expected.sort());
  assert(expected.length > 0 && expected.length < 500);
});

test("a single record can be asked for, by the upper half of its hashed id", () => {
  const link = new Link();
  link.fill(500);
  const [, record] = recordsOf(link.store);
  assert(record !== undefined);
  link.puller.pull(link.donorPeer, [{ level: 8, prefix: record.idHash.high >>> 0 }], 0);
  link.run();
  assert.deepEqual([...link.received], [record.id]);
});

test("ranges that hold nothing make a transfer of one empty chunk", () => {
  const link = new Link();
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.deepEqual([link.ends, link.counters.reconcile.chunksSent], [[true], 1]);
});

test("a session of many chunks arrives whole", () => {
  const link = new Link();
  link.fill(3, 300_000);
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.deepEqual([...link.received].sort(), ["session-0", "session-1", "session-2"]);
});

test("a chunk fits a datagram", () => {
  const link = new Link();
  link.fill(100);
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.loses = (frame) => {
    const writer = new ByteWriter();
    writeFrame(writer, frame);
    assert(writer.position <= framesBytesMax);
    return false;
  };
  link.run();
  assert.deepEqual(link.ends, [true]);
});

for (const loss of [0.05, 0.3]) {
  test(`a transfer completes although ${loss * 100} % of all datagrams are lost`, () => {
    for (let seed = 1; seed <= 10; seed++) {
      const link = new Link();
      link.fill(1_500);
      const prng = new Prng(seed);
      link.loses = () => prng.chance(loss);
      link.puller.pull(link.donorPeer, [wholeTrie], 0);
      link.run();
      assert.deepEqual([link.ends, link.received.size], [[true], 1_500], `seed ${seed}`);
      assert(link.ahead <= limits.transferWindowChunks, `seed ${seed}: ${link.ahead} ahead`);
    }
  });
}

test("a lost last chunk is sent again, though the receiver cannot name it", () => {
  const link = new Link();
  link.fill(100);
  let lost = 0;
  link.loses = (frame) => frame.tag === Tag.chunk && frame.last && lost++ < 3;
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.deepEqual([link.ends, link.received.size], [[true], 100]);
  assert.equal(lost, 4);
});

test("the donor sends no further than the window of the last credit", () => {
  const link = new Link();
  link.fill(5_000);
  let credits = 0;
  link.loses = (frame) => frame.tag === Tag.credit && frame.window > 0 && credits++ < 5;
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.equal(link.ahead, limits.transferWindowChunks);
  assert.deepEqual(link.ends, [true]);
});

test("a lost want is asked again", () => {
  const link = new Link();
  link.fill(10);
  let wants = 0;
  link.loses = (frame) => frame.tag === Tag.want && wants++ < 4;
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.deepEqual([link.ends, link.received.size], [[true], 10]);
  assert.equal(link.counters.reconcile.transfersOut, 1);
});

test("a donor that dies makes the transfer fail after a silence, and what came is kept", () => {
  const link = new Link();
  link.fill(5_000);
  let chunks = 0;
  link.loses = (frame) => frame.tag === Tag.chunk && chunks++ >= 100;
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.deepEqual(link.ends, [false]);
  assert(link.received.size > 0 && link.received.size < 5_000);
  assert.equal(link.counters.reconcile.transfersFailed, 1);
  assert(link.nowMs >= limits.transferSilenceMs && link.nowMs < limits.transferSilenceMs + 1_000);
  assert.equal(link.puller.active, false);
});

test("a donor serves a bounded number of transfers and refuses one more at once", () => {
  const link = new Link();
  link.fill(5_000);
  for (let transfer = 1; transfer <= limits.transferOutgoingMax; transfer++) {
    link.donor.onWant(link.pullerPeer, { tag: Tag.want, transfer, ranges: [wholeTrie] }, 0);
  }
  link.donorOutbox.takeSent();
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.deepEqual(link.ends, [false]);
  assert(link.nowMs < 5);
  assert.equal(link.counters.reconcile.transfersRefused, 1);
  assert.equal(link.donor.transferCount, limits.transferOutgoingMax);
});

test("a transfer that nobody credits any more makes room for another", () => {
  const link = new Link();
  link.fill(5_000);
  for (let transfer = 1; transfer <= limits.transferOutgoingMax; transfer++) {
    link.donor.onWant(link.pullerPeer, { tag: Tag.want, transfer, ranges: [wholeTrie] }, 0);
  }
  link.donorOutbox.takeSent();
  link.nowMs = limits.transferSilenceMs;
  link.puller.pull(link.donorPeer, [wholeTrie], link.nowMs);
  link.run();
  assert.deepEqual(link.ends, [true]);
});

test("one transfer a peer and few in all are under way at once, and the rest waits", () => {
  const link = new Link();
  link.puller.pull(link.donorPeer, [], 0);
  assert.deepEqual([link.puller.active, link.outbox.length], [false, 0]);
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  for (const digit of ["1", "2", "3", "4"]) {
    link.puller.pull(peerUp(digit.repeat(24), `${digit}:1`), [wholeTrie], 0);
  }
  const asked = link.outbox.map(({ to }) => to);
  assert.deepEqual(asked, ["donor:1", "1:1", "2:1"]);
  assert.equal(asked.length, limits.transferIncomingMax);
});

test("what is pulled while the node joins does not wait for the transfers of the join", () => {
  const link = new Link();
  link.fill(2_000);
  link.puller.join(link.donorPeer, [wholeTrie], 0);
  assert.equal(link.puller.isFree(link.donorPeer), false);
  const [record] = recordsOf(link.store);
  assert(record !== undefined);
  link.puller.pull(link.donorPeer, [{ level: 4, prefix: record.leaf }], 0);
  link.run(60_000, 1);
  assert(link.received.has(record.id) && link.received.size < 2_000);
  link.run(60_000, 2);
  assert.deepEqual([link.ends, link.received.size], [[true, true], 2_000]);
  assert.equal(link.puller.isFree(link.donorPeer), true);
});

test("more ranges than one want names are asked for one want after the other", () => {
  const link = new Link();
  link.fill(3_000);
  const leaves = recordsOf(link.store).map(({ leaf }) => ({ level: 4, prefix: leaf }));
  assert(leaves.length > 3 * limits.rangesPerFrameMax);
  link.puller.pull(link.donorPeer, leaves, 0);
  link.run(60_000, Math.ceil(leaves.length / limits.rangesPerFrameMax));
  assert.equal(link.received.size, 3_000);
  assert.equal(link.puller.isPulling(link.donorPeer), false);
});

test("what waits is bounded and counted, and given up when a transfer fails", () => {
  const link = new Link();
  const leaves = Array.from({ length: 20_000 }, (_, prefix) => ({ level: 4, prefix }));
  link.puller.pull(link.donorPeer, leaves, 0);
  assert.equal(link.counters.reconcile.rangesDropped, 20_000 - limits.rangesWaitingMax);
  link.loses = () => true;
  link.run();
  assert.deepEqual(link.ends, [false]);
  assert.equal(link.puller.isPulling(link.donorPeer), false);
});

test("chunks of a transfer that is not known here are answered by its end", () => {
  const link = new Link();
  const chunk: Chunk = {
    tag: Tag.chunk,
    transfer: 99,
    index: 0,
    last: false,
    bytes: new Uint8Array(3),
  };
  link.puller.onChunk(link.donorPeer, chunk, 0);
  const { to, frames } = onlyOf(link.pullerOutbox.sent);
  assert.equal(to, "donor:1");
  assert.deepEqual(onlyOf(frames), {
    tag: Tag.credit,
    transfer: 99,
    next: 0,
    window: 0,
    missing: [],
  });
});

test("chunks from anybody but the donor do not count", () => {
  const link = new Link();
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  const { transfer } = onlyOf(link.pullerOutbox.framesOf(Tag.want));
  const chunk: Chunk = { tag: Tag.chunk, transfer, index: 0, last: true, bytes: new Uint8Array(0) };
  link.puller.onChunk(link.pullerPeer, chunk, 0);
  assert.deepEqual([link.ends, link.puller.active], [[], true]);
});

test("octets that are no transfer's break it off", () => {
  for (const bytes of [Uint8Array.of(0, 0, 0, 0), new Uint8Array(8).fill(255), Uint8Array.of(1)]) {
    const link = new Link();
    link.puller.pull(link.donorPeer, [wholeTrie], 0);
    const { transfer } = onlyOf(link.pullerOutbox.framesOf(Tag.want));
    link.puller.onChunk(
      link.donorPeer,
      { tag: Tag.chunk, transfer, index: 0, last: true, bytes },
      0,
    );
    assert.deepEqual(link.ends, [false]);
  }
});

test("a block that cannot be read breaks the transfer off", () => {
  const link = new Link();
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  const { transfer } = onlyOf(link.pullerOutbox.framesOf(Tag.want));
  const bytes = Uint8Array.of(0, 0, 0, 2, 255, 255);
  link.puller.onChunk(link.donorPeer, { tag: Tag.chunk, transfer, index: 0, last: true, bytes }, 0);
  assert.deepEqual(link.ends, [false]);
});

test("records that change while they are given away do not harm the transfer", () => {
  const link = new Link();
  link.fill(3_000);
  let chunks = 0;
  link.loses = (frame) => {
    if (frame.tag !== Tag.chunk || chunks++ % 5 > 0) return false;
    const later = { time: stamp.time + chunks, tag: 3 };
    const life = { stamp: later, alive: chunks % 2 === 0, absoluteDeadlineMs: 0 };
    const id = `session-${chunks % 3_500}`;
    link.store.apply({ id, life, floor: later, attributes: [], expiry: undefined }, 0);
    return false;
  };
  link.puller.pull(link.donorPeer, [wholeTrie], 0);
  link.run();
  assert.deepEqual(link.ends, [true]);
  assert(link.received.size >= 3_000);
});
