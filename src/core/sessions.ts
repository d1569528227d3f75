import { limits } from "../protocol/limits.ts";
import type { HybridClock } from "../session/hybrid-clock.ts";
import {
  type Attribute,
  type Expiry,
  findAttribute,
  type Life,
  ownerName,
  type SessionDelta,
  type Value,
} from "../session/record.ts";
import { compareStamps, type Stamp } from "../session/stamp.ts";
import type {
  DestroyedAll,
  Lifetime,
  ListPage,
  ListQuery,
  NamedValue,
  Refusal,
  SessionView,
  WriteOutcome,
} from "./commands.ts";
import { expiresAtMs, isVisible, touchWindowMs } from "./store/lifetime.ts";
import type { Store } from "./store/store.ts";
import { attributeBytes, type StoredRecord } from "./store/stored-record.ts";

export interface SessionsOptions {
  /** This boot's tag in stamps. */
  readonly tag: number;
  readonly idleMsDefault: number;
  readonly absoluteMsDefault: number;
}

/** There is such a session, and nothing of it to tell. */
const onlyUsed: WriteOutcome = { applied: true, stamp: undefined, refusal: undefined };
const nothingWritten: WriteOutcome = { applied: false, stamp: undefined, refusal: undefined };

/**
 * The commands of this node's clients. Each write takes one stamp, is merged into the store like a
 * delta from a peer, and is then due to be sent. None of them waits for anything.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #store: Store;
  readonly #clock: HybridClock;
  readonly #changed: (record: StoredRecord, stamp: Stamp) => void;
  readonly #movedTogether: (source: StoredRecord, target: StoredRecord) => void;
  readonly #isComplete: () => boolean;

  constructor(
    options: SessionsOptions,
    store: Store,
    clock: HybridClock,
    hooks: {
      /** A write is to be sent to the peers. */
      changed(record: StoredRecord, stamp: Stamp): void;
      /** These changed by one write, and no peer must hear of one without the other. */
      movedTogether(source: StoredRecord, target: StoredRecord): void;
      /** Whether the state of the peers has been taken over. */
      isComplete(): boolean;
    },
  ) {
    this.#options = options;
    this.#store = store;
    this.#clock = clock;
    this.#changed = hooks.changed;
    this.#movedTogether = hooks.movedTogether;
    this.#isComplete = hooks.isComplete;
  }

  get(id: string, wallMs: number): SessionView | undefined {
    const record = this.#visible(id, wallMs);
    if (record === undefined) return undefined;
    return {
      attributes: record.attributes,
      stamp: record.newest,
      expiresAtMs: expiresAtMs(record, record.ownDeadlineMs),
    };
  }

  create(
    id: string,
    attributes: readonly NamedValue[],
    lifetime: Lifetime,
    wallMs: number,
  ): WriteOutcome {
    if (this.#visible(id, wallMs) !== undefined) return refused("exists");
    return this.#start(id, attributes, lifetime, wallMs);
  }

  set(
    id: string,
    attributes: readonly NamedValue[],
    lifetime: Lifetime,
    wallMs: number,
  ): WriteOutcome {
    const held = this.#store.find(id);
    // Only `create` starts a session whose id was destroyed: a slow request cannot undo a logout.
    if (held !== undefined && held.place === "tombstones") return nothingWritten;
    if (held === undefined || !isVisible(held, wallMs)) {
      return this.#start(id, attributes, lifetime, wallMs);
    }
    return this.#replace(held, attributes, lifetime, wallMs);
  }

  /** `ifStamp`: only if that is the latest write that the session holds here. */
  patch(
    id: string,
    set: readonly NamedValue[],
    unset: readonly string[],
    wallMs: number,
    ifStamp?: Stamp,
  ): WriteOutcome {
    const record = this.#visible(id, wallMs);
    if (record === undefined) return nothingWritten;
    if (ifStamp !== undefined && compareStamps(ifStamp, record.newest) !== 0) {
      return refused("changed");
    }
    const stamp = this.#stamp(wallMs);
    const attributes: Attribute[] = stamped(set, stamp);
    for (const name of unset) {
      if (findAttribute(record, name) !== undefined) {
        attributes.push({ name, stamp, value: undefined });
      }
    }
    const after = sizeAfter(record.attributes, attributes);
    const refusal = refusalOf(id, after);
    if (refusal !== undefined) return refused(refusal);
    if (after.removals > limits.removalsPerSessionMax) {
      // Removal markers have piled up; a replace with the same content sheds them.
      const kept = overlay(record.attributes, attributes).filter(isKept);
      return this.#replace(record, kept.map(asNamedValue), unchangedLifetime, wallMs);
    }
    const expiry = this.#used(record, record.expiry.idleMs, stamp, wallMs);
    if (attributes.length === 0 && expiry === undefined) return onlyUsed;
    return this.#write(
      { id, life: undefined, floor: undefined, attributes, expiry },
      wallMs,
      stamp,
      record,
    );
  }

  touch(id: string, idleMs: number | undefined, wallMs: number): WriteOutcome {
    const record = this.#visible(id, wallMs);
    if (record === undefined) return nothingWritten;
    const stamp = this.#stamp(wallMs);
    const expiry = this.#used(record, idleMs ?? record.expiry.idleMs, stamp, wallMs);
    if (expiry === undefined) return onlyUsed;
    const delta = { id, life: undefined, floor: undefined, attributes: [], expiry };
    return this.#write(delta, wallMs, stamp);
  }

  /**
   * Leaves a tombstone also for a session that is not visible here but may be elsewhere: one whose
   * create is still on its way, one of which there is a stub, any that a joining node does not know
   * yet.
   */
  destroy(id: string, wallMs: number): WriteOutcome {
    const held = this.#store.find(id);
    const visible = held !== undefined && isVisible(held, wallMs);
    if (held?.place === "tombstones") return nothingWritten;
    if (held === undefined && !this.#store.lacks(id) && this.#isComplete()) return nothingWritten;
    const stamp = this.#stamp(wallMs);
    return { ...this.#write(tombstone(id, stamp), wallMs, stamp), applied: visible };
  }

  /**
   * Moves a session to another id, with all it holds: whoever knew the old id (session fixation)
   * has nothing any more. Both ids change by one stamp, and are sent as one.
   */
  rotate(id: string, newId: string, wallMs: number): WriteOutcome {
    const record = this.#visible(id, wallMs);
    if (record === undefined) return nothingWritten;
    if (id === newId || this.#visible(newId, wallMs) !== undefined) return refused("exists");
    const kept = record.attributes.filter(isKept);
    const { idleMs } = record.expiry;
    const { absoluteDeadlineMs } = record.life;
    const stamp = this.#stamp(wallMs);
    const moved: SessionDelta = {
      id: newId,
      life: { stamp, alive: true, absoluteDeadlineMs },
      floor: stamp,
      attributes: kept.map(({ name, value }) => ({ name, stamp, value })),
      expiry: expiryAt(stamp, idleMs, wallMs),
    };
    const refusal = refusalOf(newId, sizeOf(moved.attributes));
    if (refusal !== undefined) return refused(refusal);
    this.#write(tombstone(id, stamp), wallMs, stamp, record);
    const outcome = this.#write(moved, wallMs, stamp);
    const target = this.#store.peek(newId);
    if (target !== undefined) this.#movedTogether(record, target);
    return outcome;
  }

  /**
   * Ends all sessions of an owner but one: "log out everywhere". Of those that this node does not
   * hold it does not know whose they are, and says so; what others create at the same time stays.
   * One call ends a bounded number of them.
   */
  destroyAll(owner: Value, except: string | undefined, wallMs: number): DestroyedAll {
    const ids: string[] = [];
    let more = false;
    for (const id of this.#store.live.ids("", "", owner)) {
      more = ids.length >= limits.destroyAllPerTurnMax;
      if (more) break;
      if (id !== except && this.#visible(id, wallMs) !== undefined) ids.push(id);
    }
    let last: Stamp | undefined;
    for (const id of ids) {
      last = this.#stamp(wallMs);
      this.#write(tombstone(id, last), wallMs, last);
    }
    return { count: ids.length, stamp: last, complete: !this.#store.lackSome, more };
  }

  /**
   * In the order of ids, so that a cursor (the last id looked at) stays valid whatever comes and
   * goes meanwhile. One call looks at a bounded number of records: a page may be short, or empty,
   * and still have a cursor.
   */
  list(query: ListQuery, wallMs: number): ListPage {
    const { limit } = query;
    const sessions: { id: string; expiresAtMs: number }[] = [];
    let scanned = 0;
    let last = "";
    for (const id of this.#store.live.ids(query.prefix, query.cursor, query.owner)) {
      if (sessions.length >= limit || scanned >= limits.listScanMax) {
        return { sessions, cursor: last };
      }
      scanned += 1;
      last = id;
      const record = this.#store.peek(id);
      if (record === undefined || !isVisible(record, wallMs)) continue;
      sessions.push({ id, expiresAtMs: expiresAtMs(record, record.ownDeadlineMs) });
    }
    return { sessions, cursor: "" };
  }

  #visible(id: string, wallMs: number): StoredRecord | undefined {
    const record = this.#store.find(id);
    if (record === undefined || !isVisible(record, wallMs)) return undefined;
    return record;
  }

  #start(
    id: string,
    values: readonly NamedValue[],
    lifetime: Lifetime,
    wallMs: number,
  ): WriteOutcome {
    const stamp = this.#stamp(wallMs);
    const attributes = stamped(values, stamp);
    const refusal = refusalOf(id, sizeOf(attributes));
    if (refusal !== undefined) return refused(refusal);
    const idleMs = lifetime.idleMs ?? this.#options.idleMsDefault;
    const absoluteMs = lifetime.absoluteMs ?? this.#options.absoluteMsDefault;
    const absoluteDeadlineMs = absoluteMs === 0 ? 0 : Math.floor(wallMs) + absoluteMs;
    const delta: SessionDelta = {
      id,
      life: { stamp, alive: true, absoluteDeadlineMs },
      floor: stamp,
      attributes,
      expiry: expiryAt(stamp, idleMs, wallMs),
    };
    return this.#write(delta, wallMs, stamp);
  }

  #replace(
    record: StoredRecord,
    values: readonly NamedValue[],
    lifetime: Lifetime,
    wallMs: number,
  ): WriteOutcome {
    const stamp = this.#stamp(wallMs);
    const attributes = stamped(values, stamp);
    const owner = findAttribute(record, ownerName)?.value;
    // Whose it is changes only where a request says so.
    if (owner !== undefined && !names(attributes, ownerName)) {
      attributes.push({ name: ownerName, stamp, value: owner });
    }
    const refusal = refusalOf(record.id, sizeOf(attributes));
    if (refusal !== undefined) return refused(refusal);
    const expiry = this.#used(record, lifetime.idleMs ?? record.expiry.idleMs, stamp, wallMs);
    const delta = { id: record.id, life: undefined, floor: stamp, attributes, expiry };
    return this.#write(delta, wallMs, stamp, record);
  }

  /**
   * The session was used now. The replicated deadline follows only when it has moved by more than
   * the window that peers grant anyway; else the use is noted for this node alone.
   */
  #used(record: StoredRecord, idleMs: number, stamp: Stamp, wallMs: number): Expiry | undefined {
    const next = expiryAt(stamp, idleMs, wallMs);
    const moved = next.idleDeadlineMs - record.expiry.idleDeadlineMs;
    if (idleMs !== record.expiry.idleMs || moved > touchWindowMs(idleMs)) return next;
    record.ownDeadlineMs = Math.max(record.ownDeadlineMs ?? 0, next.idleDeadlineMs);
    return undefined;
  }

  /** `held` is the record, if it was found already. */
  #write(delta: SessionDelta, wallMs: number, stamp: Stamp, held?: StoredRecord): WriteOutcome {
    const applied = this.#store.apply(delta, wallMs, held);
    // A session that ends the moment it starts is not worth keeping.
    if (applied === undefined) return { applied: true, stamp, refusal: undefined };
    this.#changed(applied.record, stamp);
    return { applied: true, stamp, refusal: undefined };
  }

  #stamp(wallMs: number): Stamp {
    return { time: this.#clock.issue(wallMs), tag: this.#options.tag };
  }
}

