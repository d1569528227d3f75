import { fingerprintOf, type Hash64, type HashKey, hashId } from "../../session/fingerprint.ts";
import { merge } from "../../session/merge.ts";
import { hasLife, type Life, type SessionDelta } from "../../session/record.ts";
import { type Correction, earliestTime, restamp } from "../../session/restamp.ts";
import { zeroStamp } from "../../session/stamp.ts";
import type { Counters } from "../counters.ts";
import { bringNear } from "./cache-lines.ts";
import {
  type Change,
  changeOf,
  isUse,
  mayChangeOwner,
  noteNewest,
  type Observer,
} from "./change.ts";
import { DigestTrie } from "./digest-trie.ts";
import { Endings } from "./endings.ts";
import { currentSlot, isPast, slotOf } from "./expiry-wheel.ts";
import { latestEndMs } from "./lifetime.ts";
import { LiveSessions } from "./live-sessions.ts";
import { type PlaceBounds, Places } from "./places.ts";
import { RecordTable } from "./record-table.ts";
import { measureBytes, StoredRecord } from "./stored-record.ts";
import {
  compareHashes,
  isDead,
  laterSlot,
  type Stub,
  Stubs,
  stubOf,
  stubVersionMax,
  unknownFingerprint,
} from "./stubs.ts";

export interface StoreOptions extends PlaceBounds {
  readonly hashKey: HashKey;
  readonly tombstoneRetentionMs: number;
  readonly stubsMax: number;
}

/**
 * All sessions this node knows. Live ones are bounded by memory and by count and evicted least
 * recently used first; destroyed ones stay as tombstones with a bound of their own, because
 * evicting a tombstone would let a late update bring the session back. What has no room leaves a
 * stub. Every change keeps the digest.
 */
export class Store {
  readonly trie = new DigestTrie();
  readonly stubs: Stubs;
  readonly #options: StoreOptions;
  readonly #counters: Counters;
  readonly #records = new RecordTable();
  readonly #places: Places;
  readonly #endings: Endings;
  readonly live = new LiveSessions();
  /** Ids of records without life of which peers may have the rest. */
  readonly #parts = new Set<string>();
  /** The id hashed last: one command asks for one several times. */
  #hashedId = "";
  #idHash: Readonly<Hash64>;
  /** Undefined: nobody wants to know, and nothing is spent on it. */
  observer: Observer | undefined;
  /** What was held until now is known by a stub only. */
  onEvicted: (id: string) => void = () => {};

