import { limits } from "../../protocol/limits.ts";
import type { StoredRecord } from "./stored-record.ts";

/**
 * Which records may have to be forgotten when. Slots of common width by wall clock, so that nodes
 * drop a record from their digests together. A record waits in one slot at a time; when its end
 * moves further away it stays where it is and is put on when the slot comes up.
 */
export class ExpiryWheel {
  readonly #slots = new Map<number, Set<StoredRecord>>();
  #swept = 0;
  /** Of the slots that have come, what was not taken out yet. */
  readonly #come = new Map<number, Set<StoredRecord>>();
  /** The first slot that something was put into since, and the latest present that was seen. */
  #earliest = Number.POSITIVE_INFINITY;
  #latest = 0;

  /** Sees to it that the record comes up at `atMs` or, if that moved on, earlier. 0: never. */
  schedule(record: StoredRecord, atMs: number, wallMs: number): void {
    if (atMs === 0) return;
    // Never into a slot that has come. The clock says which, and not the last sweep: it may have
    // been set back since.
    const now = currentSlot(wallMs);
    this.#latest = Math.max(this.#latest, now);
    const slot = Math.max(slotOf(atMs), now + 1);
    if (record.slot > 0 && record.slot <= slot) return;
    this.remove(record);
    record.slot = slot;
    this.#earliest = Math.min(this.#earliest, slot);
    const waiting = this.#slots.get(slot);
    if (waiting === undefined) this.#slots.set(slot, new Set([record]));
    else waiting.add(record);
  }

  /** The record is gone for another reason; the wheel must not keep its memory. */
  remove(record: StoredRecord): void {
    if (record.slot === 0) return;
    const waiting = this.#slots.get(record.slot);
    if (waiting?.delete(record) !== true) this.#come.get(record.slot)?.delete(record);
    else if (waiting.size === 0) this.#slots.delete(record.slot);
    record.slot = 0;
  }

  /**
   * Takes out records whose slot has come, `countMax` at most; not all of them are at their end.
   * What is left for the next time makes it `behind`.
   */
  due(wallMs: number, countMax: number): StoredRecord[] {
    this.#turnTo(currentSlot(wallMs));
    const found: StoredRecord[] = [];
    for (const [slot, waiting] of this.#come) {
      for (const record of waiting) {
        if (found.length === countMax) return found;
        waiting.delete(record);
        record.slot = 0;
        found.push(record);
      }
      this.#come.delete(slot);
    }
    return found;
  }

  /** Whether there may be records left whose slot has come. */
  get behind(): boolean {
    return this.#come.size > 0;
  }

  /** What has come is put apart: what is put into the same slot now is to come up again. */
  #turnTo(now: number): void {
    for (const slot of this.#comeUp(now)) {
      const waiting = this.#slots.get(slot);
      if (waiting === undefined) continue;
      this.#slots.delete(slot);
      // After a step back a slot may come again before all of it was taken out.
      const left = this.#come.get(slot);
      if (left === undefined) this.#come.set(slot, waiting);
      else for (const record of waiting) left.add(record);
    }
    this.#swept = now;
    this.#latest = now;
    this.#earliest = Number.POSITIVE_INFINITY;
  }

  /** Records that wait. */
  get size(): number {
    let size = 0;
    for (const waiting of [...this.#slots.values(), ...this.#come.values()]) size += waiting.size;
    return size;
  }

  /**
   * Slot numbers that have come: counted up from the last sweep, or sought after a step ahead.
   * After a step back it is all: what was late by the wrong clock waits in slots far ahead.
   */
  #comeUp(now: number): number[] {
    if (now < this.#latest) return [...this.#slots.keys()];
    // Earlier than swept: the clock was back for a moment, between two sweeps.
    const first = Math.min(this.#swept + 1, this.#earliest);
    if (now - first >= this.#slots.size) {
      return [...this.#slots.keys()].filter((slot) => slot <= now);
    }
    const slots: number[] = [];
    for (let slot = first; slot <= now; slot++) {
      if (this.#slots.has(slot)) slots.push(slot);
    }
    return slots;
  }
}

/** Whether that time's slot has come. */
export function isPast(atMs: number, wallMs: number): boolean {
  return atMs > 0 && slotOf(atMs) <= currentSlot(wallMs);
}

/** The slot that this time is in. */
export function currentSlot(wallMs: number): number {
  return Math.floor(wallMs / limits.expirySlotMs);
}

/** In 2106, when stamps are long used up: a stub, and its place in a transfer, have 32 bits. */
const lastSlot = 0x7ffffffe;

/** The slot in which what ends then is forgotten; 0: never, as `atMs`. */
export function slotOf(atMs: number): number {
  return Math.min(Math.ceil(atMs / limits.expirySlotMs), lastSlot);
}
