import {
  type Chunk,
  type Confirm,
  type Confirmed,
  type Credit,
  type Digest,
  type DigestNode,
  type Fragment,
  type Frame,
  type LeafDigest,
  type Leaves,
  type Nak,
  type RecordDigest,
  type SequenceRange,
  Tag,
  type TrieRange,
} from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { readMembership, writeMembership } from "./membership-codec.ts";

/** Frames: u8 tag, u16 length of the body, body. PROTOCOL.md has the bodies. */
export function writeFrame(writer: ByteWriter, frame: Frame): void {
  writer.u8(frame.tag);
  const lengthAt = writer.position;
  writer.u16(0);
  writeBody(writer, frame);
  writer.patchU16(lengthAt, writer.position - lengthAt - 2);
}

/**
 * Undefined when anything at all is malformed: one bad frame condemns the datagram. No sender puts
 * two frames of a kind into one, and refusing it bounds the work that a datagram can cause.
 */
export function readFrames(reader: ByteReader): Frame[] | undefined {
  const frames: Frame[] = [];
  let seen = 0;
  while (reader.remaining > 0) {
    const tag = reader.u8();
    if (tag > 30 || (seen & (1 << tag)) !== 0) return undefined;
    seen |= 1 << tag;
    const length = reader.u16();
    const before = reader.remaining;
    const frame = readBody(reader, tag, length);
    if (frame === undefined || reader.failed) return undefined;
    if (before - reader.remaining !== length) return undefined;
    frames.push(frame);
  }
  return reader.failed || frames.length === 0 ? undefined : frames;
}

function writeBody(writer: ByteWriter, frame: Frame): void {
  switch (frame.tag) {
    case Tag.absent:
    case Tag.evicted:
      writer.u32(frame.nonce);
      return;
    case Tag.delta:
      writer.u48(frame.sequence);
      writer.bytes(frame.block);
      return;
    case Tag.fragment:
      writer.u48(frame.sequence);
      writer.u16(frame.index);
      writer.u16(frame.count);
      writer.bytes(frame.bytes);
      return;
    case Tag.nak:
      writeNak(writer, frame);
      return;
    case Tag.nakMiss:
      writer.u48(frame.oldest);
      return;
    case Tag.digest:
      writeDigest(writer, frame);
      return;
    case Tag.want:
      writer.u32(frame.transfer);
      writeRanges(writer, frame.ranges);
      return;
    case Tag.offer:
      writeRanges(writer, frame.ranges);
      return;
    case Tag.chunk:
      writer.u32(frame.transfer);
      writer.u32(frame.index);
      writer.u8(frame.last ? 1 : 0);
      writer.bytes(frame.bytes);
      return;
    case Tag.credit:
      writeCredit(writer, frame);
      return;
    case Tag.fetch:
      writer.u32(frame.nonce);
      writer.text(frame.id);
      return;
    case Tag.found:
      writer.u32(frame.nonce);
      writer.u8(frame.kept ? 1 : 0);
      writer.bytes(frame.block);
      return;
    case Tag.confirmed:
      writer.hex(frame.boot);
      writeSpan(writer, frame);
      return;
    case Tag.confirm:
      writeSpan(writer, frame);
      return;
    case Tag.leaves:
      writeLeaves(writer, frame);
      return;
    default:
      writeMembership(writer, frame);
  }
}

function readBody(reader: ByteReader, tag: number, length: number): Frame | undefined {
  switch (tag) {
    case Tag.absent:
    case Tag.evicted:
      return { tag, nonce: reader.u32() };
    case Tag.delta:
      return { tag, sequence: reader.u48(), block: reader.view(length - 6) };
    case Tag.fragment:
      return readFragment(reader, length);
    case Tag.nak:
      return readNak(reader);
    case Tag.nakMiss:
      return { tag, oldest: reader.u48() };
    case Tag.digest:
      return readDigest(reader);
    case Tag.want:
      return { tag, transfer: reader.u32(), ranges: readRanges(reader) };
    case Tag.offer:
      return { tag, ranges: readRanges(reader) };
    case Tag.chunk:
      return readChunk(reader, length);
    case Tag.credit:
      return readCredit(reader);
    case Tag.fetch:
      return readFetch(reader);
    case Tag.found:
      return readFound(reader, length);
    case Tag.confirm:
      return readConfirm(reader);
    case Tag.confirmed:
      return readConfirmed(reader);
    case Tag.leaves:
      return readLeaves(reader);
    default:
      return readMembership(reader, tag);
  }
}

function readFetch(reader: ByteReader): Frame | undefined {
  const nonce = reader.u32();
  const id = reader.text();
  return id.length === 0 ? undefined : { tag: Tag.fetch, nonce, id };
}

function readFound(reader: ByteReader, length: number): Frame | undefined {
  const nonce = reader.u32();
  const kept = reader.u8();
  if (kept > 1 || length < 5) return undefined;
  return { tag: Tag.found, nonce, kept: kept === 1, block: reader.view(length - 5) };
}

function writeSpan(writer: ByteWriter, { first, last }: Confirm | Confirmed): void {
  writer.u48(first);
  writer.u48(last);
}

function readConfirm(reader: ByteReader): Confirm | undefined {
  const first = reader.u48();
  const last = reader.u48();
  return first === 0 || first > last ? undefined : { tag: Tag.confirm, first, last };
}

function readConfirmed(reader: ByteReader): Confirmed | undefined {
  const boot = reader.hex(12);
  const range = readConfirm(reader);
  return range && { tag: Tag.confirmed, boot, first: range.first, last: range.last };
}