  constructor(options: StoreOptions, counters: Counters) {
    this.#options = options;
    this.#counters = counters;
    this.#endings = new Endings(this.#records, options.tombstoneRetentionMs);
    this.#idHash = hashId(options.hashKey, this.#hashedId);
    this.stubs = new Stubs(this.trie, options.stubsMax, counters.store);
    this.#places = new Places(options, {
      evicted: (record) => this.#evicted(record),
      tombstoneDropped: (record) => this.#dropTombstone(record),
    });
  }

  /** For how long a destroyed session is remembered. */
  get tombstoneRetentionMs(): number {
    return this.#endings.retentionMs;
  }

  /** From now on so long, also what is there already. */
  retainTombstones(retentionMs: number, wallMs: number): void {
    const isLess = this.#endings.retain(retentionMs);
    if (isLess) this.stubs.endDeadBy(slotOf(wallMs + retentionMs));
  }

  /**
   * The record of a session, dead or alive, or undefined. Makes a live one the most recent, as soon
   * as that may matter: to keep the order costs as much as the search.
   */
  find(id: string): StoredRecord | undefined {
    const record = this.peek(id);
    if (record !== undefined) this.#places.used(record);
    return record;
  }

  /** As `find` of each, in their order, for less than one by one. */
  findAll(sought: readonly { readonly id: string }[]): (StoredRecord | undefined)[] {
    const found = this.#findAll(sought);
    for (const record of found) if (record !== undefined) this.#places.used(record);
    return found;
  }

  #findAll(sought: readonly { readonly id: string }[]): (StoredRecord | undefined)[] {
    const hashes = sought.map(({ id }) => hashId(this.#options.hashKey, id));
    const found = this.#records.findAll(sought, hashes);
    bringNear(found);
    return found;
  }

  /** These are sought next, one by one. Changes nothing; see cache-lines.ts. */
  prefetch(sought: readonly { readonly id: string }[]): void {
    this.#findAll(sought);
  }

  /** As `find`, without making it the most recent. */
  peek(id: string): StoredRecord | undefined {
    return this.#records.find(id, this.#hash(id));
  }

  /** Whether it is held, dead or alive; without making it the most recent. */
  has(id: string): boolean {
    return this.peek(id) !== undefined;
  }

  /**
   * Whether such a session may exist though there is nothing of it to show: a stub says so, or one
   * was dropped, or an update came without the create that it belongs to. Only peers can tell.
   */
  lacks(id: string): boolean {
    if (!this.lackSome) return false;
    if (this.has(id)) return this.lacksLife(id);
    return this.stubs.lackSome || this.stubs.has(this.#hash(id));
  }

  /** Whether it is held without its life, of which peers may have the rest. */
  lacksLife(id: string): boolean {
    return this.#parts.has(id);
  }

  /** Whether there may be sessions that this node does not hold, whatever their ids. */
  get lackSome(): boolean {
    return this.stubs.size > 0 || this.stubs.lackSome || this.#parts.size > 0;
  }

  /** Whether there is a stub of it. */
  hasStub(id: string): boolean {
    return this.stubs.size > 0 && !this.has(id) && this.stubs.has(this.#hash(id));
  }

  /** Nobody has this session. A part of it is kept for its time, and asked about if it changes. */
  nobodyHas(id: string): void {
    this.#parts.delete(id);
    this.stubs.drop(this.#hash(id));
  }

  /**
   * Merges a delta, from a client or from a peer. `found` is the record, if it was found already;
   * one that has left the store since is sought again.
   * Undefined: the record is already past its end and was not taken in; else a stub of it ends.
   */
  apply(
    delta: SessionDelta,
    wallMs: number,
    found?: StoredRecord,
  ): { record: StoredRecord; changed: boolean } | undefined {
    const isHeld = found !== undefined && found.place !== "none";
    const held = isHeld ? found : this.find(delta.id);
    const record = held ?? new StoredRecord(delta.id, this.#hash(delta.id));
    const { expiry, idHash, fingerprint } = record;
    const { high, low } = fingerprint;
    const before = record.life;
    let wasStub = false;
    const merged = merge(record, delta, idHash, fingerprint);
    const changed = merged !== "nothing";
    record.fingerprint = fingerprint;
    const forgetAt = this.#endings.forgetAtMs(record);
    if (held === undefined) {
      if (!changed || isPast(forgetAt, wallMs)) return undefined;
      wasStub = this.stubs.drop(idHash);
      record.gaveUp = wasStub || this.stubs.lackSome;
      this.#records.link(record);
    }
    if (!changed) return { record, changed };
    const difference = { high: high ^ fingerprint.high, low: low ^ fingerprint.low };
    this.trie.toggle(record.leaf, difference);
    if (record.expiry !== expiry) record.ownDeadlineMs = undefined;
    this.#index(record, delta, before);
    noteNewest(record, delta);
    this.#endings.schedule(record, wallMs, forgetAt);
    // What comes back from a peer was there all the time, unless it has ended meanwhile.
    if (!wasStub) this.#tell(record, changeOf(record, merged, before));
    else if (hasLife(record) && !record.life.alive) this.#tell(record, "destroyed");
    this.#places.put(record);
    return { record, changed };
  }

  #tell({ id }: StoredRecord, change: Change | undefined): void {
    if (change !== undefined) this.observer?.(id, change);
  }

  #index(record: StoredRecord, delta: SessionDelta, before: Life): void {
    const { alive, stamp } = record.life;
    if (stamp.time === 0) this.#parts.add(record.id);
    else if (before.stamp.time === 0) this.#parts.delete(record.id);
    if (alive !== before.alive) {
      if (alive) this.live.add(record);
      else this.live.remove(record);
    } else if (alive && mayChangeOwner(delta)) this.live.updateOwner(record);
  }

  /**
   * Gives what is stamped too late an earlier stamp; see session/restamp.ts. How many records
   * changed, and the latest stamp time that any record has then.
   */
  restamp(correction: Correction, wallMs: number): { records: number; latestTime: number } {
    let records = 0;
    let latestTime = 0;
    for (const record of this.#records.all()) {
      if (restamp(record, correction)) {
        records += 1;
        this.#restamped(record, wallMs);
      }
      latestTime = Math.max(latestTime, record.newest.time, record.expiry.stamp.time);
    }
    return { records, latestTime };
  }

  #restamped(record: StoredRecord, wallMs: number): void {
    const { leaf, fingerprint: before } = record;
    this.trie.toggle(leaf, before);
    record.fingerprint = fingerprintOf(record, record.idHash);
    this.trie.toggle(leaf, record.fingerprint);
    record.newest = zeroStamp;
    noteNewest(record, record);
    record.ownDeadlineMs = undefined;
    if (record.dirtySince !== undefined) record.dirtySince = earliestTime(record);
    this.#endings.schedule(record, wallMs);
    this.observer?.(record.id, "touched");
  }

  /** Whether a whole record can be taken in without another having to go. */
  hasRoomFor(whole: SessionDelta): boolean {
    return this.room.takes(whole.life?.alive === false ? 0 : measureBytes(whole));
  }

  /** What can be taken in, of which the taker reserves a part for each record; 0: a dead one. */
  get room(): { takes(bytes: number): boolean } {
    return this.#places.room;
  }

  /** Far enough from its limits to take in what it had to give up. */
  get roomy(): boolean {
    return this.#places.roomy;
  }

  /**
   * Of a whole record that is not held and has no room, a stub: of its state, whatever this node
   * knew before, since it has none of that to give. Whether that is news; undefined: there was no
   * room for a stub either.
   */
  adopt(whole: SessionDelta, wallMs: number): boolean | undefined {
    const record = new StoredRecord(whole.id, this.#hash(whole.id));
    const { idHash, fingerprint } = record;
    merge(record, whole, idHash, fingerprint);
    record.fingerprint = fingerprint;
    const forgetAt = this.#endings.forgetAtMs(record);
    if (isPast(forgetAt, wallMs)) return false;
    if (this.stubs.full && !this.stubs.has(idHash)) return undefined;
    const stub = stubOf(record, forgetAt);
    const own = this.stubs.find(idHash);
    if (own === undefined) return this.stubs.put(stub);
    const isSame = compareHashes(own.fingerprint, stub.fingerprint) === 0;
    const version = isSame ? own.version : Math.min(own.version + 1, stubVersionMax);
    return this.stubs.put({ ...stub, version });
  }

  /**
   * A peer has a stub. Who holds a part of the record at least has more to give than that.
   * Whether the stub was new here; undefined: there was no room for it.
   */
  meet(stub: Stub, wallMs: number): boolean | undefined {
    if (stub.endSlot > 0 && stub.endSlot <= currentSlot(wallMs)) return false;
    if (this.#records.holds(stub.idHash)) return false;
    // Its giver may not know yet that tombstones are kept for less time now.
    const endSlot = Math.min(stub.endSlot, slotOf(wallMs + this.#endings.retentionMs));
    return this.stubs.meet(isDead(stub) ? { ...stub, endSlot } : stub);
  }

  /**
   * Part of a record changed of which there is only a stub: its fingerprint is not known any more,
   * and the record may live longer.
   */
  blur(delta: SessionDelta): void {
    const idHash = this.#hash(delta.id);
    const stub = this.stubs.find(idHash);
    if (stub === undefined) return;
    const endMs = latestEndMs(delta);
    const endSlot = endMs === undefined ? stub.endSlot : laterSlot(stub.endSlot, slotOf(endMs));
    this.stubs.put({ ...stub, fingerprint: unknownFingerprint, endSlot });
    this.observer?.(delta.id, isUse(delta) ? "touched" : "changed");
  }

  /** Whether some session may live elsewhere that this node has held and no longer does. */
  get hasEvicted(): boolean {
    return this.#counters.store.evicted > 0;
  }

  /** Forgets what is past its end, of much a part: then it `isSweeping`, and to be called again. */
  sweep(wallMs: number): void {
    this.stubs.sweep(currentSlot(wallMs));
    for (const record of this.#endings.takePast(wallMs)) this.#forget(record);
  }

  /** Whether there is more to forget: what others may have forgotten already, or still hold. */
  get isSweeping(): boolean {
    return this.#endings.behind;
  }

  /** The first leaf from `from` on that has records; `end`: none before that has. */
  nextLeaf(from: number, end: number): number {
    let leaf = from;
    while (leaf < end && !this.#records.hasLeaf(leaf) && !this.stubs.hasLeaf(leaf)) leaf += 1;
    return leaf;
  }

  /** In no particular order. */
  recordsOfLeaf(leaf: number): readonly StoredRecord[] {
    return this.#records.recordsOfLeaf(leaf);
  }

  leafOf(id: string): number {
    return this.#hash(id).high >>> 16;
  }

  get recordCount(): number {
    return this.#places.sessions + this.#places.tombstones;
  }

  get tombstoneCount(): number {
    return this.#places.tombstones;
  }

  get bytes(): number {
    return this.#places.bytes;
  }

  #dropTombstone(record: StoredRecord): void {
    this.#counters.store.tombstonesDropped += 1;
    this.#leaveStub(record);
  }

  #forget(record: StoredRecord): void {
    if (record.life.alive) {
      this.#counters.store.expired += 1;
      this.observer?.(record.id, "expired");
    }
    this.#unlink(record);
  }

  #evicted(record: StoredRecord): void {
    this.#counters.store.evicted += 1;
    this.observer?.(record.id, "evicted");
    this.onEvicted(record.id);
    this.#leaveStub(record);
  }

  #leaveStub(record: StoredRecord): void {
    this.#unlink(record);
    this.stubs.put(stubOf(record, this.#endings.forgetAtMs(record)));
  }

  #hash(id: string): Readonly<Hash64> {
    if (id !== this.#hashedId) {
      this.#hashedId = id;
      this.#idHash = hashId(this.#options.hashKey, id);
    }
    return this.#idHash;
  }

  #unlink(record: StoredRecord): void {
    this.#endings.remove(record);
    this.#parts.delete(record.id);
    if (record.life.alive) this.live.remove(record);
    this.#places.take(record);
    this.trie.toggle(record.leaf, record.fingerprint);
    this.#records.unlink(record);
  }
}
