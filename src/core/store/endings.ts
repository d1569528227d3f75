import { limits } from "../../protocol/limits.ts";
import type { SessionState } from "../../session/record.ts";
import { leafCount } from "./digest-trie.ts";
import { ExpiryWheel, isPast } from "./expiry-wheel.ts";
import { forgetAtMs } from "./lifetime.ts";
import type { RecordTable } from "./record-table.ts";
import type { StoredRecord } from "./stored-record.ts";

const { sweptPerTurnMax } = limits;

/**
 * When the records of a store are to be forgotten. A million that started together end together,
 * and clients must not wait for all of them: what has come up is taken out in parts, of which each
 * is to be followed by the next at once.
 */
export class Endings {
  readonly #records: RecordTable;
  readonly #wheel = new ExpiryWheel();
  #retentionMs: number;
  /** From this leaf on tombstones may wait for an end later than it is now. */
  #unmovedLeaf = leafCount;

  constructor(records: RecordTable, retentionMs: number) {
    this.#records = records;
    this.#retentionMs = retentionMs;
  }

  /** For how long tombstones are kept. */
  get retentionMs(): number {
    return this.#retentionMs;
  }

  /**
   * From now on so long, also what is there already. A later end is found when a record's slot
   * comes up; to an earlier one all are moved, in parts. Whether it is less than before.
   */
  retain(retentionMs: number): boolean {
    const isLess = retentionMs < this.#retentionMs;
    this.#retentionMs = retentionMs;
    if (isLess) this.#unmovedLeaf = 0;
    return isLess;
  }

  /** As in lifetime.ts. */
  forgetAtMs(state: SessionState): number {
    return forgetAtMs(state, this.#retentionMs);
  }

  /** To be called for a new record, and when the end of one may have become earlier. */
  schedule(record: StoredRecord, wallMs: number, atMs = this.forgetAtMs(record)): void {
    this.#wheel.schedule(record, atMs, wallMs);
  }

  /** The record is gone for another reason. */
  remove(record: StoredRecord): void {
    this.#wheel.remove(record);
  }

  /** Records that are past their end, or part of them; then it is `behind`. */
  takePast(wallMs: number): StoredRecord[] {
    this.#moveTombstones(wallMs);
    return this.#wheel.due(wallMs, sweptPerTurnMax).filter((record) => {
      const atMs = this.forgetAtMs(record);
      if (isPast(atMs, wallMs)) return true;
      this.schedule(record, wallMs, atMs);
      return false;
    });
  }

  /** Whether there is more to do than was done. */
  get behind(): boolean {
    return this.#wheel.behind || this.#unmovedLeaf < leafCount;
  }

  #moveTombstones(wallMs: number): void {
    let count = 0;
    while (this.#unmovedLeaf < leafCount && count < sweptPerTurnMax) {
      for (const record of this.#records.recordsOfLeaf(this.#unmovedLeaf)) {
        if (record.place === "tombstones") this.schedule(record, wallMs);
        count += 1;
      }
      this.#unmovedLeaf += 1;
    }
  }
}
