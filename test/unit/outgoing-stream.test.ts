import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "../../src/core/counters.ts";
import type { StoredRecord } from "../../src/core/store/stored-record.ts";
import { Feedback } from "../../src/core/stream/feedback.ts";
import { OutgoingStream } from "../../src/core/stream/outgoing-stream.ts";
import { Pacer } from "../../src/core/stream/pacer.ts";
import { type SequenceRange, Tag } from "../../src/protocol/frames.ts";
import { fragmentBytesMax, framesBytesMax, limits } from "../../src/protocol/limits.ts";
import { ByteWriter } from "../../src/wire/byte-writer.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { writeFrame } from "../../src/wire/frame-codec.ts";
import { onlyOf, RecordingOutbox } from "../support/recording-outbox.ts";
import { storeWith } from "../support/store-model.ts";

const boot = "0".repeat(24);
const tag = 7;

class Sender {
  readonly outbox = new RecordingOutbox();
  readonly counters = new Counters();
  readonly store = storeWith();
  readonly pacer: Pacer;
  readonly stream: OutgoingStream;
  readonly #feedback = new Map<string, Feedback>();
  nowMs = 0;
  #time = 1_000_000_000_000;

  constructor(rateMax = 1e12) {
    this.pacer = new Pacer(rateMax);
    this.stream = new OutgoingStream(
      { boot, tag },
      deltaCodec,
      this.pacer,
      this.outbox,
      this.counters,
    );
  }

  /** All that is pending, in as many turns as it takes. */
  flush(): void {
    do this.stream.flush(this.nowMs);
    while (this.stream.dueMs <= this.nowMs);
  }

  /** What one peer's NAKs tell. */
  feedbackOf(address: string): Feedback {
    const known = this.#feedback.get(address) ?? new Feedback();
    this.#feedback.set(address, known);
    return known;
  }

