import type { Value } from "../../session/record.ts";
import { findAttribute, ownerName } from "../../session/record.ts";
import { OrderedIds } from "./ordered-ids.ts";
import type { StoredRecord } from "./stored-record.ts";

/** The sessions of this node that are alive: how many, in the order of their ids, by owner. */
export class LiveSessions {
  readonly #ids = new OrderedIds();
  /** Most owners have one session: its id itself, then. */
  readonly #owned = new Map<Value, string | OrderedIds>();

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

  /**
   * Those of a prefix, in order, behind `after`; of an owner, unless that is undefined. Nothing may
   * change meanwhile.
   */
  ids(prefix: string, after: string, owner: Value | undefined): Iterable<string> {
    const ids = owner === undefined ? this.#ids : this.#owned.get(owner);
    if (ids === undefined) return [];
    if (ids instanceof OrderedIds) return ids.from(prefix, after);
    return ids.startsWith(prefix) && ids > after ? [ids] : [];
  }

  /** To be called when the owner of a live session may have changed. */
  updateOwner(record: StoredRecord): void {
    const owner = findAttribute(record, ownerName)?.value;
    if (owner === record.owner) return;
    this.#disown(record);
    if (owner === undefined) return;
    record.owner = owner;
    const owned = this.#owned.get(owner);
    if (owned instanceof OrderedIds) owned.add(record.id);
    else if (owned === undefined) this.#owned.set(owner, record.id);
    else this.#owned.set(owner, both(owned, record.id));
  }

  #disown(record: StoredRecord): void {
    const { id, owner } = record;
    if (owner === undefined) return;
    record.owner = undefined;
    const owned = this.#owned.get(owner);
    if (owned instanceof OrderedIds) owned.remove(id);
    if (owned === id || (owned instanceof OrderedIds && owned.size === 0)) {
      this.#owned.delete(owner);
    }
  }
}

function both(one: string, other: string): OrderedIds {
  const ids = new OrderedIds();
  ids.add(one);
  ids.add(other);
  return ids;
}
