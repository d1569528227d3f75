import type { Hash64 } from "../../session/fingerprint.ts";
import { hasLife } from "../../session/record.ts";
import type { Counters } from "../counters.ts";
import type { DigestTrie } from "./digest-trie.ts";
import { slotOf } from "./expiry-wheel.ts";
import { measureBytes, type StoredRecord } from "./stored-record.ts";

/** What a node remembers of a record that it knows of and does not hold. */
export interface Stub {
  readonly idHash: Readonly<Hash64>;
  /** Of the state as last known; zero: that is not known. */
  readonly fingerprint: Readonly<Hash64>;
  /** The expiry slot in which it is forgotten; 0: never. */
  readonly endSlot: number;
  /** What the record would be charged; 0: it is of a destroyed session. */
  readonly bytes: number;
  /** Counts up whenever the fingerprint is that of a peer's record: of two stubs, who is right. */
  readonly version: number;
}

export const stubVersionMax = 0x7fffffff;

/** That of a stub of whose record some change is not known. */
export const unknownFingerprint: Hash64 = Object.freeze({ high: 0, low: 0 });

export function isUnknown({ fingerprint: { high, low } }: Stub): boolean {
  return high === 0 && low === 0;
}

export function compareHashes(left: Readonly<Hash64>, right: Readonly<Hash64>): number {
  return (left.high >>> 0) - (right.high >>> 0) || (left.low >>> 0) - (right.low >>> 0);
}

/** Of a destroyed session: it is kept as long as a tombstone is. */
export function isDead({ bytes, endSlot }: Stub): boolean {
  return bytes === 0 && endSlot > 0;
}

/** 0 is never, hence the latest. */
export function laterSlot(left: number, right: number): number {
  return left === 0 || right === 0 ? 0 : Math.max(left, right);
}

/** In the column of ends: nothing is stored in this row. */
const free = -1;
const rowsMin = 64;
/** By the first bits of the hashed id, so that a leaf's are neighbours; of a leaf, sixteen. */
const bucketBits = 20;
const bucketsPerLeaf = 16;
/** Greater than every slot. */
const noSlot = 0x7fffffff;
const columnNames = ["idHigh", "idLow", "high", "low", "end", "bytes", "version", "next"] as const;
type Columns = Readonly<Record<(typeof columnNames)[number], Int32Array>>;

/**
 * The stubs of a node without room: one for each record that it had to give up, or never took in.
 * A stub counts in the digest as its record does, so that the digest says what a node knows, and
 * nodes of unequal capacity come to rest. It is known by its hashed id alone and takes 32 octets,
 * in columns instead of objects. A hash table of linked rows, in the order of the trie's leaves; a
 * sweep looks at all.
 */
export class Stubs {
  readonly #trie: DigestTrie;
  readonly #max: number;
  readonly #counters: Counters["store"];
  /** Row of a bucket's first stub, plus 1; 0: it has none. Made when the first stub comes. */
  #heads = new Int32Array(0);
  #columns = columnsFor(rowsMin);
  /** The first unused row, plus 1, and through `next` all others; 0: rows are used up. */
  #free = 0;
  /** Rows from here on were never used. */
  #rows = 0;
  #size = 0;
  /** How many were ever new, or known again; only grows. */
  inserted = 0;
  #bytes = 0;
  /** Where to look for the oldest: rows fill up in order, and are given up in order. */
  #oldest = 0;
  /** No stub ends in a slot before this. */
  #nextEnd = noSlot;
  #lackingUntil = 0;

  constructor(trie: DigestTrie, max: number, counters: Counters["store"]) {
    this.#trie = trie;
    this.#max = max;
    this.#counters = counters;
  }

  get size(): number {
    return this.#size;
  }

