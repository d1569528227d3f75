import { assert } from "../../base/assert.ts";
import type { Hash64 } from "../../session/fingerprint.ts";
import { leafCount } from "./digest-trie.ts";
import type { StoredRecord } from "./stored-record.ts";

const noRecords: readonly StoredRecord[] = [];
/** Parts of the table, each of which grows by itself: by the first ten bits of the hashed id. */
const partBits = 10;
const leavesPerPart = leafCount >>> partBits;

/** Linked lists through the records; a list holds records of one leaf only. */
interface Part {
  /** A power of two of them, in the order of the leaves; of a leaf, equally many neighbours. */
  heads: (StoredRecord | undefined)[];
  /** What is shifted out of the hashed id's first half, so that the rest says which list. */
  shift: number;
  count: number;
}

/**
 * All records, dead or alive, by the hash of their id, in the order of the digest trie's leaves.
 * A part that grows moves a thousandth of the records, so that no write waits for a million of
 * them, as it would for one Map.
 */
export class RecordTable {
  readonly #parts = Array.from({ length: 1 << partBits }, () => partOf(leavesPerPart));

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
    const part = this.#partOf(record.leaf);
    if (part.count >= part.heads.length) grow(part);
    part.count += 1;
    push(part, record);
  }

  /** The record must be in it. */
  unlink(record: StoredRecord): void {
    const part = this.#partOf(record.leaf);
    const place = placeOf(part, record);
    let before = part.heads[place];
    part.count -= 1;
    if (before === record) part.heads[place] = record.nextInTable;
    else {
      while (before !== undefined && before.nextInTable !== record) before = before.nextInTable;
      assert(before !== undefined, "a record hangs in the list of its hash");
      before.nextInTable = record.nextInTable;
    }
    record.nextInTable = undefined;
  }

  hasLeaf(leaf: number): boolean {
    const { heads } = this.#partOf(leaf);
    const perLeaf = heads.length / leavesPerPart;
    const first = (leaf % leavesPerPart) * perLeaf;
    for (let place = first; place < first + perLeaf; place++) {
      if (heads[place] !== undefined) return true;
    }
    return false;
  }

  /** In no particular order. */
  recordsOfLeaf(leaf: number): readonly StoredRecord[] {
    const { heads } = this.#partOf(leaf);
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
    for (const { heads } of this.#parts) {
      for (const head of heads) {
        for (let record = head; record !== undefined; record = record.nextInTable) yield record;
      }
    }
  }

  #headOf({ high }: Readonly<Hash64>): StoredRecord | undefined {
    const { heads, shift } = this.#partOf(high >>> 16);
    return heads[(high >>> shift) & (heads.length - 1)];
  }

  #partOf(leaf: number): Part {
    return this.#parts[leaf >>> (16 - partBits)] as Part;
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

function partOf(lists: number): Part {
  const heads = new Array<StoredRecord | undefined>(lists).fill(undefined);
  return { heads, shift: 32 - partBits - Math.log2(lists), count: 0 };
}

function placeOf({ heads, shift }: Part, record: StoredRecord): number {
  return (record.idHash.high >>> shift) & (heads.length - 1);
}

function push(part: Part, record: StoredRecord): void {
  const place = placeOf(part, record);
  record.nextInTable = part.heads[place];
  part.heads[place] = record;
}

function grow(part: Part): void {
  // Twice as many lists need one more bit of the hash; there are no more than it has.
  if (part.shift === 0) return;
  const { heads, count } = part;
  Object.assign(part, partOf(heads.length * 2), { count });
  for (const head of heads) {
    let record = head;
    while (record !== undefined) {
      const next = record.nextInTable;
      push(part, record);
      record = next;
    }
  }
}
