import { LRUCache } from "lru-cache";
import { assert } from "../../base/assert.ts";
import { fingerprintOf, type HashKey, hashId } from "../../session/fingerprint.ts";
import { merge } from "../../session/merge.ts";
import type { SessionDelta, SessionState } from "../../session/record.ts";
import { type Correction, restamp } from "../../session/restamp.ts";
import { laterStamp, zeroStamp } from "../../session/stamp.ts";
import type { Counters } from "../counters.ts";
import { DigestTrie, leafCount } from "./digest-trie.ts";
import { ExpiryWheel, isPast } from "./expiry-wheel.ts";
import { forgetAtMs } from "./lifetime.ts";
import { measureBytes, StoredRecord } from "./stored-record.ts";

export interface StoreOptions {
  readonly hashKey: HashKey;
  readonly bytesMax: number;
  readonly countMax: number;
  readonly tombstonesMax: number;
  readonly tombstoneRetentionMs: number;
}

const fullShare = 0.97;
const noRecords: readonly StoredRecord[] = [];

/**
 * All sessions this node knows. Live ones are bounded by memory and by count and evicted least
 * recently used first; destroyed ones stay as tombstones in a map of their own, because evicting a
 * tombstone would let a late update bring the session back. Every change keeps the digest.
 */
export class Store {
  readonly trie = new DigestTrie();
  readonly #options: StoreOptions;
  readonly #counters: Counters;
  readonly #sessions: LRUCache<string, StoredRecord>;
  readonly #tombstones = new Map<string, StoredRecord>();
  readonly #leaves = new Array<StoredRecord | undefined>(leafCount).fill(undefined);
  readonly #wheel = new ExpiryWheel();
  #aliveCount = 0;
  /** The latest stamp time of a tombstone that was dropped for lack of room. */
  #droppedTime = 0;