  /** What all their records would be charged. */
  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#size >= this.#max;
  }

  /** Some were dropped for lack of room and have not ended: any session may be one of theirs. */
  get lackSome(): boolean {
    return this.#lackingUntil > 0;
  }

  has(idHash: Readonly<Hash64>): boolean {
    return this.#find(idHash) >= 0;
  }

  find(idHash: Readonly<Hash64>): Stub | undefined {
    const row = this.#find(idHash);
    return row < 0 ? undefined : this.#stubAt(row);
  }

  /** Keeps a stub, in place of the one of that id. Whether the fingerprint is news. */
  put(stub: Stub): boolean {
    const { high, low } = stub.fingerprint;
    let row = this.#find(stub.idHash);
    let before: Readonly<Hash64> = { high: 0, low: 0 };
    if (row < 0) row = this.#insert(stub.idHash);
    else {
      before = this.#stubAt(row).fingerprint;
      // One that was blurred is worth asking for again.
      if (before.high === 0 && before.low === 0 && (high !== 0 || low !== 0)) this.inserted += 1;
      this.#bytes -= this.#columns.bytes[row] as number;
    }
    const columns = this.#columns;
    const difference = { high: before.high ^ high, low: before.low ^ low };
    this.#trie.toggle(leafOf(stub.idHash), difference);
    columns.high[row] = high;
    columns.low[row] = low;
    columns.end[row] = stub.endSlot;
    columns.bytes[row] = stub.bytes;
    columns.version[row] = stub.version;
    this.#bytes += stub.bytes;
    if (stub.endSlot > 0) this.#nextEnd = Math.min(this.#nextEnd, stub.endSlot);
    return difference.high !== 0 || difference.low !== 0;
  }

  /**
   * A peer's stub, of a record that is not held. Who does not know of it takes it over; of two
   * stubs the one of the later version stays, and then that with the greater fingerprint. So the
   * state of one who has the record spreads among those who do not, and all come to rest also when
   * nobody has it. Any fingerprint is better than an unknown one.
   * Whether the stub was new here; undefined: there was no room for it.
   */
  meet(stub: Stub): boolean | undefined {
    const own = this.find(stub.idHash);
    if (own === undefined) {
      if (this.full) return undefined;
      this.put(stub);
      return true;
    }
    const order = compareHashes(stub.fingerprint, own.fingerprint);
    const version = Math.max(own.version, stub.version);
    const endSlot = laterSlot(own.endSlot, stub.endSlot);
    if (order === 0) this.put({ ...own, version, endSlot });
    else if (isUnknown(own)) this.put({ ...stub, version });
    else if (isUnknown(stub)) return false;
    else if ((stub.version - own.version || order) > 0) this.put(stub);
    return false;
  }

  /** Whether there was one. */
  drop(idHash: Readonly<Hash64>): boolean {
    const row = this.#find(idHash);
    if (row >= 0) this.#remove(row);
    return row >= 0;
  }

  /** Rows are numbered from 0; not each holds a stub. */
  get rows(): number {
    return this.#rows;
  }

  at(row: number): Stub | undefined {
    return this.#columns.end[row] === free ? undefined : this.#stubAt(row);
  }

  hasLeaf(leaf: number): boolean {
    if (this.#size === 0) return false;
    const first = leaf * bucketsPerLeaf;
    for (let bucket = first; bucket < first + bucketsPerLeaf; bucket++) {
      if ((this.#heads[bucket] as number) > 0) return true;
    }
    return false;
  }

  ofLeaf(leaf: number): Stub[] {
    const stubs: Stub[] = [];
    if (this.#size === 0) return stubs;
    const first = leaf * bucketsPerLeaf;
    for (let bucket = first; bucket < first + bucketsPerLeaf; bucket++) {
      let row = (this.#heads[bucket] as number) - 1;
      for (; row >= 0; row = (this.#columns.next[row] as number) - 1) stubs.push(this.#stubAt(row));
    }
    return stubs;
  }

  /** Tombstones are kept for less time now: none of theirs ends later than in this slot. */
  endDeadBy(slot: number): void {
    const { end, bytes } = this.#columns;
    for (let row = 0; row < this.#rows; row++) {
      if (bytes[row] === 0 && (end[row] as number) > slot) end[row] = slot;
    }
    this.#nextEnd = Math.min(this.#nextEnd, slot);
  }

  /** Forgets those whose slot has come. */
  sweep(slot: number): void {
    if (slot >= this.#lackingUntil) this.#lackingUntil = 0;
    if (slot < this.#nextEnd) return;
    const { end } = this.#columns;
    const rows = this.#rows;
    let nextEnd = noSlot;
    for (let row = 0; row < rows; row++) {
      const endSlot = end[row] as number;
      if (endSlot <= 0) continue;
      if (endSlot <= slot) this.#remove(row);
      else if (endSlot < nextEnd) nextEnd = endSlot;
    }
    this.#nextEnd = nextEnd;
  }

  #find(idHash: Readonly<Hash64>): number {
    if (this.#size === 0) return -1;
    const { idHigh, idLow, next } = this.#columns;
    let row = (this.#heads[bucketOf(idHash)] as number) - 1;
    while (row >= 0 && (idHigh[row] !== idHash.high || idLow[row] !== idHash.low)) {
      row = (next[row] as number) - 1;
    }
    return row;
  }

  #stubAt(row: number): Stub {
    const { idHigh, idLow, high, low, end, bytes, version } = this.#columns;
    return {
      idHash: { high: idHigh[row] as number, low: idLow[row] as number },
      fingerprint: { high: high[row] as number, low: low[row] as number },
      endSlot: end[row] as number,
      bytes: bytes[row] as number,
      version: version[row] as number,
    };
  }

  #insert(idHash: Readonly<Hash64>): number {
    if (this.full) this.#dropOldest();
    if (this.#heads.length === 0) this.#heads = new Int32Array(2 ** bucketBits);
    const row = this.#takeRow();
    const bucket = bucketOf(idHash);
    const { idHigh, idLow, next } = this.#columns;
    idHigh[row] = idHash.high;
    idLow[row] = idHash.low;
    next[row] = this.#heads[bucket] as number;
    this.#heads[bucket] = row + 1;
    this.#size += 1;
    this.inserted += 1;
    return row;
  }

  #takeRow(): number {
    if (this.#free > 0) {
      const row = this.#free - 1;
      this.#free = this.#columns.next[row] as number;
      return row;
    }
    if (this.#rows === this.#columns.end.length) {
      const larger = columnsFor(this.#rows * 2);
      for (const name of columnNames) larger[name].set(this.#columns[name]);
      this.#columns = larger;
    }
    this.#rows += 1;
    return this.#rows - 1;
  }

  #remove(row: number): void {
    const { idHash, fingerprint, bytes } = this.#stubAt(row);
    const bucket = bucketOf(idHash);
    const { next, end } = this.#columns;
    const after = next[row] as number;
    let before = (this.#heads[bucket] as number) - 1;
    if (before === row) this.#heads[bucket] = after;
    else {
      while ((next[before] as number) - 1 !== row) before = (next[before] as number) - 1;
      next[before] = after;
    }
    this.#trie.toggle(leafOf(idHash), fingerprint);
    end[row] = free;
    next[row] = this.#free;
    this.#free = row + 1;
    this.#size -= 1;
    this.#bytes -= bytes;
  }

  /** From now on, until it would have ended, an id that is not held may be this one. */
  #dropOldest(): void {
    const { end } = this.#columns;
    if (this.#oldest >= this.#rows) this.#oldest = 0;
    while (end[this.#oldest] === free) this.#oldest = (this.#oldest + 1) % this.#rows;
    const endSlot = end[this.#oldest] as number;
    const untilSlot = endSlot === 0 ? Number.POSITIVE_INFINITY : endSlot;
    this.#lackingUntil = Math.max(this.#lackingUntil, untilSlot);
    this.#counters.stubsDropped += 1;
    this.#remove(this.#oldest);
    this.#oldest += 1;
  }
}

function columnsFor(rows: number): Columns {
  const column = () => new Int32Array(rows);
  return {
    idHigh: column(),
    idLow: column(),
    high: column(),
    low: column(),
    end: column(),
    bytes: column(),
    version: column(),
    next: column(),
  };
}

function bucketOf(idHash: Readonly<Hash64>): number {
  return idHash.high >>> (32 - bucketBits);
}

function leafOf(idHash: Readonly<Hash64>): number {
  return idHash.high >>> 16;
}

/** What is left of a record, which is forgotten then. */
export function stubOf(record: StoredRecord, forgetAtMs: number): Stub {
  const { idHash, fingerprint, life } = record;
  const dead = !life.alive && hasLife(record);
  const bytes = dead ? 0 : measureBytes(record);
  return { idHash, fingerprint, endSlot: slotOf(forgetAtMs), bytes, version: 0 };
}
