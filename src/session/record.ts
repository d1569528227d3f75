import { compareStamps, type Stamp, zeroStamp } from "./stamp.ts";

/**
 * An attribute's value: bytes that no sidecar ever interprets, held as a string with one character
 * (0..255) a byte. Such a string costs a quarter of the memory of a Uint8Array of 100 bytes, is
 * made and written without a further allocation, and compares and copies natively.
 */
export type Value = string;

/**
 * A session's owner is the attribute without a name, which no client can give to one of its own: so
 * it merges and travels like any other. Its value is the owner's text in UTF-8.
 */
export const ownerName = "";

export interface Attribute {
  readonly name: string;
  readonly stamp: Stamp;
  /** `undefined`: removed. The removal is kept, so that an older write cannot undo it. */
  readonly value: Value | undefined;
}

/** Only *create* and *destroy* write it; so an update that arrives late never revives a session. */
export interface Life {
  readonly stamp: Stamp;
  readonly alive: boolean;
  /** Milliseconds since 1970 after which the session is over whatever its use; 0: no such limit. */
  readonly absoluteDeadlineMs: number;
}

export interface Expiry {
  readonly stamp: Stamp;
  /** How long an unused session lives; 0: for ever. */
  readonly idleMs: number;
  /** Milliseconds since 1970, as of the last replicated use; 0: none. */
  readonly idleDeadlineMs: number;
}

export const unborn: Life = Object.freeze({
  stamp: zeroStamp,
  alive: false,
  absoluteDeadlineMs: 0,
});

export const neverUsed: Expiry = Object.freeze({ stamp: zeroStamp, idleMs: 0, idleDeadlineMs: 0 });

/**
 * The replicated state of one session: a product of join-semilattices (see merge.ts). Components
 * are immutable and shared between records, deltas and requests; a record swaps them.
 *
 * A record without life (`unborn`) is legal: an update overtook the create it belongs to.
 */
export interface SessionState {
  readonly id: string;
  life: Life;
  /** Attributes stamped before it are gone. Raised by destroy, replace and create. */
  floor: Stamp;
  attributes: Attribute[];
  expiry: Expiry;
}

/**
 * A part of a session's state: what one write changed, or all of it. Deltas are states (Almeida,
 * Shoker, Baquero 2018), so merging one twice, late or out of order does no harm.
 */
export interface SessionDelta {
  readonly id: string;
  readonly life: Life | undefined;
  readonly floor: Stamp | undefined;
  readonly attributes: readonly Attribute[];
  readonly expiry: Expiry | undefined;
}

export function emptyState(id: string): SessionState {
  return { id, life: unborn, floor: zeroStamp, attributes: [], expiry: neverUsed };
}

/** The whole state as one delta, for a peer that has none of it. */
export function wholeDelta(state: SessionState): SessionDelta {
  return {
    id: state.id,
    life: state.life.stamp.time > 0 ? state.life : undefined,
    floor: state.floor.time > 0 ? state.floor : undefined,
    attributes: state.attributes,
    expiry: state.expiry.stamp.time > 0 ? state.expiry : undefined,
  };
}

/**
 * What one writer changed since a time of its own clock. Stamps of one writer only grow, so "mine
 * and not earlier" is exactly what has not been sent; what a peer has overwritten meanwhile is that
 * peer's to send.
 */
export function deltaSince(state: SessionState, since: Stamp): SessionDelta {
  const { life, floor, expiry } = state;
  const attributes: Attribute[] = [];
  for (const attribute of state.attributes) {
    if (isFresh(attribute.stamp, since)) attributes.push(attribute);
  }
  return {
    id: state.id,
    life: isFresh(life.stamp, since) ? life : undefined,
    floor: isFresh(floor, since) ? floor : undefined,
    attributes,
    expiry: isFresh(expiry.stamp, since) ? expiry : undefined,
  };
}

function isFresh(stamp: Stamp, since: Stamp): boolean {
  return stamp.tag === since.tag && stamp.time >= since.time;
}

/** Whether its create or a destroy is part of it. What has none is no session to anybody yet. */
export function hasLife({ life }: SessionState): boolean {
  return life.stamp.time > 0;
}

/**
 * Whether a state provably includes the write of this stamp: it still shows, or everything that it
 * can have written has been replaced. False does not mean that it does not.
 */
function includesWrite(state: SessionState, write: Stamp): boolean {
  const { life, floor, expiry } = state;
  if (compareStamps(floor, write) > 0 && compareStamps(life.stamp, write) > 0) return true;
  for (const stamp of [life.stamp, floor, expiry.stamp]) {
    if (compareStamps(stamp, write) === 0) return true;
  }
  return state.attributes.some(({ stamp }) => compareStamps(stamp, write) === 0);
}

/**
 * Whether who reads this state sees that write. Not so when an update has overtaken the create that
 * it belongs to.
 */
export function showsWrite(state: SessionState, write: Stamp): boolean {
  return hasLife(state) && includesWrite(state, write);
}

export function findAttribute(state: SessionState, name: string): Attribute | undefined {
  // Sessions have few attributes: a scan over an array beats a Map in time and by far in memory.
  for (const attribute of state.attributes) if (attribute.name === name) return attribute;
  return undefined;
}
