import fc from "fast-check";
import { fingerprintOf, type Hash64, hashId } from "../../src/session/fingerprint.ts";
import { merge } from "../../src/session/merge.ts";
import {
  type Attribute,
  type Expiry,
  emptyState,
  type Life,
  ownerName,
  type SessionDelta,
  type SessionState,
} from "../../src/session/record.ts";
import type { Stamp } from "../../src/session/stamp.ts";
import { hashKey } from "./hash-key.ts";

/** Ordinary objects: those that fast-check makes otherwise have no prototype. */
export function fields<T extends object>(
  model: {
    [Key in keyof T]: fc.Arbitrary<T[Key]>;
  },
): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

/** Where the stamps, ids and values of generated deltas come from. */
export interface DeltaRanges {
  readonly id: fc.Arbitrary<string>;
  readonly name: fc.Arbitrary<string>;
  readonly stamp: fc.Arbitrary<Stamp>;
  readonly value: fc.Arbitrary<string>;
  readonly deadlineMs: fc.Arbitrary<number>;
  readonly attributesMax: number;
}

/** So few of everything that equal names, equal stamps and ties with other contents are common. */
export const crowded: DeltaRanges = {
  id: fc.constant("session"),
  name: fc.constantFrom("a", "b", "c", ownerName),
  stamp: fields({ time: fc.integer({ min: 1, max: 6 }), tag: fc.integer({ min: 1, max: 3 }) }),
  value: fc.constantFrom("", "x", "y", "xy"),
  deadlineMs: fc.constantFrom(0, 1, 2),
  attributesMax: 4,
};

/** A text whose UTF-8 has 1 to `bytesMax` octets, of characters of all lengths. */
export function textOf(bytesMax: number): fc.Arbitrary<string> {
  const characters = fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: bytesMax }),
    fc.string({ unit: "binary-ascii", minLength: 1, maxLength: bytesMax }),
    fc.constantFrom("é".repeat(300), "€".repeat(300), "😀".repeat(300), "x".repeat(300)),
  );
  return characters.map((text) => cutToBytes(text, bytesMax));
}

function cutToBytes(text: string, bytesMax: number): string {
  let kept = "";
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept;
}

/** All that the wire can carry, its extremes more often than chance would have it. */
export const everything: DeltaRanges = {
  id: textOf(255),
  name: textOf(255),
  stamp: fields({
    time: fc.oneof(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      fc.integer({ min: 912_000_000_000_000, max: 912_000_000_000_400 }),
      fc.constantFrom(1, Number.MAX_SAFE_INTEGER),
    ),
    tag: fc.oneof(fc.nat(3), fc.nat(0xffff_ffff), fc.constantFrom(0, 0xffff_ffff)),
  }),
  value: fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets).toString("latin1")),
    fc.constant(Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)).toString("latin1")),
  ),
  deadlineMs: fc.oneof(fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER), fc.maxSafeNat()),
  attributesMax: 5,
};

export function lives({ stamp, deadlineMs }: DeltaRanges): fc.Arbitrary<Life> {
  return fields({ stamp, alive: fc.boolean(), absoluteDeadlineMs: deadlineMs });
}

export function expiries({ stamp, deadlineMs }: DeltaRanges): fc.Arbitrary<Expiry> {
  return fields({ stamp, idleMs: deadlineMs, idleDeadlineMs: deadlineMs });
}

export function attributeLists(ranges: DeltaRanges): fc.Arbitrary<Attribute[]> {
  const { name, stamp, value, attributesMax } = ranges;
  const values = fc.option(value, { nil: undefined });
  return fc.array(fields({ name, stamp, value: values }), { maxLength: attributesMax });
}

export function deltas(ranges: DeltaRanges): fc.Arbitrary<SessionDelta> {
  return fields({
    id: ranges.id,
    life: fc.option(lives(ranges), { nil: undefined }),
    floor: fc.option(ranges.stamp, { nil: undefined }),
    attributes: attributeLists(ranges),
    expiry: fc.option(expiries(ranges), { nil: undefined }),
  });
}

/** A record as merge keeps it: the state and the fingerprint that goes with it. */
export interface Joined {
  readonly state: SessionState;
  readonly fingerprint: Hash64;
  readonly idHash: Hash64;
}

export function joinOf(sequence: readonly SessionDelta[], id = "session"): Joined {
  const idHash = hashId(hashKey, id);
  const joined = { state: emptyState(id), fingerprint: { high: 0, low: 0 }, idHash };
  for (const delta of sequence) mergeInto(joined, delta);
  return joined;
}

export function mergeInto({ state, fingerprint, idHash }: Joined, delta: SessionDelta): boolean {
  return merge(state, delta, idHash, fingerprint) !== "nothing";
}

/** The state as text that does not depend on the order in which attributes arrived. */
export function canonical(state: SessionState): string {
  const attributes = state.attributes
    .map(({ name, stamp, value }) => [name, stamp.time, stamp.tag, value ?? null])
    .sort(([left], [right]) => (String(left) < String(right) ? -1 : 1));
  const { life, floor, expiry } = state;
  return JSON.stringify([
    [life.stamp.time, life.stamp.tag, life.alive, life.absoluteDeadlineMs],
    [floor.time, floor.tag],
    [expiry.stamp.time, expiry.stamp.tag, expiry.idleMs, expiry.idleDeadlineMs],
    attributes,
  ]);
}

/** State and fingerprint as kept, and the fingerprint as it should be, in one comparable value. */
export function snapshot({ state, fingerprint, idHash }: Joined) {
  return {
    state: canonical(state),
    kept: { ...fingerprint },
    fromScratch: fingerprintOf(state, idHash),
  };
}