const noAttributes: readonly Attribute[] = [];
const unchangedLifetime: Lifetime = { idleMs: undefined, absoluteMs: undefined };

function tombstone(id: string, stamp: Stamp): SessionDelta {
  const life: Life = { stamp, alive: false, absoluteDeadlineMs: 0 };
  return { id, life, floor: stamp, attributes: [], expiry: undefined };
}

function refused(refusal: Refusal): WriteOutcome {
  return { applied: false, stamp: undefined, refusal };
}

/** What is limited of a session: its attributes, their octets, and the marks of removed ones. */
interface Size {
  attributes: number;
  bytes: number;
  removals: number;
}

function sizeOf(attributes: readonly Attribute[]): Size {
  return sizeAfter(noAttributes, attributes);
}

/** The size as it will be once `changes` are merged over what is held. */
function sizeAfter(held: readonly Attribute[], changes: readonly Attribute[]): Size {
  const size = { attributes: 0, bytes: 0, removals: 0 };
  for (const attribute of held) if (!names(changes, attribute.name)) addSize(size, attribute);
  for (const change of changes) addSize(size, change);
  return size;
}

/** A loop and no closure: every write comes by here for each attribute held. */
function names(changes: readonly Attribute[], name: string): boolean {
  for (const change of changes) if (change.name === name) return true;
  return false;
}

