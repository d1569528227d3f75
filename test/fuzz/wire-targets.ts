import assert from "node:assert/strict";
import fc from "fast-check";
import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { framesBytesMax, limits } from "../../src/protocol/limits.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import { ByteReader } from "../../src/wire/byte-reader.ts";
import { ByteWriter } from "../../src/wire/byte-writer.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { readFrames, writeFrame } from "../../src/wire/frame-codec.ts";
import { readHeader, writeHeader } from "../../src/wire/header.ts";
import { HeaderCheck } from "../../src/wire/header-check.ts";
import { clusterIdentity, Keyring } from "../../src/wire/keyring.ts";
import { frameLists, plain } from "../support/frame-arbitraries.ts";
import { readVectors } from "../support/golden-form.ts";
import { deltas, everything } from "../support/session-arbitraries.ts";
import { breedSections } from "./sections.ts";
import { type Breed, type FuzzTarget, sized } from "./target.ts";

/** That of most golden vectors, so that they are in the corpus as they are. */
export const cluster = clusterIdentity("golden");
export const codec = new DatagramCodec("0190abcdef010123456789ab", cluster);

/** What comes before the frames. */
const clearBytes = limits.headerBytes + limits.preambleBytes;

/** What an arbitrary makes of one seed, always the same. */
export function sampled<T>(arbitrary: fc.Arbitrary<T>, count: number): T[] {
  return fc.sample(arbitrary, { seed: 1, numRuns: count });
}

export function fromHex(vectors: readonly { readonly hex: string }[]): Buffer[] {
  return vectors.map(({ hex }) => Buffer.from(hex, "hex"));
}

export function encodedFrames(list: readonly Frame[]): Buffer {
  const writer = new ByteWriter();
  for (const frame of list) writeFrame(writer, frame);
  return writer.written();
}

/** As many of the frames as one datagram holds. */
export function thatFit(list: readonly Frame[]): Frame[] {
  const kept: Frame[] = [];
  for (const frame of list) {
    if (encodedFrames([...kept, frame]).length <= framesBytesMax) kept.push(frame);
  }
  return kept;
}

export function goldenDatagrams(): Buffer[] {
  return fromHex(readVectors().datagrams);
}

export function encodedBlock(list: readonly SessionDelta[]): Uint8Array {
  const packer = deltaCodec.packer();
  for (const delta of list) packer.add(delta, Number.POSITIVE_INFINITY);
  return packer.take();
}

function tagsOf(frames: readonly Frame[]): string[] {
  return frames.map(({ tag }) => `frame ${tag}`);
}

const headerCheck = new HeaderCheck(Buffer.alloc(8, 5));

const header: FuzzTarget = {
  name: "header",
  about: "the clear part of a datagram: read as it is written, or refused with a reason",
  bytesMax: 64,
  executions: 20_000,
  corpus: () =>
    [...goldenDatagrams(), ...fromHex(readVectors().seals)].map((octets) => octets.subarray(0, 56)),
  run(input) {
    const isSealed = ((input[3] ?? 0) & 1) === 1;
    const check = isSealed ? headerCheck : undefined;
    // By chance the check would hardly ever hold, and nothing behind it be seen.
    if (isSealed && input.length >= 28) input.writeUInt16BE(headerCheck.of(input), 26);
    const read = readHeader(input, { clusterTag: cluster.clusterTag, check });
    if (typeof read === "string") return [read];
    const again = Buffer.from(input);
    writeHeader(again, read, check);
    assert.deepEqual(again, input);
    return [`read ${isSealed}`, sized("counter", read.counter)];
  },
};

const datagram: FuzzTarget = {
  name: "datagram",
  about: "whole datagrams: what is read of one can be sent on, or it is refused with a reason",
  bytesMax: limits.datagramBytesMax + 64,
  executions: 5_000,
  corpus: () => [
    ...goldenDatagrams(),
    ...sampled(frameLists(4).map(thatFit), 60)
      .filter((list) => list.length > 0)
      .map((list) => codec.encode(list, 1)),
  ],
  breed(input, other, prng, anyhow) {
    const bodies = [input, other].map((octets) => octets.subarray(clearBytes));
    const body = breedFrames(anyhow)(bodies[0] ?? input, bodies[1] ?? other, prng);
    return Buffer.concat([input.subarray(0, clearBytes), body]);
  },
  run(input) {
    const opened = codec.decode(input, 0);
    if (!opened.ok) return [opened.reject];
    const { boot, clock, frames } = opened.datagram;
    assert.match(boot, /^[0-9a-f]{24}$/);
    assert(Number.isSafeInteger(clock) && clock >= 0);
    const bytes = encodedFrames(frames).length;
    if (bytes > framesBytesMax) return ["fills the room for the seal", ...tagsOf(frames)];
    const again = codec.decode(codec.encode(frames, clock), 0);
    assert(again.ok);
    assert.deepEqual(again.datagram.frames.map(plain), frames.map(plain));
    return tagsOf(frames);
  },
};

/** Every number of a frame, at whatever depth. */
function sizesIn(frame: object): string[] {
  return Object.entries(frame).flatMap(([name, value]) => {
    if (typeof value === "number") return [sized(name, value)];
    if (typeof value !== "object" || value === null) return [];
    if (value instanceof Uint8Array) return [sized(`octets of ${name}`, value.length)];
    const inner = Array.isArray(value) ? value : [value];
    return [sized(`${name} many`, inner.length), ...inner.slice(0, 4).flatMap(sizesIn)];
  });
}

