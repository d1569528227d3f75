import fc from "fast-check";
import { type BootId, type Frame, type Phase, Tag } from "../../src/protocol/frames.ts";
import { fragmentBytesMax, limits } from "../../src/protocol/limits.ts";
import { fields, textOf } from "./session-arbitraries.ts";

const u16 = fc.oneof(fc.nat(0xffff), fc.constantFrom(0, 0xffff));
const u32 = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 0xffff_ffff));
const u53 = fc.oneof(fc.nat(2 ** 53 - 1), fc.constantFrom(0, 2 ** 53 - 1));
const u48 = fc.oneof(fc.nat(2 ** 48 - 1), fc.nat(9), fc.constant(2 ** 48 - 1));
const half = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)));
const hash = fields({ high: half, low: half });
const octets = (maxLength: number) => fc.uint8Array({ maxLength });

export const bootIds: fc.Arbitrary<BootId> = fc
  .uint8Array({ minLength: 12, maxLength: 12 })
  .map((bytes) => Buffer.from(bytes).toString("hex"));

/** One NAK asks for a bounded number of numbers in all: each range takes from what is left. */
const nakRanges = fc
  .array(fields({ first: u48, count: fc.integer({ min: 1, max: 9 }) }), {
    minLength: 1,
    maxLength: limits.nakRangesMax,
  })
  .map((ranges) => {
    let left: number = limits.nakSequencesMax;
    return ranges.filter(({ count }) => {
      left -= count;
      return left >= 0;
    });
  });

const spans = fc
  .tuple(u48, u48)
  .map(([one, other]) => [Math.max(1, Math.min(one, other)), Math.max(1, one, other)] as const);

const trieRanges = fc.array(
  fc.constantFrom(0, 1, 2, 3, 4, 8).chain((level) =>
    fields({
      level: fc.constant(level),
      prefix: fc.integer({ min: 0, max: 16 ** level - 1 }),
    }),
  ),
  { minLength: 1, maxLength: limits.rangesPerFrameMax, size: "max" },
);

const digests = fc.integer({ min: 0, max: 3 }).chain((level) =>
  fields({
    tag: fc.constant(Tag.digest),
    level: fc.constant(level),
    nodes: fc.array(
      fields({
        prefix: fc.nat(16 ** level - 1),
        children: fc.array(half, { minLength: 32, maxLength: 32 }),
      }),
      { minLength: 1, maxLength: limits.digestNodesPerFrame },
    ),
  }),
);

