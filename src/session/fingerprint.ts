import type { SessionState } from "./record.ts";
import type { Stamp } from "./stamp.ts";

/**
 * 64-bit hashes as two signed 32-bit halves: JavaScript multiplies no wider integers exactly
 * without allocating, and signed ones stay unboxed in memory. Mixing is murmur3's (Appleby); the
 * key makes the XOR sums of the digest useless to somebody who does not know it, and separates
 * clusters.
 */
export interface Hash64 {
  high: number;
  low: number;
}

export interface HashKey {
  readonly high: number;
  readonly low: number;
}

/** Part of the fingerprint's definition: append only. */
const componentSeeds = {
  life: 0x1b873593,
  floor: 0x2c1b3c6d,
  expiry: 0x38495ab5,
  attribute: 0x4cf5ad43,
} as const;

export type Component = keyof typeof componentSeeds;

/** Where a session lives in the digest trie, and the seed of all its component hashes. */
export function hashId(key: HashKey, id: string): Hash64 {
  let high = key.high;
  let low = key.low;
  for (let index = 0; index < id.length; index++) {
    const unit = id.charCodeAt(index);
    high = Math.imul(high ^ unit, 0xcc9e2d51);
    high = (high << 13) | (high >>> 19);
    low = Math.imul(low ^ unit, 0x85ebca6b);
    low = (low << 15) | (low >>> 17);
  }
  return { high: finish(high ^ id.length), low: finish(low ^ high) };
}

/**
 * One scratch result, overwritten by the next call: a fingerprint is updated several times for
 * every replicated write, and none of the callers keeps the result.
 */
const scratch: Hash64 = { high: 0, low: 0 };

/** The hash of one (component, name, stamp) of one session, as 64 bits in a shared object. */
export function hashComponent(
  idHash: Hash64,
  component: Component,
  name: string,
  stamp: Stamp,
): Hash64 {
  // Two mixers, each seeded with its half of the hashed id: names that collide in both for one
  // session are as rare as 64 bits make them, and do not collide for another.
  let high = idHash.high ^ componentSeeds[component];
  let low = idHash.low + componentSeeds[component];
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index);
    high = Math.imul(high ^ unit, 0x5bd1e995);
    high ^= high >>> 13;
    low = Math.imul(low ^ unit, 0x9e3779b1);
    low = (low << 11) | (low >>> 21);
  }
  const timeHigh = Math.floor(stamp.time / 4_294_967_296);
  const timeLow = stamp.time >>> 0;
  high = Math.imul(high ^ timeHigh, 0xcc9e2d51);
  high = Math.imul(((high << 15) | (high >>> 17)) ^ timeLow, 0x1b873593);
  high = ((high << 13) | (high >>> 19)) ^ stamp.tag;
  low = Math.imul(low ^ timeLow, 0x85ebca6b);
  low = Math.imul(((low << 13) | (low >>> 19)) ^ stamp.tag, 0xc2b2ae35);
  low = ((low << 16) | (low >>> 16)) ^ timeHigh;
  scratch.high = finish(high);
  scratch.low = finish(low ^ scratch.high);
  return scratch;
}

export function xorInto(target: Hash64, other: Hash64): void {
  target.high ^= other.high;
  target.low ^= other.low;
}

/** From scratch what merge keeps up incrementally; tests hold the two against each other. */
export function fingerprintOf(state: SessionState, idHash: Hash64): Hash64 {
  const sum: Hash64 = { high: 0, low: 0 };
  const add = (component: Component, name: string, stamp: Stamp) => {
    if (stamp.time > 0) xorInto(sum, hashComponent(idHash, component, name, stamp));
  };
  add("life", "", state.life.stamp);
  add("floor", "", state.floor);
  add("expiry", "", state.expiry.stamp);
  for (const attribute of state.attributes) add("attribute", attribute.name, attribute.stamp);
  return sum;
}

/** murmur3's finaliser: every input bit reaches every output bit. */
function finish(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