function readFragment(reader: ByteReader, length: number): Fragment | undefined {
  const sequence = reader.u48();
  const index = reader.u16();
  const count = reader.u16();
  if (count < 2 || count > limits.fragmentsPerMessageMax || index >= count) return undefined;
  if (sequence <= index || length <= 10) return undefined;
  return { tag: Tag.fragment, sequence, index, count, bytes: reader.view(length - 10) };
}

function writeNak(writer: ByteWriter, frame: Nak): void {
  writer.hex(frame.boot);
  writer.u8(frame.ranges.length);
  for (const range of frame.ranges) {
    writer.u48(range.first);
    writer.u16(range.count);
  }
}

function readNak(reader: ByteReader): Nak | undefined {
  const boot = reader.hex(12);
  const count = reader.u8();
  if (count === 0 || count > limits.nakRangesMax) return undefined;
  const ranges: SequenceRange[] = [];
  let sequences = 0;
  for (let index = 0; index < count && !reader.failed; index++) {
    const range = { first: reader.u48(), count: reader.u16() };
    sequences += range.count;
    if (range.count === 0 || sequences > limits.nakSequencesMax) return undefined;
    ranges.push(range);
  }
  return { tag: Tag.nak, boot, ranges };
}

function writeDigest(writer: ByteWriter, frame: Digest): void {
  writer.u8(frame.level);
  writer.u8(frame.nodes.length);
  for (const node of frame.nodes) {
    writer.u16(node.prefix);
    for (const half of node.children) writer.u32(half >>> 0);
  }
}

/** Nodes above the leaves: those are the ones that have children. */
const digestLevelMax = 3;

function readDigest(reader: ByteReader): Digest | undefined {
  const level = reader.u8();
  const count = reader.u8();
  if (level > digestLevelMax) return undefined;
  if (count === 0 || count > limits.digestNodesPerFrame) return undefined;
  const nodes: DigestNode[] = [];
  for (let index = 0; index < count && !reader.failed; index++) {
    const prefix = reader.u16();
    if (prefix >= 16 ** level) return undefined;
    const children: number[] = [];
    for (let half = 0; half < 32; half++) children.push(reader.u32() | 0);
    nodes.push({ prefix, children });
  }
  return { tag: Tag.digest, level, nodes };
}

function writeLeaves(writer: ByteWriter, frame: Leaves): void {
  writer.u8(frame.leaves.length);
  for (const { leaf, records } of frame.leaves) {
    writer.u16(leaf);
    writer.u8(records.length);
    for (const { key, high, low } of records) {
      writer.u16(key);
      writer.u32(high >>> 0);
      writer.u32(low >>> 0);
    }
  }
}

function readLeaves(reader: ByteReader): Leaves | undefined {
  const count = reader.u8();
  if (count === 0 || count > limits.leavesPerFrameMax) return undefined;
  const leaves: LeafDigest[] = [];
  for (let index = 0; index < count && !reader.failed; index++) {
    const leaf = reader.u16();
    const length = reader.u8();
    if (length === 0 || length > limits.leafRecordsMax) return undefined;
    const records: RecordDigest[] = [];
    for (let record = 0; record < length && !reader.failed; record++) {
      records.push({ key: reader.u16(), high: reader.u32() | 0, low: reader.u32() | 0 });
    }
    leaves.push({ leaf, records });
  }
  return { tag: Tag.leaves, leaves };
}

function writeRanges(writer: ByteWriter, ranges: readonly TrieRange[]): void {
  writer.u16(ranges.length);
  for (const range of ranges) {
    writer.u8(range.level);
    writer.u32(range.prefix);
  }
}

/** Any node of the trie, or what is left of the upper half of a hashed id: a record. */
const isRangeLevel = (level: number) => level <= digestLevelMax + 1 || level === 8;

/** A malformed list fails the reader, which fails the frame. */
function readRanges(reader: ByteReader): TrieRange[] {
  const count = reader.u16();
  if (count === 0 || count > limits.rangesPerFrameMax) reader.fail();
  const ranges: TrieRange[] = [];
  for (let index = 0; index < count && !reader.failed; index++) {
    const range = { level: reader.u8(), prefix: reader.u32() };
    if (!isRangeLevel(range.level) || range.prefix >= 16 ** range.level) reader.fail();
    ranges.push(range);
  }
  return ranges;
}

function readChunk(reader: ByteReader, length: number): Chunk | undefined {
  const transfer = reader.u32();
  const index = reader.u32();
  const last = reader.u8();
  if (last > 1 || length < 9) return undefined;
  return { tag: Tag.chunk, transfer, index, last: last === 1, bytes: reader.view(length - 9) };
}

function writeCredit(writer: ByteWriter, frame: Credit): void {
  writer.u32(frame.transfer);
  writer.u32(frame.next);
  writer.u16(frame.window);
  writer.u16(frame.missing.length);
  // Missing chunks lie between `next` and the window's end, so the distance fits 16 bits.
  for (const index of frame.missing) writer.u16(index - frame.next);
}

function readCredit(reader: ByteReader): Credit | undefined {
  const transfer = reader.u32();
  const next = reader.u32();
  const window = reader.u16();
  const count = reader.u16();
  if (count > limits.creditMissingMax || window > limits.transferWindowChunks) return undefined;
  const missing: number[] = [];
  for (let index = 0; index < count && !reader.failed; index++) missing.push(next + reader.u16());
  return { tag: Tag.credit, transfer, next, window, missing };
}
