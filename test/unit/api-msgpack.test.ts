import assert from "node:assert/strict";
import { test } from "node:test";
import { pack, Unpackr } from "msgpackr";
import { MsgpackReader } from "../../src/api/msgpack-reader.ts";
import { MsgpackWriter } from "../../src/api/msgpack-writer.ts";

const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });
const numbers = [
  0, 1, 127, 128, 255, 256, 65_535, 65_536, 2_147_483_648, 4_294_967_295, 4_294_967_296,
  800_000_000_000_001, 9_007_199_254_740_991, -1, -32, -33, -128, -129, -32_769, -2_147_483_648,
  -2_147_483_649, 0.5, -1.25, 1e300,
];

function written(write: (writer: MsgpackWriter) => void): Buffer {
  const writer = new MsgpackWriter(4);
  write(writer);
  return Buffer.from(writer.written());
}

function readerOf(bytes: Uint8Array | readonly number[]): MsgpackReader {
  const buffer = Buffer.from(bytes);
  const reader = new MsgpackReader();
  reader.reset(buffer, 0, buffer.length);
  return reader;
}

test("numbers agree with another implementation in both directions", () => {
  for (const number of numbers) {
    assert.equal(unpackr.unpack(written((writer) => writer.number(number))), number);
    const reader = readerOf(pack(number));
    assert.equal(reader.number(), number);
    assert.ok(reader.finished);
  }
  assert.equal(readerOf(pack(40n)).number(), 40);
  assert.equal(readerOf(pack(-40n)).number(), -40);
  assert.equal(readerOf([0xca, 0x3f, 0x80, 0, 0]).number(), 1);
});

test("text, bytes, headers, nil and booleans agree in both directions", () => {
  for (const length of [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
    for (const text of ["a".repeat(length), "é".repeat(length), "€😀".repeat(length / 4)]) {
      assert.equal(unpackr.unpack(written((writer) => writer.text(text))), text);
      const reader = readerOf(pack(text));
      assert.equal(reader.text(), text);
      assert.equal(reader.textBytes, Buffer.byteLength(text));
      assert.ok(reader.finished);
    }
    const bytes = Buffer.alloc(length, 0xfe);
    const value = bytes.toString("latin1");
    assert.deepEqual(unpackr.unpack(written((writer) => writer.bytes(bytes))), bytes);
    assert.deepEqual(unpackr.unpack(written((writer) => writer.value(value))), bytes);
    assert.equal(readerOf(pack(bytes)).value(), value);
    assert.deepEqual(readerOf(pack(bytes)).bytes(), bytes);
    assert.equal(readerOf(pack(new Array(length).fill(0))).arrayHeader(), length);
    const array = written((writer) => {
      writer.arrayHeader(length);
      for (let index = 0; index < length; index++) writer.nil();
    });
    assert.equal(unpackr.unpack(array).length, length);
  }
  assert.deepEqual(readerOf([0xc3, 0xc2, 0xc0]).boolean(), true);
  assert.equal(readerOf([0xc0]).nil(), true);
  assert.equal(readerOf([0xc2]).nil(), false);
});

test("a map written here is a map elsewhere", () => {
  const bytes = written((writer) => {
    writer.mapHeader(2);
    writer.text("a");
    writer.number(1);
    writer.text("b");
    writer.nested(() => writer.boolean(true));
  });
  const map = unpackr.unpack(bytes);
  assert.equal(map.a, 1);
  assert.equal(unpackr.unpack(map.b), true);
});

test("what is not of the kind asked for fails, and stays failed", () => {
  const wrong: [string, readonly number[], (reader: MsgpackReader) => unknown][] = [
    ["text for a number", [0xa1, 0x61], (reader) => reader.number()],
    ["bytes for text", [0xc4, 1, 0x61], (reader) => reader.text()],
    ["text for bytes", [0xa1, 0x61], (reader) => reader.value()],
    ["a map for an array", [0x81, 1, 1], (reader) => reader.arrayHeader()],
    ["an array for a map", [0x91, 1], (reader) => reader.mapHeader()],
    ["a number for a boolean", [1], (reader) => reader.boolean()],
    ["an extension", [0xd4, 0x72, 0x40], (reader) => reader.number()],
    ["a date", [0xd6, 0xff, 0, 0, 0, 0], (reader) => reader.number()],
    ["the tag that is never used", [0xc1], (reader) => reader.text()],
    ["nothing", [], (reader) => reader.number()],
    ["text cut short", [0xa5, 0x61], (reader) => reader.text()],
    ["bytes of 4 GiB", [0xc6, 255, 255, 255, 255, 1], (reader) => reader.value()],
    ["a double cut short", [0xcb, 1, 2], (reader) => reader.number()],
    ["text that is not UTF-8", [0xa2, 0xc3, 0x28], (reader) => reader.text()],
    ["an encoded surrogate", [0xa3, 0xed, 0xa0, 0x80], (reader) => reader.text()],
  ];
  for (const [what, bytes, read] of wrong) {
    const reader = readerOf(bytes);
    read(reader);
    assert.ok(reader.failed, what);
    assert.equal(reader.number(), 0, what);
    assert.equal(reader.text(), "", what);
    assert.equal(reader.finished, false, what);
  }
});

test("a replacement character that was really sent is text like any other", () => {
  const reader = readerOf(pack("a\ufffdb"));
  assert.equal(reader.text(), "a\ufffdb");
  assert.ok(reader.finished);
});

test("a claimed count allocates nothing", () => {
  const reader = readerOf([0xdd, 0xff, 0xff, 0xff, 0xff]);
  assert.equal(reader.arrayHeader(), 4_294_967_295);
  assert.equal(reader.nil(), false);
  assert.equal(reader.boolean(), false);
  assert.ok(reader.failed);
});