const leaves = fields({
  tag: fc.constant(Tag.leaves),
  leaves: fc.array(
    fields({
      leaf: u16,
      records: fc.array(fields({ key: u16, high: half, low: half }), {
        minLength: 1,
        maxLength: limits.leafRecordsMax,
      }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
});

const fragments = fc.integer({ min: 2, max: limits.fragmentsPerMessageMax }).chain((count) =>
  fields({
    tag: fc.constant(Tag.fragment),
    sequence: fc.integer({ min: count, max: 2 ** 48 - 1 }),
    index: fc.nat(count - 1),
    count: fc.constant(count),
    bytes: fc.uint8Array({ minLength: 1, maxLength: fragmentBytesMax }),
  }),
);

const credits = u32.chain((next) =>
  fields({
    tag: fc.constant(Tag.credit),
    transfer: u32,
    next: fc.constant(next),
    window: fc.nat(limits.transferWindowChunks),
    missing: fc.array(
      u16.map((distance) => next + distance),
      { maxLength: limits.creditMissingMax },
    ),
  }),
);

const heartbeats = fields({
  tag: fc.constant(Tag.heartbeat),
  name: textOf(limits.nodeNameBytesMax),
  phase: fc.constantFrom<Phase>("joining", "ready", "leaving"),
  hello: fc.boolean(),
  sequence: u48,
  digest: hash,
  count: u32,
  wallMs: u48,
  machineMs: u48,
  stubs: u32,
  keys: fc.array(u32, { maxLength: limits.keysMax }),
  tombstoneRetentionMs: fc.integer({
    min: limits.tombstoneRetentionMsMin,
    max: limits.durationMsMax,
  }),
});

const chunks = fields({
  tag: fc.constant(Tag.chunk),
  transfer: u32,
  index: u32,
  last: fc.boolean(),
  bytes: octets(1_300),
});

/** Every kind of frame, with whatever its fields may hold. */
export const frames: fc.Arbitrary<Frame> = fc.oneof(
  heartbeats,
  fc.constant({ tag: Tag.leave }),
  fields({ tag: fc.constant(Tag.ping), nonce: u53 }),
  fields({ tag: fc.constant(Tag.ack), nonce: u53 }),
  fields({ tag: fc.constant(Tag.delta), sequence: u48, block: octets(1_300) }),
  fragments,
  fields({ tag: fc.constant(Tag.nak), boot: bootIds, ranges: nakRanges }),
  fields({ tag: fc.constant(Tag.nakMiss), oldest: u48 }),
  digests,
  fields({ tag: fc.constant(Tag.want), transfer: u32, ranges: trieRanges }),
  fields({ tag: fc.constant(Tag.offer), ranges: trieRanges }),
  chunks,
  credits,
  fields({ tag: fc.constant(Tag.fetch), nonce: u32, id: textOf(limits.sessionIdBytesMax) }),
  fields({ tag: fc.constant(Tag.found), nonce: u32, kept: fc.boolean(), block: octets(1_300) }),
  fields({ tag: fc.constant(Tag.absent), nonce: u32 }),
  fields({ tag: fc.constant(Tag.evicted), nonce: u32 }),
  spans.map(([first, last]) => ({ tag: Tag.confirm, first, last })),
  fc
    .tuple(bootIds, spans)
    .map(([boot, [first, last]]) => ({ tag: Tag.confirmed, boot, first, last })),
  fields({ tag: fc.constant(Tag.copies), leaseMs: u32 }),
  fields({ tag: fc.constant(Tag.suspect), boot: bootIds }),
  fields({ tag: fc.constant(Tag.pingRequest), nonce: u32, boot: bootIds }),
  fields({ tag: fc.constant(Tag.vouch), nonce: u32, boot: bootIds }),
  leaves,
);

/** What one datagram may carry: no two frames of a kind. */
export function frameLists(maxLength: number): fc.Arbitrary<Frame[]> {
  return fc.uniqueArray(frames, { minLength: 1, maxLength, selector: ({ tag }) => tag });
}

/** One way to damage octets. */
export type Damage =
  | { readonly kind: "set"; readonly at: number; readonly octet: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "insert"; readonly at: number; readonly octets: Uint8Array };

export const damages: fc.Arbitrary<Damage[]> = fc.array(
  fc.oneof(
    fields({ kind: fc.constant("set" as const), at: fc.nat(), octet: fc.nat(255) }),
    fields({ kind: fc.constant("cut" as const), at: fc.nat() }),
    fields({ kind: fc.constant("insert" as const), at: fc.nat(), octets: octets(8) }),
  ),
  { minLength: 1, maxLength: 4 },
);

export function damaged(bytes: Uint8Array, sequence: readonly Damage[]): Buffer {
  let result = Buffer.from(bytes);
  for (const damage of sequence) {
    const at = damage.at % Math.max(1, result.length);
    if (damage.kind === "cut") result = result.subarray(0, at);
    else if (damage.kind === "set") {
      if (at < result.length) result[at] = damage.octet;
    } else {
      const parts = [result.subarray(0, at), damage.octets, result.subarray(at)];
      result = Buffer.concat(parts);
    }
  }
  return result;
}

/** Views into datagrams and buffers become plain octets, so that contents are compared. */
export function plain(frame: Frame): Frame {
  if (frame.tag === Tag.delta || frame.tag === Tag.found)
    return { ...frame, block: Uint8Array.from(frame.block) };
  if (frame.tag === Tag.fragment || frame.tag === Tag.chunk) {
    return { ...frame, bytes: Uint8Array.from(frame.bytes) };
  }
  return frame;
}
