import { assert } from "../../base/assert.ts";
import type { StoredRecord } from "./stored-record.ts";

/**
 * Records from the one that was used longest ago to the latest: a list through the records
 * themselves, so that a million of them are no array that has to be copied when it grows. A record
 * is in one of these lists at a time.
 */
export class UseOrder {
  #oldest: StoredRecord | undefined;
  #latest: StoredRecord | undefined;
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  /** What its records are charged. */
  get bytes(): number {
    return this.#bytes;
  }

  get oldest(): StoredRecord | undefined {
    return this.#oldest;
  }

  /** As the latest. The record must be in none, and its charge stays as it is until it leaves. */
  add(record: StoredRecord): void {
    this.#size += 1;
    this.#bytes += record.bytes;
    this.#append(record);
  }

  /** The record must be in this one. */
  remove(record: StoredRecord): void {
    this.#size -= 1;
    this.#bytes -= record.bytes;
    assert(this.#size >= 0 && this.#bytes >= 0, "what leaves has been added");
    this.#take(record);
  }

  /** Makes a record of this list the latest. */
  use(record: StoredRecord): void {
    if (record === this.#latest) return;
    this.#take(record);
    this.#append(record);
  }

  #append(record: StoredRecord): void {
    const before = this.#latest;
    record.usedBefore = before;
    if (before === undefined) this.#oldest = record;
    else before.usedAfter = record;
    this.#latest = record;
  }

  #take(record: StoredRecord): void {
    const { usedBefore, usedAfter } = record;
    if (usedBefore === undefined) this.#oldest = usedAfter;
    else usedBefore.usedAfter = usedAfter;
    if (usedAfter === undefined) this.#latest = usedBefore;
    else usedAfter.usedBefore = usedBefore;
    record.usedBefore = undefined;
    record.usedAfter = undefined;
  }
}