  /** A write of one attribute, by this node or (another tag) by a peer. */
  write(id: string, name: string, value: string, writer = tag): StoredRecord {
    this.#time += 1;
    const stamp = { time: this.#time, tag: writer };
    const attributes = [{ name, stamp, value }];
    const delta = { id, life: undefined, floor: undefined, attributes, expiry: undefined };
    const applied = this.store.apply(delta, 0);
    assert(applied !== undefined);
    if (writer === tag) this.stream.changed(applied.record, stamp);
    return applied.record;
  }

  /** Sends `count` datagrams of one delta each. */
  send(count: number): void {
    for (let number = 0; number < count; number++) {
      this.write(`session-${number}`, "a", "v");
      this.flush();
    }
    this.outbox.takeSent();
  }

  repair(address: string, nowMs: number, ranges: readonly SequenceRange[], of = boot): void {
    const requester = { address, feedback: this.feedbackOf(address) };
    this.stream.repair({ tag: Tag.nak, boot: of, ranges }, requester, nowMs);
  }

  get deltas() {
    const blocks = this.outbox.framesOf(Tag.delta);
    return blocks.flatMap(({ block }) => deltaCodec.decode(block) ?? []);
  }
}

const one = [{ first: 1, count: 1 }];

test("two writes of one attribute before a flush are sent as one, the later", () => {
  const sender = new Sender();
  sender.write("s", "a", "first");
  sender.write("s", "a", "second");
  sender.flush();
  const { attributes } = onlyOf(sender.deltas);
  assert.equal(onlyOf(attributes).value, "second");
  assert.equal(sender.counters.stream.deltasSent, 1);
});

test("all attributes written since the last flush are sent, and no others", () => {
  const sender = new Sender();
  sender.write("s", "a", "1");
  sender.flush();
  sender.outbox.takeSent();
  sender.write("s", "b", "2");
  sender.write("s", "c", "3");
  sender.flush();
  const { attributes } = onlyOf(sender.deltas);
  assert.deepEqual(
    attributes.map(({ name }) => name),
    ["b", "c"],
  );
});

test("a write that a peer has overwritten meanwhile is the peer's to send", () => {
  const sender = new Sender();
  sender.write("s", "a", "mine");
  sender.write("s", "a", "theirs", 8);
  assert.equal(sender.stream.pending, true);
  sender.flush();
  assert.deepEqual(sender.outbox.sent, []);
  assert.deepEqual([sender.stream.pending, sender.stream.sequence], [false, 0]);
});

test("many small deltas share datagrams, each filled before the next is begun", () => {
  const sender = new Sender();
  for (let number = 0; number < 100; number++)
    sender.write(`session-${number}`, "a", "v".repeat(99));
  sender.flush();
  const sent = sender.outbox.takeSent();
  assert(sent.length > 8 && sent.length < 13, `${sent.length} datagrams`);
  for (const [index, { to, frames }] of sent.entries()) {
    assert.equal(to, undefined);
    const writer = new ByteWriter();
    writeFrame(writer, onlyOf(frames));
    assert(writer.position <= framesBytesMax);
    if (index < sent.length - 1) assert(writer.position > framesBytesMax - 140);
  }
  assert.equal(sender.stream.sequence, sent.length);
});

test("nothing pending sends nothing", () => {
  const sender = new Sender();
  sender.flush();
  assert.deepEqual(sender.outbox.sent, []);
});

test("a session too large for one datagram is cut into fragments with numbers in a row", () => {
  const sender = new Sender();
  sender.write("small", "a", "v");
  sender.write("large", "a", "v".repeat(10_000));
  sender.write("next", "a", "v");
  sender.flush();
  const fragments = sender.outbox.framesOf(Tag.fragment);
  assert.equal(fragments.length, Math.ceil(10_030 / fragmentBytesMax));
  for (const [index, fragment] of fragments.entries()) {
    assert.deepEqual([fragment.index, fragment.count], [index, fragments.length]);
    assert.equal(fragment.sequence, (fragments[0]?.sequence ?? 0) + index);
    const full = index < fragments.length - 1;
    assert(full ? fragment.bytes.length === fragmentBytesMax : fragment.bytes.length > 0);
  }
  const block = Buffer.concat(fragments.map(({ bytes }) => bytes));
  assert.equal(onlyOf(deltaCodec.decode(block) ?? []).id, "large");
  assert.deepEqual(
    sender.deltas.map(({ id }) => id),
    ["small", "next"],
  );
  assert.equal(sender.stream.sequence, fragments.length + 2);
});

test("the largest session is sent in as many fragments as one block may have", () => {
  const sender = new Sender();
  sender.write("s", "a", "v".repeat(limits.sessionBytesMax));
  sender.flush();
  const fragments = sender.outbox.framesOf(Tag.fragment);
  assert(fragments.length <= limits.fragmentsPerMessageMax);
  assert(sender.stream.ringBytes <= limits.repairRingBytesMax);
});

test("the first to ask is answered by unicast, with the datagram as it was", () => {
  const sender = new Sender();
  sender.write("s", "a", "v");
  sender.flush();
  const [original] = sender.outbox.takeSent();
  sender.repair("peer:1", 100, one);
  assert.deepEqual(sender.outbox.sent, [{ to: "peer:1", frames: original?.frames }]);
});

test("a second one to ask soon after shows a shared loss and is answered by multicast", () => {
  const sender = new Sender();
  sender.send(1);
  sender.repair("peer:1", 100, one);
  sender.repair("peer:2", 100 + limits.repairSharedMs - 1, one);
  assert.deepEqual(
    sender.outbox.takeSent().map(({ to }) => to),
    ["peer:1", undefined],
  );
});

test("a second one to ask much later is answered by unicast", () => {
  const sender = new Sender();
  sender.send(1);
  sender.repair("peer:1", 100, one);
  sender.repair("peer:2", 100 + limits.repairSharedMs, one);
  assert.deepEqual(
    sender.outbox.takeSent().map(({ to }) => to),
    ["peer:1", "peer:2"],
  );
});

test("one who asks again while the answer travels is not answered twice", () => {
  const sender = new Sender();
  sender.send(1);
  sender.repair("peer:1", 100, one);
  sender.repair("peer:1", 100 + limits.repairLingerMs - 1, one);
  assert.equal(sender.outbox.takeSent().length, 1);
  assert.equal(sender.counters.naks.lingered, 1);
  sender.repair("peer:1", 100 + limits.repairLingerMs, one);
  assert.deepEqual(
    sender.outbox.takeSent().map(({ to }) => to),
    ["peer:1"],
  );
});

test("after a multicast nobody is answered for a moment, and then by multicast again", () => {
  const sender = new Sender();
  sender.send(1);
  sender.repair("peer:1", 100, one);
  sender.repair("peer:2", 101, one);
  sender.outbox.takeSent();
  for (const requester of ["peer:1", "peer:2", "peer:3"]) sender.repair(requester, 105, one);
  assert.deepEqual(sender.outbox.takeSent(), []);
  assert.equal(sender.counters.naks.lingered, 3);
  sender.repair("peer:3", 101 + limits.repairLingerMs, one);
  assert.deepEqual(
    sender.outbox.takeSent().map(({ to }) => to),
    [undefined],
  );
});

test("what the ring no longer holds is answered by a miss that names the oldest left", () => {
  const sender = new Sender();
  sender.send(limits.repairRingDatagramsMax + 5);
  sender.repair("peer:1", 100, [{ first: 3, count: 4 }]);
  const sent = sender.outbox.takeSent();
  assert.deepEqual(sent.at(-1), { to: "peer:1", frames: [{ tag: Tag.nakMiss, oldest: 6 }] });
  const repaired = sent.slice(0, -1).map(({ frames }) => onlyOf(frames));
  assert.deepEqual(
    repaired.map((frame) => "sequence" in frame && frame.sequence),
    [6],
  );
  assert.equal(sender.counters.naks.missesSent, 1);
});

test("numbers that were never sent are not answered", () => {
  const sender = new Sender();
  sender.send(2);
  sender.repair("peer:1", 100, [{ first: 3, count: 100 }]);
  assert.deepEqual(sender.outbox.takeSent(), []);
  sender.repair("peer:1", 100, [{ first: 2, count: 100 }]);
  assert.equal(sender.outbox.takeSent().length, 1);
});

test("a NAK for the stream of a former start is counted and not answered", () => {
  const sender = new Sender();
  sender.send(1);
  sender.repair("peer:1", 100, one, "1".repeat(24));
  assert.deepEqual(sender.outbox.takeSent(), []);
  assert.equal(sender.counters.naks.foreignBoot, 1);
});

test("what changed together leaves in one block, also across the end of a datagram", () => {
  for (const size of [10, 600, 3_000]) {
    const sender = new Sender();
    sender.write("before", "a", "x".repeat(900));
    const source = sender.write("old", "a", "gone");
    const target = sender.write("new", "a", "x".repeat(size));
    sender.stream.changedTogether(source, target);
    sender.write("after", "a", "v");
    sender.flush();
    const blocks = sender.outbox.framesOf(Tag.delta).map(({ block }) => block);
    const pieces = sender.outbox.framesOf(Tag.fragment).map(({ bytes }) => bytes);
    if (pieces.length > 0) blocks.push(Buffer.concat(pieces));
    const ids = blocks.map((block) => (deltaCodec.decode(block) ?? []).map(({ id }) => id));
    assert.deepEqual(ids.filter((some) => some.includes("old")).flat(), ["old", "new"]);
    assert.deepEqual(ids.flat().sort(), ["after", "before", "new", "old"]);
  }
});

test("a chain of moves leaves in one block, each record once", () => {
  const sender = new Sender();
  const [a, b, c] = ["a", "b", "c"].map((id) => sender.write(id, "x", "v"));
  assert(a !== undefined && b !== undefined && c !== undefined);
  sender.stream.changedTogether(b, c);
  sender.stream.changedTogether(a, b);
  sender.flush();
  assert.equal(sender.outbox.framesOf(Tag.delta).length, 1);
  assert.deepEqual(sender.deltas.map(({ id }) => id).sort(), ["a", "b", "c"]);
});
