import { limits } from "../../protocol/limits.ts";
import type { StoredRecord } from "./stored-record.ts";

/**
 * Which records may have to be forgotten when. Slots of common width by wall clock, so that nodes
 * drop a record from their digests together. A record waits in one slot at a time; when its end
 * moves further away it stays where it is and is put on when the slot comes up.
 */
export class ExpiryWheel {
  readonly #slots = new Map<number, StoredRecord[]>();
  #swept = 0;

  /** Sees to it that the record comes up at `atMs` or, if that moved on, earlier. 0: never. */
  schedule(record: StoredRecord, atMs: number): void {
    if (atMs === 0) return;
    // Never into a slot that has been swept already.
    const slot = Math.max(slotOf(atMs), this.#swept + 1);
    if (record.slot > 0 && record.slot <= slot) return;
    record.slot = slot;
    const waiting = this.#slots.get(slot);
    if (waiting === undefined) this.#slots.set(slot, [record]);
    else waiting.push(record);
  }

  /** Takes out all records whose slot has come. Those that moved to an earlier slot are skipped. */
  due(wallMs: number): StoredRecord[] {
    const now = Math.floor(wallMs / limits.expirySlotMs);
    const found: StoredRecord[] = [];
    for (const slot of this.#comeUp(now)) {
      for (const record of this.#slots.get(slot) ?? []) {
        if (record.slot !== slot) continue;
        record.slot = 0;
        found.push(record);
      }
      this.#slots.delete(slot);
    }
    this.#swept = now;
    return found;
  }

  /** Slot numbers that have come: counted up from the last sweep, or sought after a clock step. */
  #comeUp(now: number): number[] {
    if (now - this.#swept > this.#slots.size) {
      return [...this.#slots.keys()].filter((slot) => slot <= now);
    }
    const slots: number[] = [];
    for (let slot = this.#swept + 1; slot <= now; slot++)
      if (this.#slots.has(slot)) slots.push(slot);
    return slots;
  }
}

/** Whether that time's slot has come. */
export function isPast(atMs: number, wallMs: number): boolean {
  return atMs > 0 && slotOf(atMs) <= Math.floor(wallMs / limits.expirySlotMs);
}

function slotOf(atMs: number): number {
  return Math.ceil(atMs / limits.expirySlotMs);
}
