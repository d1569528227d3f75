import { assert } from "../../base/assert.ts";
import type { Hash64 } from "../../session/fingerprint.ts";
import { leafCount } from "./digest-trie.ts";
import type { StoredRecord } from "./stored-record.ts";

const noRecords: readonly StoredRecord[] = [];
/** Parts of the table, each of which grows by itself: by the first ten bits of the hashed id. */
const partBits = 10;
const leavesPerPart = leafCount >>> partBits;

/**
 * The heads of linked lists through the records; a list holds records of one leaf only. They are a
 * power of two, in the order of the leaves; of a leaf, equally many neighbours.
 */
type Heads = (StoredRecord | undefined)[];

/**
 * All records, dead or alive, by the hash of their id, in the order of the digest trie's leaves.
 * A part that grows moves a thousandth of the records, so that no write waits for a million of
 * them, as it would for one Map.
 */
export class RecordTable {
  readonly #parts: Heads[] = Array.from({ length: 1 << partBits }, () => noHeads(leavesPerPart));
  readonly #counts = new Int32Array(1 << partBits);

  find(id: string, hash: Readonly<Hash64>): StoredRecord | undefined {
    return ofId(ofHash(this.#headOf(hash), hash), id, hash);
  }

  /**
   * As `find` of each. Step by step for all: what a search costs is waiting for memory, three times
   * in a row, and the processor waits for several places at once where none depends on another.
   */
  findAll(
    sought: readonly { readonly id: string }[],
    hashes: readonly Readonly<Hash64>[],
  ): (StoredRecord | undefined)[] {
    const found = hashes.map((hash) => this.#headOf(hash));
    for (const [index, hash] of hashes.entries()) found[index] = ofHash(found[index], hash);
    for (const [index, { id }] of sought.entries()) {
      found[index] = ofId(found[index], id, hashes[index] as Hash64);
    }
    return found;
  }

  /** Whether there is a record of that hash. */
  holds(hash: Readonly<Hash64>): boolean {
    return ofHash(this.#headOf(hash), hash) !== undefined;
  }

  /** The record must not be in it yet. */
  link(record: StoredRecord): void {
    const part = partOf(record.leaf);
    const count = this.#counts[part] as number;
    const heads = this.#parts[part] as Heads;
    this.#counts[part] = count + 1;
    push(count < heads.length ? heads : this.#grow(part), record);
  }

  /** The record must be in it. */
  unlink(record: StoredRecord): void {
    const heads = this.#headsOf(record.leaf);
    const place = placeOf(heads, record.idHash.high);
    let before = heads[place];
    (this.#counts[partOf(record.leaf)] as number) -= 1;
    if (before === record) heads[place] = record.nextInTable;
    else {
      while (before !== undefined && before.nextInTable !== record) before = before.nextInTable;
      assert(before !== undefined, "a record hangs in the list of its hash");
      before.nextInTable = record.nextInTable;
    }
    record.nextInTable = undefined;
  }

  hasLeaf(leaf: number): boolean {
    const heads = this.#headsOf(leaf);
    const perLeaf = heads.length / leavesPerPart;
    const first = (leaf % leavesPerPart) * perLeaf;
    for (let place = first; place < first + perLeaf; place++) {
      if (heads[place] !== undefined) return true;
    }
    return false;
  }

  /** In no particular order. */
  recordsOfLeaf(leaf: number): readonly StoredRecord[] {
    const heads = this.#headsOf(leaf);
    const perLeaf = heads.length / leavesPerPart;
    const first = (leaf % leavesPerPart) * perLeaf;
    let records: StoredRecord[] | undefined;
    for (let place = first; place < first + perLeaf; place++) {
      for (let record = heads[place]; record !== undefined; record = record.nextInTable) {
        records ??= [];
        records.push(record);
      }
    }
    return records ?? noRecords;
  }

  *all(): Generator<StoredRecord> {
    for (const heads of this.#parts) {
      for (const head of heads) {
        for (let record = head; record !== undefined; record = record.nextInTable) yield record;
      }
    }
  }

  #headOf({ high }: Readonly<Hash64>): StoredRecord | undefined {
    const heads = this.#headsOf(high >>> 16);
    return heads[placeOf(heads, high)];
  }

  #headsOf(leaf: number): Heads {
    return this.#parts[partOf(leaf)] as Heads;
  }

  #grow(part: number): Heads {
    const heads = this.#parts[part] as Heads;
    // Twice as many lists need one more bit of the hash; there are no more than it has.
    if (shiftOf(heads) === 0) return heads;
    const grown = noHeads(heads.length * 2);
    this.#parts[part] = grown;
    for (const head of heads) {
      let record = head;
      while (record !== undefined) {
        const next = record.nextInTable;
        push(grown, record);
        record = next;
      }
    }
    return grown;
  }
}

/** The first record of that hash, from this one on. */
function ofHash(
  first: StoredRecord | undefined,
  { high, low }: Readonly<Hash64>,
): StoredRecord | undefined {
  let record = first;
  while (record !== undefined && !record.hasHash(high, low)) record = record.nextInTable;
  return record;
}

/** Of those of that hash, from this one on, the one of that id. */
function ofId(
  first: StoredRecord | undefined,
  id: string,
  hash: Readonly<Hash64>,
): StoredRecord | undefined {
  let record = first;
  while (record !== undefined && record.id !== id) record = ofHash(record.nextInTable, hash);
  return record;
}

function partOf(leaf: number): number {
  return leaf >>> (16 - partBits);
}

function noHeads(lists: number): Heads {
  return new Array<StoredRecord | undefined>(lists).fill(undefined);
}

/** What is shifted out of the hashed id's first half, so that the rest says which list. */
function shiftOf(heads: Heads): number {
  return Math.clz32(heads.length) + 1 - partBits;
}

function placeOf(heads: Heads, high: number): number {
  return (high >>> shiftOf(heads)) & (heads.length - 1);
}

function push(heads: Heads, record: StoredRecord): void {
  const place = placeOf(heads, record.idHash.high);
  record.nextInTable = heads[place];
  heads[place] = record;
}
