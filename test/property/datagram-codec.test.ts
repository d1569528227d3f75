import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { framesBytesMax, limits } from "../../src/protocol/limits.ts";
import { ByteWriter } from "../../src/wire/byte-writer.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { writeFrame } from "../../src/wire/frame-codec.ts";
import { clusterIdentity } from "../../src/wire/keyring.ts";
import { bootIds, damaged, damages, frameLists, plain } from "../support/frame-arbitraries.ts";

const boot = "0123456789ab0123456789ab";
const identity = clusterIdentity("property");
const clocks = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER));

/** As many of the frames as one datagram holds; never none. */
function thatFit(list: readonly Frame[]): Frame[] {
  const writer = new ByteWriter();
  const kept: Frame[] = [];
  for (const frame of list) {
    writeFrame(writer, frame);
    if (writer.position > framesBytesMax) break;
    kept.push(frame);
  }
  return kept;
}

const lists = frameLists(4).map(thatFit);

test("law 11: a datagram gives back boot, clock and frames", () => {
  const law = fc.property(lists, clocks, bootIds, (list, clock, sender) => {
    fc.pre(list.length > 0);
    const bytes = new DatagramCodec(sender, identity).encode(list, clock);
    assert(bytes.length <= limits.datagramBytesMax - limits.sealBytes);
    const opened = new DatagramCodec(boot, identity).decode(bytes, 0);
    assert(opened.ok);
    const { datagram } = opened;
    assert.deepEqual([datagram.boot, datagram.clock], [sender, clock]);
    assert.deepEqual(datagram.frames.map(plain), list.map(plain));
  });
  fc.assert(law, { numRuns: 500 });
});

test("law 12: arbitrary octets are refused with a reason, and never throw", () => {
  const codec = new DatagramCodec(boot, identity);
  const law = fc.property(fc.uint8Array({ maxLength: 1_500, size: "max" }), (bytes) => {
    const opened = codec.decode(Buffer.from(bytes), 0);
    assert.equal(opened.ok, false);
  });
  fc.assert(law, { numRuns: 500 });
});

test("law 12: arbitrary octets behind a valid header never throw", () => {
  const codec = new DatagramCodec(boot, identity);
  const valid = codec.encode([{ tag: Tag.leave }], 1).subarray(0, limits.headerBytes);
  const law = fc.property(fc.uint8Array({ maxLength: 1_300 }), (bytes) => {
    const opened = codec.decode(Buffer.concat([valid, bytes]), 0);
    const reasons = ["too_short", "bad_frame"];
    assert(opened.ok ? opened.datagram.frames.length > 0 : reasons.includes(opened.reject));
  });
  fc.assert(law, { numRuns: 1_000 });
});

test("law 12: damaged datagrams never throw", () => {
  const codec = new DatagramCodec(boot, identity);
  const law = fc.property(lists, clocks, damages, (list, clock, sequence) => {
    fc.pre(list.length > 0);
    const opened = codec.decode(damaged(codec.encode(list, clock), sequence), 0);
    if (opened.ok) assert(opened.datagram.frames.length > 0);
  });
  fc.assert(law, { numRuns: 1_000 });
});

test("law 11: a datagram cut short is never read as the whole", () => {
  const codec = new DatagramCodec(boot, identity);
  const law = fc.property(lists, fc.nat(), (list, cut) => {
    fc.pre(list.length > 0);
    const bytes = codec.encode(list, 1);
    const opened = codec.decode(bytes.subarray(0, cut % bytes.length), 0);
    if (opened.ok) assert(opened.datagram.frames.length < list.length);
  });
  fc.assert(law, { numRuns: 300 });
});

const valid = new DatagramCodec(boot, identity).encode([{ tag: Tag.ping, nonce: 1 }], 4096);
const changedAt = (at: number, octet: number) => {
  const bytes = Buffer.from(valid);
  bytes[at] = octet;
  return bytes;
};
const refusals: readonly (readonly [string, Buffer])[] = [
  ["too_short", valid.subarray(0, limits.headerBytes + limits.preambleBytes - 1)],
  ["too_long", Buffer.concat([valid, Buffer.alloc(limits.datagramBytesMax)])],
  ["bad_magic", changedAt(0, 0)],
  ["bad_magic", changedAt(1, 0)],
  ["bad_version", changedAt(2, 1)],
  ["sealed", changedAt(3, 1)],
  ["bad_flags", changedAt(3, 2)],
  ["bad_header", changedAt(26, 1)],
  ["bad_header", changedAt(27, 1)],
  ["wrong_cluster", changedAt(6, (valid[6] ?? 0) ^ 1)],
  ["wrong_cluster", changedAt(7, (valid[7] ?? 0) ^ 1)],
  ["bad_frame", valid.subarray(0, limits.headerBytes + limits.preambleBytes)],
  ["bad_frame", changedAt(limits.headerBytes, 0x20)],
  ["bad_frame", valid.subarray(0, valid.length - 1)],
];

for (const [reason, bytes] of refusals) {
  test(`${bytes.length} octets that begin ${bytes.toString("hex", 0, 8)}: ${reason}`, () => {
    const opened = new DatagramCodec(boot, identity).decode(bytes, 0);
    assert.deepEqual(opened, { ok: false, reject: reason });
  });
}

test("each datagram of a boot has the next counter", () => {
  const codec = new DatagramCodec(boot, identity);
  for (let counter = 1; counter <= 300; counter++) {
    const bytes = codec.encode([{ tag: Tag.leave }], 1);
    assert.equal(bytes.readUIntBE(20, 6), counter);
  }
});

test("a node knows what it has sent, and takes nothing else for that", () => {
  const law = fc.property(bootIds, bootIds, lists, lists, (own, other, sent, foreign) => {
    fc.pre(sent.length > 0 && foreign.length > 0);
    const codec = new DatagramCodec(own, identity);
    const told = (bytes: Buffer) => {
      const header = codec.readHeader(bytes);
      assert(typeof header !== "string");
      return codec.isOwn(header) ? codec.echo(header, bytes) : "of another boot";
    };
    const bytes = codec.encode(sent, 1);
    const elsewhere = new DatagramCodec(other, identity).encode(foreign, 1);
    assert.equal(told(bytes), "echo");
    assert.equal(told(bytes), "again");
    const isSame = bytes.subarray(-4).equals(elsewhere.subarray(-4));
    assert.equal(told(elsewhere), own !== other ? "of another boot" : isSame ? "again" : "other");
  });
  fc.assert(law, { numRuns: 300 });
});

test("what the kernel still reads stays as it is, and what is written anew is the same", () => {
  const law = fc.property(lists, lists, clocks, (first, second, clock) => {
    fc.pre(first.length > 0 && second.length > 0);
    const codec = new DatagramCodec(boot, identity);
    const expected = new DatagramCodec(boot, identity);
    const held = codec.encodeInPlace(first, clock);
    const before = expected.encode(first, clock);
    codec.letGo();
    assert(codec.encodeInPlace(second, clock).equals(expected.encode(second, clock)));
    assert(held.equals(before));
  });
  fc.assert(law, { numRuns: 100 });
});

test("clusters of different names do not hear each other", () => {
  const foreign = new DatagramCodec(boot, clusterIdentity("other"));
  const opened = foreign.decode(valid, 0);
  assert.deepEqual(opened, { ok: false, reject: "wrong_cluster" });
});
