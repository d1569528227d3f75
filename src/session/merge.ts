import { type Hash64, hashComponent, xorInto } from "./fingerprint.ts";
import type { Attribute, Expiry, Life, SessionDelta, SessionState } from "./record.ts";
import { compareStamps, type Stamp } from "./stamp.ts";

/** What a merge has changed; `use`: no more than when the session was last used, and its end. */
export type Merged = "nothing" | "use" | "content";

/**
 * The join. Each component is a lattice of its own, ordered by stamp, and a tie (one writer, one
 * stamp, two contents: only a broken peer makes it) is broken by content, so that every replica
 * makes the same choice:
 *
 *     life, expiry    the later stamp wins
 *     floor           the maximum
 *     attributes      per name the later stamp wins; those stamped before the floor are gone
 *
 * Hence merge is commutative, associative and idempotent, and the fingerprint, an XOR over the
 * components, is a function of the state alone.
 *
 * Attributes later than the floor are kept in a dead record too: they are not visible, but a
 * create that both of two replicas see must leave both with the same attributes.
 *
 * Returns what changed. `fingerprint` is updated in place.
 */
export function merge(
  state: SessionState,
  delta: SessionDelta,
  idHash: Hash64,
  fingerprint: Hash64,
): Merged {
  let merged: Merged = "nothing";
  if (delta.expiry !== undefined && expiryWins(delta.expiry, state.expiry)) {
    swap(fingerprint, idHash, "expiry", "", state.expiry.stamp, delta.expiry.stamp);
    state.expiry = delta.expiry;
    merged = "use";
  }
  if (delta.floor !== undefined && compareStamps(delta.floor, state.floor) > 0) {
    raiseFloor(state, delta.floor, idHash, fingerprint);
    merged = "content";
  }
  if (delta.life !== undefined && lifeWins(delta.life, state.life)) {
    swap(fingerprint, idHash, "life", "", state.life.stamp, delta.life.stamp);
    state.life = delta.life;
    merged = "content";
  }
  const { length } = state.attributes;
  const indexes = delta.attributes.length > scannedMax ? indexesOf(state.attributes) : undefined;
  for (const attribute of delta.attributes) {
    if (mergeAttribute(state, attribute, idHash, fingerprint, indexes)) merged = "content";
  }
  // An array that grows has room for sixteen more, which a million records would keep for nothing.
  if (state.attributes.length > length) state.attributes = state.attributes.slice();
  return merged;
}

function raiseFloor(state: SessionState, floor: Stamp, idHash: Hash64, fingerprint: Hash64): void {
  swap(fingerprint, idHash, "floor", "", state.floor, floor);
  state.floor = floor;
  let kept = 0;
  for (const attribute of state.attributes) {
    if (compareStamps(attribute.stamp, floor) >= 0) state.attributes[kept++] = attribute;
    else xorInto(fingerprint, hashComponent(idHash, "attribute", attribute.name, attribute.stamp));
  }
  state.attributes.length = kept;
}

/** So many names are sought one by one; a peer may send a million, which would take for ever. */
const scannedMax = 512;

function indexesOf(attributes: readonly Attribute[]): Map<string, number> {
  return new Map(attributes.map(({ name }, index) => [name, index]));
}

/** Where the attribute of that name is; negative: there is none. */
function indexOf(attributes: readonly Attribute[], name: string): number {
  for (let index = 0; index < attributes.length; index++) {
    if ((attributes[index] as Attribute).name === name) return index;
  }
  return -1;
}

function mergeAttribute(
  state: SessionState,
  incoming: Attribute,
  idHash: Hash64,
  fingerprint: Hash64,
  indexes: Map<string, number> | undefined,
): boolean {
  if (compareStamps(incoming.stamp, state.floor) < 0) return false;
  const { attributes } = state;
  const { name } = incoming;
  const index = indexes === undefined ? indexOf(attributes, name) : (indexes.get(name) ?? -1);
  if (index >= 0) {
    const held = attributes[index] as Attribute;
    if (!attributeWins(incoming, held)) return false;
    swap(fingerprint, idHash, "attribute", incoming.name, held.stamp, incoming.stamp);
    attributes[index] = incoming;
    return true;
  }
  indexes?.set(name, attributes.length);
  attributes.push(incoming);
  xorInto(fingerprint, hashComponent(idHash, "attribute", incoming.name, incoming.stamp));
  return true;
}

function swap(
  fingerprint: Hash64,
  idHash: Hash64,
  component: "life" | "floor" | "expiry" | "attribute",
  name: string,
  before: Stamp,
  after: Stamp,
): void {
  if (before.time > 0) xorInto(fingerprint, hashComponent(idHash, component, name, before));
  xorInto(fingerprint, hashComponent(idHash, component, name, after));
}

function lifeWins(incoming: Life, held: Life): boolean {
  const order = compareStamps(incoming.stamp, held.stamp);
  if (order !== 0) return order > 0;
  if (incoming.alive !== held.alive) return !incoming.alive;
  return incoming.absoluteDeadlineMs > held.absoluteDeadlineMs;
}

function expiryWins(incoming: Expiry, held: Expiry): boolean {
  const order = compareStamps(incoming.stamp, held.stamp);
  if (order !== 0) return order > 0;
  if (incoming.idleDeadlineMs !== held.idleDeadlineMs) {
    return incoming.idleDeadlineMs > held.idleDeadlineMs;
  }
  return incoming.idleMs > held.idleMs;
}

function attributeWins(incoming: Attribute, held: Attribute): boolean {
  const order = compareStamps(incoming.stamp, held.stamp);
  if (order !== 0) return order > 0;
  if (incoming.value === held.value) return false;
  if (held.value === undefined) return true;
  return incoming.value !== undefined && incoming.value > held.value;
}
