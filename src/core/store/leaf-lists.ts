import { assert } from "../../base/assert.ts";
import type { Hash64 } from "../../session/fingerprint.ts";
import { leafCount } from "./digest-trie.ts";
import type { StoredRecord } from "./stored-record.ts";
import { compareHashes } from "./stubs.ts";

const noRecords: readonly StoredRecord[] = [];

/** All records by their leaf of the digest trie: linked lists through the records themselves. */
export class LeafLists {
  readonly #first = new Array<StoredRecord | undefined>(leafCount).fill(undefined);

  link(record: StoredRecord): void {
    record.nextInLeaf = this.#first[record.leaf];
    this.#first[record.leaf] = record;
  }

  unlink(record: StoredRecord): void {
    const { leaf } = record;
    let before = this.#first[leaf];
    if (before === record) {
      this.#first[leaf] = record.nextInLeaf;
      return;
    }
    while (before !== undefined && before.nextInLeaf !== record) before = before.nextInLeaf;
    assert(before !== undefined, "a record hangs in the list of its leaf");
    before.nextInLeaf = record.nextInLeaf;
  }

  has(leaf: number): boolean {
    return this.#first[leaf] !== undefined;
  }

  holds(idHash: Readonly<Hash64>): boolean {
    let record = this.#first[idHash.high >>> 16];
    while (record !== undefined && compareHashes(record.idHash, idHash) !== 0) {
      record = record.nextInLeaf;
    }
    return record !== undefined;
  }

  /** In no particular order. */
  recordsOf(leaf: number): readonly StoredRecord[] {
    let record = this.#first[leaf];
    if (record === undefined) return noRecords;
    const records: StoredRecord[] = [];
    for (; record !== undefined; record = record.nextInLeaf) records.push(record);
    return records;
  }

  *all(): Generator<StoredRecord> {
    for (const first of this.#first) {
      for (let record = first; record !== undefined; record = record.nextInLeaf) yield record;
    }
  }
}
