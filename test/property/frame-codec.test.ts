import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { fragmentBytesMax, framesBytesMax, limits } from "../../src/protocol/limits.ts";
import { ByteReader } from "../../src/wire/byte-reader.ts";
import { ByteWriter } from "../../src/wire/byte-writer.ts";
import { readFrames, writeFrame } from "../../src/wire/frame-codec.ts";
import { damaged, damages, frameLists, plain } from "../support/frame-arbitraries.ts";
import { heartbeatOf } from "../support/neighbours.ts";

const runs = { numRuns: 300 };
const lists = frameLists(3);

function encoded(list: readonly Frame[]): Buffer {
  const writer = new ByteWriter();
  for (const frame of list) writeFrame(writer, frame);
  return writer.written();
}

function decoded(bytes: Uint8Array): Frame[] | undefined {
  return readFrames(new ByteReader(bytes))?.map(plain);
}

test("law 11: frames come back as they were sent", () => {
  const law = fc.property(lists, (list) => {
    assert.deepEqual(decoded(encoded(list)), list.map(plain));
  });
  fc.assert(law, { numRuns: 1_000 });
});

test("law 11: the frames read from a prefix are never all the frames", () => {
  const law = fc.property(lists, fc.nat(), (list, cut) => {
    const bytes = encoded(list);
    const read = decoded(bytes.subarray(0, cut % bytes.length));
    if (read === undefined) return;
    assert(read.length < list.length);
    assert.deepEqual(read, list.slice(0, read.length).map(plain));
  });
  fc.assert(law, runs);
});

test("law 12: arbitrary octets are refused or read, and never throw", () => {
  const law = fc.property(fc.uint8Array({ maxLength: 1_400 }), (bytes) => {
    const read = decoded(bytes);
    assert(read === undefined || read.length > 0);
  });
  fc.assert(law, { numRuns: 2_000 });
});

test("law 12: damaged frames never throw, and what is read of them can be written again", () => {
  const law = fc.property(lists, damages, (list, sequence) => {
    const read = decoded(damaged(encoded(list), sequence));
    if (read === undefined) return;
    assert.deepEqual(decoded(encoded(read)), read);
  });
  fc.assert(law, { numRuns: 2_000 });
});

const octets = (length: number) => new Uint8Array(length).fill(255);
const range = { level: 4, prefix: 0xffff };
const record = { key: 0xffff, high: -1, low: -1 };
const leaf = { leaf: 0xffff, records: [record] };
const largest: readonly Frame[] = [
  {
    tag: Tag.heartbeat,
    name: "n".repeat(limits.nodeNameBytesMax),
    keys: new Array(limits.keysMax).fill(0xffff_ffff),
    phase: "leaving",
    hello: true,
    sequence: 2 ** 48 - 1,
    digest: { high: -1, low: -1 },
    wallMs: 2 ** 48 - 1,
    machineMs: 2 ** 48 - 1,
    count: 0xffff_ffff,
    stubs: 0xffff_ffff,
    tombstoneRetentionMs: limits.durationMsMax,
  },
  { tag: Tag.delta, sequence: 2 ** 48 - 1, block: octets(framesBytesMax - 9) },
  {
    tag: Tag.fragment,
    sequence: 2 ** 48 - 1,
    index: limits.fragmentsPerMessageMax - 1,
    count: limits.fragmentsPerMessageMax,
    bytes: octets(fragmentBytesMax),
  },
  {
    tag: Tag.nak,
    boot: "f".repeat(24),
    ranges: Array.from({ length: limits.nakRangesMax }, () => ({ first: 1, count: 1 })),
  },
  {
    tag: Tag.digest,
    level: 3,
    nodes: Array.from({ length: limits.digestNodesPerFrame }, () => ({
      prefix: 0xfff,
      children: new Array<number>(32).fill(-1),
    })),
  },
  {
    tag: Tag.want,
    transfer: 0xffff_ffff,
    ranges: new Array<typeof range>(limits.rangesPerFrameMax).fill(range),
  },
  { tag: Tag.offer, ranges: new Array<typeof range>(limits.rangesPerFrameMax).fill(range) },
  {
    tag: Tag.chunk,
    transfer: 0xffff_ffff,
    index: 0xffff_ffff,
    last: true,
    bytes: octets(framesBytesMax - 12),
  },
  {
    tag: Tag.credit,
    transfer: 0xffff_ffff,
    next: 7,
    window: limits.transferWindowChunks,
    missing: new Array<number>(limits.creditMissingMax).fill(7 + 0xffff),
  },
  { tag: Tag.leaves, leaves: new Array<typeof leaf>(limits.leavesPerFrameMax).fill(leaf) },
];

