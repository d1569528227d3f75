import { LRUCache } from "lru-cache";
import { assert } from "../../base/assert.ts";
import type { TrieRange } from "../../protocol/frames.ts";
import { type HashKey, hashId } from "../../session/fingerprint.ts";
import { merge } from "../../session/merge.ts";
import type { SessionDelta } from "../../session/record.ts";
import { laterStamp } from "../../session/stamp.ts";
import type { Counters } from "../counters.ts";
import { DigestTrie, leafCount, leavesOf } from "./digest-trie.ts";
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

  /**
   * Merges a delta, from a client or from a peer. Undefined: the record is already past its end
   * and was not taken in.
   */
  apply(
    delta: SessionDelta,
    wallMs: number,
  ): { record: StoredRecord; changed: boolean } | undefined {
    const held = this.find(delta.id);
    const record = held ?? new StoredRecord(delta.id, this.#options.hashKey);
    const { expiry } = record;
    const wasAlive = record.life.alive;
    if (held !== undefined) this.trie.toggle(record.leaf, record.fingerprint);
    const changed = merge(record, delta, record.idHash, record.fingerprint);
    if (held === undefined) {
      const forgetAt = forgetAtMs(record, this.#options.tombstoneRetentionMs);
      if (!changed || isPast(forgetAt, wallMs)) return undefined;
      this.#link(record);
    }
    this.trie.toggle(record.leaf, record.fingerprint);
    if (!changed) return { record, changed };
    if (record.expiry !== expiry) record.exactDeadlineMs = 0;
    this.#aliveCount += Number(record.life.alive) - Number(wasAlive);
    noteNewest(record, delta);
    this.#place(record);
    this.#wheel.schedule(record, forgetAtMs(record, this.#options.tombstoneRetentionMs));
    return { record, changed };
  }

  /** Forgets what is past its end. */
  sweep(wallMs: number): void {
    for (const record of this.#wheel.due(wallMs)) {
      if (record.place === "none") continue;
      const forgetAt = forgetAtMs(record, this.#options.tombstoneRetentionMs);
      if (isPast(forgetAt, wallMs)) this.#forget(record);
      else this.#wheel.schedule(record, forgetAt);
    }
  }

  /** All records below a node of the digest trie. */
  *recordsIn(range: TrieRange): Generator<StoredRecord> {
    const { first, end } = leavesOf(range);
    for (let leaf = first; leaf < end; leaf++) yield* this.recordsOfLeaf(leaf);
  }

  /** In no particular order. The leaf must not change while this runs. */
  *recordsOfLeaf(leaf: number): Generator<StoredRecord> {
    for (let record = this.#leaves[leaf]; record !== undefined; record = record.nextInLeaf) {
      yield record;
    }
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
    if (record.place !== "sessions" || bytes !== record.bytes) {
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

function noteNewest(record: StoredRecord, delta: SessionDelta): void {
  let { newest } = record;
  if (delta.life !== undefined) newest = laterStamp(newest, delta.life.stamp);
  if (delta.floor !== undefined) newest = laterStamp(newest, delta.floor);
  for (const attribute of delta.attributes) newest = laterStamp(newest, attribute.stamp);
  record.newest = newest;
}