  constructor(options: StoreOptions, counters: Counters) {
    this.#options = options;
    this.#counters = counters;
    // No `max`: it would allocate for the full count at once. The count is bounded in #place.
    this.#sessions = new LRUCache<string, StoredRecord>({
      maxSize: options.bytesMax,
      dispose: (record, _id, reason) => {
        if (reason === "evict") this.#evicted(record);
      },
    });
  }

  /** The record of a session, dead or alive, or undefined. Makes a live one the most recent. */
  find(id: string): StoredRecord | undefined {
    return this.#sessions.get(id) ?? this.#tombstones.get(id);
  }

  /** As `find`, without making it the most recent. */
  peek(id: string): StoredRecord | undefined {
    return this.#sessions.peek(id) ?? this.#tombstones.get(id);
  }

  /** Whether it is held, dead or alive; without making it the most recent. */
  has(id: string): boolean {
    return this.#sessions.has(id) || this.#tombstones.has(id);
  }

  /**
   * Merges a delta, from a client or from a peer. `held` is the record, if it was found already.
   * Undefined: the record is already past its end and was not taken in.
   */
  apply(
    delta: SessionDelta,
    wallMs: number,
    held = this.find(delta.id),
  ): { record: StoredRecord; changed: boolean } | undefined {
    const record = held ?? new StoredRecord(delta.id, this.#options.hashKey);
    const { expiry, fingerprint } = record;
    const { high, low } = fingerprint;
    const wasAlive = record.life.alive;
    const changed = merge(record, delta, record.idHash, fingerprint);
    const forgetAt = forgetAtMs(record, this.#options.tombstoneRetentionMs);
    if (held === undefined) {
      if (!changed || isPast(forgetAt, wallMs) || this.#isDropped(record)) return undefined;
      this.#link(record);
    }
    if (!changed) return { record, changed };
    const difference = { high: high ^ fingerprint.high, low: low ^ fingerprint.low };
    this.trie.toggle(record.leaf, difference);
    if (record.expiry !== expiry) record.ownDeadlineMs = 0;
    this.#aliveCount += Number(record.life.alive) - Number(wasAlive);
    noteNewest(record, delta);
    this.#wheel.schedule(record, forgetAt, wallMs);
    this.#place(record);
    return { record, changed };
  }

  /**
   * Gives what is stamped too late an earlier stamp; see session/restamp.ts. How many records
   * changed, and the latest stamp time that any record has then.
   */
  restamp(correction: Correction, wallMs: number): { records: number; latestTime: number } {
    let records = 0;
    let latestTime = 0;
    for (let leaf = 0; leaf < leafCount; leaf++) {
      for (let record = this.#leaves[leaf]; record !== undefined; record = record.nextInLeaf) {
        if (restamp(record, correction)) {
          records += 1;
          this.#restamped(record, wallMs);
        }
        latestTime = Math.max(latestTime, record.newest.time, record.expiry.stamp.time);
      }
    }
    return { records, latestTime };
  }

  #restamped(record: StoredRecord, wallMs: number): void {
    const { fingerprint } = record;
    this.trie.toggle(record.leaf, fingerprint);
    Object.assign(fingerprint, fingerprintOf(record, record.idHash));
    this.trie.toggle(record.leaf, fingerprint);
    record.newest = zeroStamp;
    noteNewest(record, record);
    record.ownDeadlineMs = 0;
    // What waits to be sent has earlier stamps now, none before the earliest that is held.
    if (record.dirtySince > 0) record.dirtySince = earliestTime(record);
    this.#wheel.schedule(record, forgetAtMs(record, this.#options.tombstoneRetentionMs), wallMs);
  }

  /** Whether some session may live elsewhere that this node has held and no longer does. */
  get hasEvicted(): boolean {
    return this.#counters.store.evicted > 0;
  }

  /** Forgets what is past its end. */
  sweep(wallMs: number): void {
    for (const record of this.#wheel.due(wallMs)) {
      const forgetAt = forgetAtMs(record, this.#options.tombstoneRetentionMs);
      if (isPast(forgetAt, wallMs)) this.#forget(record);
      else this.#wheel.schedule(record, forgetAt, wallMs);
    }
  }

  /** The first leaf from `from` on that has records; `end`: none before that has. */
  nextLeaf(from: number, end: number): number {
    let leaf = from;
    while (leaf < end && this.#leaves[leaf] === undefined) leaf += 1;
    return leaf;
  }

  /** In no particular order. */
  recordsOfLeaf(leaf: number): readonly StoredRecord[] {
    let record = this.#leaves[leaf];
    if (record === undefined) return noRecords;
    const records: StoredRecord[] = [];
    for (; record !== undefined; record = record.nextInLeaf) records.push(record);
    return records;
  }

  leafOf(id: string): number {
    return hashId(this.#options.hashKey, id).high >>> 16;
  }

  /** Sessions that are alive, counting those whose end came less than an expiry slot ago. */
  get aliveCount(): number {
    return this.#aliveCount;
  }

  get recordCount(): number {
    return this.#sessions.size + this.#tombstones.size;
  }

  get tombstoneCount(): number {
    return this.#tombstones.size;
  }

  /** Close to its limits, so that it evicts. */
  get full(): boolean {
    const { bytesMax, countMax } = this.#options;
    return this.bytes > bytesMax * fullShare || this.#sessions.size > countMax * fullShare;
  }

  get bytes(): number {
    return this.#sessions.calculatedSize;
  }

  #place(record: StoredRecord): void {
    const dead = !record.life.alive && record.life.stamp.time > 0;
    const bytes = measureBytes(record);
    if (dead) {
      if (record.place === "sessions") this.#sessions.delete(record.id);
      record.place = "tombstones";
      this.#tombstones.set(record.id, record);
      if (this.#tombstones.size > this.#options.tombstonesMax) this.#dropOldestTombstone();
      return;
    }
    if (record.place === "tombstones") this.#tombstones.delete(record.id);
    if (bytes > this.#options.bytesMax) {
      if (record.place === "sessions") this.#sessions.delete(record.id);
      this.#evicted(record);
      return;
    }
    if (record.place !== "sessions" || bytes !== record.bytes) {
      // The cache charges a value only when it is new to it.
      if (record.place === "sessions") this.#sessions.delete(record.id);
      record.place = "sessions";
      record.bytes = bytes;
      this.#sessions.set(record.id, record, { size: bytes });
    }
    if (this.#sessions.size > this.#options.countMax) this.#sessions.pop();
  }

  #dropOldestTombstone(): void {
    const [oldest] = this.#tombstones.values();
    assert(oldest !== undefined, "a full map has a first entry");
    this.#counters.store.tombstonesDropped += 1;
    this.#tombstones.delete(oldest.id);
    this.#unlink(oldest);
    this.#droppedTime = Math.max(this.#droppedTime, oldest.life.stamp.time);
  }

  /** A tombstone as old as those dropped for lack of room: taking it in would drop another. */
  #isDropped(record: StoredRecord): boolean {
    const { life } = record;
    return !life.alive && life.stamp.time > 0 && life.stamp.time <= this.#droppedTime;
  }

  #forget(record: StoredRecord): void {
    if (record.life.alive) this.#counters.store.expired += 1;
    if (record.place === "sessions") this.#sessions.delete(record.id);
    else this.#tombstones.delete(record.id);
    this.#unlink(record);
  }

  #evicted(record: StoredRecord): void {
    this.#counters.store.evicted += 1;
    this.#unlink(record);
  }

  #link(record: StoredRecord): void {
    record.nextInLeaf = this.#leaves[record.leaf];
    this.#leaves[record.leaf] = record;
  }

  #unlink(record: StoredRecord): void {
    this.#wheel.remove(record);
    if (record.life.alive) this.#aliveCount -= 1;
    record.place = "none";
    this.trie.toggle(record.leaf, record.fingerprint);
    const { leaf } = record;
    let before = this.#leaves[leaf];
    if (before === record) {
      this.#leaves[leaf] = record.nextInLeaf;
      return;
    }
    while (before !== undefined && before.nextInLeaf !== record) before = before.nextInLeaf;
    assert(before !== undefined, "a record hangs in the list of its leaf");
    before.nextInLeaf = record.nextInLeaf;
  }
}

/** Of what is stamped at all. */
function earliestTime({ life, floor, expiry, attributes }: SessionState): number {
  const times = [life.stamp, floor, expiry.stamp, ...attributes.map(({ stamp }) => stamp)];
  return Math.min(...times.map(({ time }) => time).filter((time) => time > 0));
}

function noteNewest(record: StoredRecord, delta: SessionDelta): void {
  let { newest } = record;
  if (delta.life !== undefined) newest = laterStamp(newest, delta.life.stamp);
  if (delta.floor !== undefined) newest = laterStamp(newest, delta.floor);
  for (const attribute of delta.attributes) newest = laterStamp(newest, attribute.stamp);
  record.newest = newest;
}
