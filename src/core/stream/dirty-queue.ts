import { limits } from "../../protocol/limits.ts";
import type { StoredRecord } from "../store/stored-record.ts";

/**
 * The records that wait to be sent, in the order in which they became dirty. Each is in it once,
 * but for entries of such as left with another's block, which are passed over: so it is about as
 * long as the store, which is bounded, however long the wait.
 */
export class DirtyQueue {
  #records: StoredRecord[] = [];
  #head = 0;
  #sweepAt: number = limits.dirtyRecordsMin;

  /** At the end. True: it has become so long that it should be swept. */
  push(record: StoredRecord): boolean {
    this.#records.push(record);
    return this.size >= this.#sweepAt;
  }

  /** The one that waits longest; undefined: none does. */
  get first(): StoredRecord | undefined {
    let record = this.#records[this.#head];
    while (record !== undefined && record.dirtySince === undefined) {
      this.#advance();
      record = this.#records[this.#head];
    }
    return record;
  }

  get size(): number {
    return this.#records.length - this.#head;
  }

  /** Takes out all that need not be sent any more, and is due again when it has doubled. */
  sweep(isWanted: (record: StoredRecord) => boolean): void {
    this.#records = this.#records.slice(this.#head).filter(isWanted);
    this.#head = 0;
    this.#sweepAt = Math.max(limits.dirtyRecordsMin, 2 * this.#records.length);
  }

  #advance(): void {
    this.#head += 1;
    // Amortised: what has been taken goes once it is the larger half.
    if (this.#head * 2 < this.#records.length) return;
    this.#records = this.#records.slice(this.#head);
    this.#head = 0;
  }
}