for (const frame of largest) {
  const name = Object.entries(Tag).find(([, tag]) => tag === frame.tag)?.[0];
  test(`the largest ${name} fits a datagram and comes back as it was sent`, () => {
    const bytes = encoded([frame]);
    assert(bytes.length <= framesBytesMax, `${bytes.length} octets`);
    assert.deepEqual(decoded(bytes), [plain(frame)]);
  });
}

const beyond: readonly (readonly [string, Frame])[] = [
  ["a heartbeat that forgets at once", { ...heartbeatOf("n"), tombstoneRetentionMs: 999 }],
  [
    "a heartbeat that never forgets",
    { ...heartbeatOf("n"), tombstoneRetentionMs: limits.durationMsMax + 1 },
  ],
  ["a NAK without ranges", { tag: Tag.nak, boot: "0".repeat(24), ranges: [] }],
  [
    "a NAK for too many numbers",
    {
      tag: Tag.nak,
      boot: "0".repeat(24),
      ranges: [{ first: 1, count: limits.nakSequencesMax + 1 }],
    },
  ],
  ["a NAK for none", { tag: Tag.nak, boot: "0".repeat(24), ranges: [{ first: 1, count: 0 }] }],
  [
    "a NAK of too many ranges",
    {
      tag: Tag.nak,
      boot: "0".repeat(24),
      ranges: Array.from({ length: limits.nakRangesMax + 1 }, () => ({ first: 1, count: 1 })),
    },
  ],
  ["a want without ranges", { tag: Tag.want, transfer: 1, ranges: [] }],
  [
    "an offer of too many ranges",
    { tag: Tag.offer, ranges: new Array<typeof range>(limits.rangesPerFrameMax + 1).fill(range) },
  ],
  ["a range below the leaves", { tag: Tag.offer, ranges: [{ level: 5, prefix: 0 }] }],
  ["a range beside its level", { tag: Tag.offer, ranges: [{ level: 1, prefix: 16 }] }],
  [
    "hashes below the leaves",
    { tag: Tag.digest, level: 4, nodes: [{ prefix: 0, children: new Array<number>(32).fill(1) }] },
  ],
  ["no leaves", { tag: Tag.leaves, leaves: [] }],
  [
    "too many leaves",
    { tag: Tag.leaves, leaves: new Array<typeof leaf>(limits.leavesPerFrameMax + 1).fill(leaf) },
  ],
  ["a leaf without records", { tag: Tag.leaves, leaves: [{ leaf: 1, records: [] }] }],
  [
    "a leaf of too many records",
    {
      tag: Tag.leaves,
      leaves: [
        { leaf: 1, records: new Array<typeof record>(limits.leafRecordsMax + 1).fill(record) },
      ],
    },
  ],
  ["a digest without nodes", { tag: Tag.digest, level: 0, nodes: [] }],
  [
    "a block in one piece",
    { tag: Tag.fragment, sequence: 5, index: 0, count: 1, bytes: octets(1) },
  ],
  [
    "a piece beyond the last",
    { tag: Tag.fragment, sequence: 5, index: 2, count: 2, bytes: octets(1) },
  ],
  [
    "a piece of a block that began before the stream",
    { tag: Tag.fragment, sequence: 1, index: 1, count: 2, bytes: octets(1) },
  ],
  ["an empty piece", { tag: Tag.fragment, sequence: 5, index: 0, count: 2, bytes: octets(0) }],
  [
    "too many pieces",
    {
      tag: Tag.fragment,
      sequence: 5_000,
      index: 0,
      count: limits.fragmentsPerMessageMax + 1,
      bytes: octets(1),
    },
  ],
  [
    "a window that is too large",
    {
      tag: Tag.credit,
      transfer: 1,
      next: 0,
      window: limits.transferWindowChunks + 1,
      missing: [],
    },
  ],
];

for (const [what, frame] of beyond) {
  test(`${what} makes the datagram invalid`, () => {
    assert.equal(decoded(encoded([frame])), undefined);
    assert.equal(decoded(encoded([{ tag: Tag.leave }, frame])), undefined);
  });
}

test("an unknown tag, an empty datagram and a wrong length make a datagram invalid", () => {
  for (const hex of [
    "",
    "0e0000",
    "000000",
    "0200",
    "02000100",
    "0300050000000000",
    "030003000000",
    "03000300000001",
    "03000700000001020000",
  ]) {
    assert.equal(decoded(Buffer.from(hex, "hex")), undefined, hex);
  }
});

test("two frames of one kind make a datagram invalid, and one of each kind does not", () => {
  const twice: Frame[] = [{ tag: Tag.leave }, { tag: Tag.ping, nonce: 1 }, { tag: Tag.leave }];
  assert.equal(decoded(encoded(twice)), undefined);
  assert.equal(decoded(encoded(largest))?.length, largest.length);
});