function addSize(size: Size, attribute: Attribute): void {
  if (!isKept(attribute)) {
    size.removals += 1;
    return;
  }
  if (attribute.name !== ownerName) size.attributes += 1;
  size.bytes += attributeBytes(attribute);
}

function isKept(attribute: Attribute): boolean {
  return attribute.value !== undefined;
}

function refusalOf(id: string, size: Size): Refusal | undefined {
  if (id.length === 0) return "bad_id";
  if (size.attributes > limits.attributesPerSessionMax) return "too_many_attributes";
  return size.bytes > limits.sessionBytesMax ? "too_large" : undefined;
}

/** The idle time may be a peer's word; the end must still be a number that can be sent. */
function expiryAt(stamp: Stamp, idleMs: number, wallMs: number): Expiry {
  const endMs = Math.min(Math.floor(wallMs) + idleMs, Number.MAX_SAFE_INTEGER);
  return { stamp, idleMs, idleDeadlineMs: idleMs === 0 ? 0 : endMs };
}

function stamped(values: readonly NamedValue[], stamp: Stamp): Attribute[] {
  return values.map(({ name, value }) => ({ name, stamp, value }));
}

function asNamedValue(attribute: Attribute): NamedValue {
  return { name: attribute.name, value: attribute.value ?? "" };
}

/** The attributes as they will be once `changes` are merged over them. */
function overlay(held: readonly Attribute[], changes: readonly Attribute[]): Attribute[] {
  const after = [...held];
  for (const change of changes) {
    const index = after.findIndex((attribute) => attribute.name === change.name);
    if (index < 0) after.push(change);
    else after[index] = change;
  }
  return after;
}
