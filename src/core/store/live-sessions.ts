import type { Value } from "../../session/record.ts";
import { findAttribute, ownerName } from "../../session/record.ts";
import { OrderedIds } from "./ordered-ids.ts";
import type { StoredRecord } from "./stored-record.ts";

/** The sessions of this node that are alive: how many, in the order of their ids, by owner. */
export class LiveSessions {
  readonly #ids = new OrderedIds();
  /** Most owners have one session: that one itself, then. */
  readonly #owned = new Map<Value, StoredRecord | Set<StoredRecord>>();

  get size(): number {
    return this.#ids.size;
  }

  add(record: StoredRecord): void {
    this.#ids.add(record.id);
    this.updateOwner(record);
  }

  remove(record: StoredRecord): void {
    this.#ids.remove(record.id);
    this.#disown(record);
  }

  /** Those of a prefix, in order, behind `after`. Nothing may change meanwhile. */
  ids(prefix: string, after: string): Iterable<string> {
    return this.#ids.from(prefix, after);
  }

  /** In no particular order. */
  ofOwner(owner: Value): readonly StoredRecord[] {
    const owned = this.#owned.get(owner);
    if (owned === undefined) return [];
    return owned instanceof Set ? [...owned] : [owned];
  }

  /** To be called when the owner of a live session may have changed. */
  updateOwner(record: StoredRecord): void {
    const owner = findAttribute(record, ownerName)?.value;
    if (owner === record.owner) return;
    this.#disown(record);
    if (owner === undefined) return;
    record.owner = owner;
    const owned = this.#owned.get(owner);
    if (owned === undefined) this.#owned.set(owner, record);
    else if (owned instanceof Set) owned.add(record);
    else this.#owned.set(owner, new Set([owned, record]));
  }

  #disown(record: StoredRecord): void {
    const { owner } = record;
    if (owner === undefined) return;
    record.owner = undefined;
    const owned = this.#owned.get(owner);
    if (owned instanceof Set) owned.delete(record);
    if (owned === record || (owned instanceof Set && owned.size === 0)) this.#owned.delete(owner);
  }
}
