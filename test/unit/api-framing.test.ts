import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameSplitter } from "../../src/api/framing.ts";
import { frameOfBytes } from "../support/raw-client.ts";

const bodies = ["", "a", "hello", "x".repeat(300)];
const stream = Buffer.concat(bodies.map((body) => frameOfBytes(Buffer.from(body))));

function drain(splitter: FrameSplitter): string[] {
  const found: string[] = [];
  while (splitter.next()) {
    found.push(splitter.buffer.toString("latin1", splitter.start, splitter.end));
  }
  return found;
}

test("frames come out whole wherever the stream is cut in two", () => {
  for (let cut = 0; cut <= stream.length; cut++) {
    const splitter = new FrameSplitter(1_000);
    splitter.feed(stream.subarray(0, cut));
    const early = drain(splitter);
    splitter.feed(stream.subarray(cut));
    assert.deepEqual([...early, ...drain(splitter)], bodies, `cut at ${cut}`);
  }
});

test("frames come out whole from a stream of single bytes", () => {
  const splitter = new FrameSplitter(1_000);
  const found: string[] = [];
  for (const byte of stream) {
    splitter.feed(Buffer.from([byte]));
    found.push(...drain(splitter));
  }
  assert.deepEqual(found, bodies);
});

test("what is behind the octets that were fed is not read", () => {
  const memory = Buffer.concat([stream, stream]);
  for (let cut = 1; cut < stream.length; cut++) {
    const splitter = new FrameSplitter(1_000);
    memory.fill(0);
    stream.copy(memory);
    splitter.feed(memory, cut);
    const early = drain(splitter);
    memory.fill(0);
    stream.copy(memory, 0, cut);
    splitter.feed(memory, stream.length - cut);
    assert.deepEqual([...early, ...drain(splitter)], bodies, `cut at ${cut}`);
    assert.equal(splitter.unread, 0);
  }
});

test("a caller that stops in a part of a chunk loses nothing when another part arrives", () => {
  const splitter = new FrameSplitter(1_000);
  const memory = Buffer.concat([stream, Buffer.alloc(9, 1)]);
  splitter.feed(memory, stream.length);
  assert.ok(splitter.next());
  splitter.feed(memory, stream.length);
  assert.deepEqual(drain(splitter), [...bodies.slice(1), ...bodies]);
  assert.equal(splitter.oversize, false);
});

test("a frame within one chunk is handed out in place", () => {
  const splitter = new FrameSplitter(1_000);
  splitter.feed(stream);
  assert.ok(splitter.next());
  assert.equal(splitter.buffer, stream);
});

test("half a frame is no frame", () => {
  const splitter = new FrameSplitter(1_000);
  splitter.feed(frameOfBytes(Buffer.from("hello")).subarray(0, 6));
  assert.equal(splitter.next(), false);
  assert.equal(splitter.next(), false);
  assert.equal(splitter.oversize, false);
  splitter.feed(Buffer.from("llo"));
  assert.deepEqual(drain(splitter), ["hello"]);
});

test("a caller that stops in the middle of a chunk loses nothing when more arrives", () => {
  const splitter = new FrameSplitter(1_000);
  splitter.feed(stream);
  assert.ok(splitter.next());
  splitter.feed(stream);
  assert.deepEqual(drain(splitter), [...bodies.slice(1), ...bodies]);
});

test("a length above the limit is refused at its last byte, one at the limit is not", () => {
  const refusing = new FrameSplitter(1_000);
  refusing.feed(Buffer.from([0x40, 0, 0]));
  assert.equal(refusing.next(), false);
  assert.equal(refusing.oversize, false);
  refusing.feed(Buffer.from([0]));
  assert.equal(refusing.next(), false);
  assert.equal(refusing.oversize, true);
  refusing.feed(stream);
  assert.deepEqual(drain(refusing), []);

  const taking = new FrameSplitter(1_000);
  taking.feed(frameOfBytes(Buffer.alloc(1_000)));
  assert.equal(drain(taking).length, 1);
  taking.feed(frameOfBytes(Buffer.alloc(1_001)));
  assert.deepEqual(drain(taking), []);
  assert.equal(taking.oversize, true);
});

test("memory grows with what arrives, not with what is claimed, and copies stay few", (t) => {
  const allocations = t.mock.method(Buffer, "allocUnsafe");
  const concatenations = t.mock.method(Buffer, "concat");
  const splitter = new FrameSplitter(2_097_152);
  const frame = Buffer.alloc(4 + 2_097_152);
  frame.writeUInt32BE(2_097_152);
  splitter.feed(frame.subarray(0, 5));
  assert.equal(splitter.next(), false);
  const sizes = () => allocations.mock.calls.map((call) => call.arguments[0]);
  assert.deepEqual(sizes(), [65_536]);
  for (let at = 5; at < frame.length; at += 1_000) {
    splitter.feed(frame.subarray(at, Math.min(at + 1_000, frame.length)));
    if (splitter.next()) assert.equal(splitter.end - splitter.start, 2_097_152);
  }
  assert.deepEqual(sizes(), [65_536, 131_072, 262_144, 524_288, 1_048_576, 2_097_152]);
  assert.equal(concatenations.mock.callCount(), 0);
});