/** Of all that is counted in a frame. */
function checkLimits(frame: Frame): void {
  switch (frame.tag) {
    case Tag.heartbeat:
      assert(frame.name.length > 0 && frame.name.length <= limits.nodeNameBytesMax);
      return;
    case Tag.fragment:
      assert(frame.count <= limits.fragmentsPerMessageMax && frame.index < frame.count);
      return;
    case Tag.nak: {
      const sequences = frame.ranges.reduce((sum, { count }) => sum + count, 0);
      assert(frame.ranges.length <= limits.nakRangesMax && sequences <= limits.nakSequencesMax);
      return;
    }
    case Tag.digest:
      assert(frame.level <= 3 && frame.nodes.length <= limits.digestNodesPerFrame);
      return;
    case Tag.leaves:
      assert(frame.leaves.length <= limits.leavesPerFrameMax);
      for (const { records } of frame.leaves) assert(records.length <= limits.leafRecordsMax);
      return;
    case Tag.want:
    case Tag.offer:
      assert(frame.ranges.length <= limits.rangesPerFrameMax);
      for (const { level, prefix } of frame.ranges) assert(level <= 8 && prefix < 16 ** level);
      return;
    case Tag.credit:
      assert(frame.missing.length <= limits.creditMissingMax);
      assert(frame.window <= limits.transferWindowChunks);
      return;
    default:
  }
}

export const breedFrames = (anyhow: Breed): Breed => {
  return (input, other, prng) => breedSections(input, other, prng, () => anyhow);
};

const frames: FuzzTarget = {
  name: "frames",
  about: "the frames of a datagram: none is larger than its octets, and all can be written again",
  bytesMax: limits.datagramBytesMax,
  executions: 10_000,
  corpus: () => [
    ...goldenDatagrams().map((octets) => octets.subarray(clearBytes)),
    ...sampled(frameLists(4), 100).map(encodedFrames),
  ],
  breed: (input, other, prng, anyhow) => breedFrames(anyhow)(input, other, prng),
  run(input) {
    const read = readFrames(new ByteReader(input));
    if (read === undefined) return ["refused"];
    assert(read.length > 0 && read.length <= 31);
    const again = encodedFrames(read);
    assert.deepEqual(again, input, "there is one way to write frames");
    for (const frame of read) checkLimits(frame);
    return read.flatMap((frame) => sizesIn(frame).map((size) => `${frame.tag} ${size}`));
  },
};

function checkDelta({ id, life, floor, attributes, expiry }: SessionDelta): void {
  assert(id.length > 0 && Buffer.byteLength(id) <= 255 && id.isWellFormed());
  const stamps = [life?.stamp, floor, expiry?.stamp, ...attributes.map(({ stamp }) => stamp)];
  for (const stamp of stamps) {
    assert(stamp === undefined || (stamp.time > 0 && Number.isSafeInteger(stamp.time)));
  }
  const times = [life?.absoluteDeadlineMs, expiry?.idleMs, expiry?.idleDeadlineMs];
  for (const time of times) assert(time === undefined || Number.isSafeInteger(time));
}

const block: FuzzTarget = {
  name: "block",
  about: "blocks of deltas: no more is read than there are octets, and it can be packed again",
  bytesMax: 4_096,
  executions: 6_000,
  corpus: () => [
    ...fromHex(readVectors().blocks),
    ...sampled(fc.array(deltas(everything), { minLength: 1, maxLength: 4 }), 100).map(encodedBlock),
  ],
  run(input) {
    const read = deltaCodec.decode(input);
    if (read === undefined) return ["refused"];
    assert(read.length > 0 && read.length * 3 <= input.length);
    const attributes = read.flatMap((delta) => delta.attributes);
    assert(attributes.length * 3 <= input.length);
    const octets = attributes.reduce((sum, { value = "" }) => sum + value.length, 0);
    assert(octets <= input.length, "values come from the octets of the block");
    for (const delta of read) checkDelta(delta);
    assert.deepEqual(deltaCodec.decode(encodedBlock(read)), read);
    return [
      sized("deltas", read.length),
      sized("attributes", attributes.length),
      sized("octets", octets),
      ...read.flatMap(({ life, floor, expiry }) => [
        `parts ${[life !== undefined, life?.alive, floor !== undefined, expiry !== undefined]}`,
        sized("floor", floor?.time ?? 0),
        sized("idle", expiry?.idleMs ?? 0),
      ]),
    ];
  },
};

const [firstSeal] = readVectors().seals;
const seals = readVectors().seals.filter(({ cluster, secret, key }) => {
  return (
    [cluster, secret, key].join() === [firstSeal?.cluster, firstSeal?.secret, firstSeal?.key].join()
  );
});
const identity = Buffer.from(firstSeal?.secret ?? "", "hex");
const ring = new Keyring({ identity, use: Buffer.from(firstSeal?.key ?? "", "hex"), open: [] });
const sealedCodec = new DatagramCodec(
  "f".repeat(24),
  clusterIdentity(firstSeal?.cluster ?? "", identity),
  ring,
);

const sealed: FuzzTarget = {
  name: "sealed",
  about: "sealed datagrams: opened as they were sealed, and with any change not at all",
  bytesMax: limits.datagramBytesMax + 64,
  executions: 5_000,
  corpus: () => fromHex(seals),
  run(input) {
    const before = Buffer.from(input);
    const opened = sealedCodec.decode(input, 0);
    assert.deepEqual(input, before, "what was received is not written over");
    if (!opened.ok) return [opened.reject];
    const known = fromHex(seals).some((each) => each.equals(before));
    assert(known, "nobody but who has the key can make one");
    return tagsOf(opened.datagram.frames);
  },
};

export const wireTargets: readonly FuzzTarget[] = [header, datagram, sealed, frames, block];
