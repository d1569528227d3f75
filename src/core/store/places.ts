import { assert } from "../../base/assert.ts";
import { hasLife } from "../../session/record.ts";
import { measureBytes, type StoredRecord } from "./stored-record.ts";
import { UseOrder } from "./use-order.ts";

export interface PlaceBounds {
  readonly bytesMax: number;
  readonly countMax: number;
  readonly tombstonesMax: number;
}

/** For whom there is no room any more, and who has to leave the store. */
interface Leavers {
  evicted(record: StoredRecord): void;
  tombstoneDropped(record: StoredRecord): void;
}

/** Up to here of its room a store takes in what is not a client's, and from here on nothing... */
const fullShare = 0.97;
/** ...and below this it has room for what it had to give up. Apart, so that it rests between. */
const roomyShare = 0.8;

/**
 * Where a record is kept, and whether there is room for it: sessions, bounded by octets and by
 * count, of which the least recently used leaves first, and apart from them tombstones, of which
 * the oldest does.
 */
export class Places {
  readonly #bounds: PlaceBounds;
  readonly #leavers: Leavers;
  readonly #sessions = new UseOrder();
  /** In the order in which they died. */
  readonly #tombstones = new UseOrder();

  constructor(bounds: PlaceBounds, leavers: Leavers) {
    this.#bounds = bounds;
    this.#leavers = leavers;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  get tombstones(): number {
    return this.#tombstones.size;
  }

  /** What the sessions are charged. */
  get bytes(): number {
    return this.#sessions.bytes;
  }

  /**
   * A session was used. The order is kept as soon as it may matter: what was used before the store
   * was half full is as good as unused when it is full.
   */
  used(record: StoredRecord): void {
    const { bytesMax, countMax } = this.#bounds;
    const { size, bytes } = this.#sessions;
    if (record.place !== "sessions") return;
    if (size * 2 > countMax || bytes * 2 > bytesMax) this.#sessions.use(record);
  }

  /** Puts a record that is new or has changed where it belongs, and makes room for it. */
  put(record: StoredRecord): void {
    const dead = !record.life.alive && hasLife(record);
    const bytes = measureBytes(record);
    // What stays as it was keeps its turn.
    if (record.place === (dead ? "tombstones" : "sessions")) {
      if (dead || bytes === record.bytes) return;
    }
    this.take(record);
    record.bytes = bytes;
    if (dead) this.#putTombstone(record);
    else this.#putSession(record);
  }

  /** It is kept nowhere then. */
  take(record: StoredRecord): void {
    if (record.place === "sessions") this.#sessions.remove(record);
    else if (record.place === "tombstones") this.#tombstones.remove(record);
    record.place = "none";
  }

  /** What can be taken in, of which the taker reserves a part for each record; 0: a dead one. */
  get room(): { takes(bytes: number): boolean } {
    const { bytesMax, countMax, tombstonesMax } = this.#bounds;
    let bytesLeft = bytesMax * fullShare - this.bytes;
    let countLeft = countMax * fullShare - this.sessions;
    let deadLeft = tombstonesMax - this.tombstones;
    const takes = (bytes: number) => {
      if (bytes === 0) return deadLeft-- > 0;
      if (bytes > bytesLeft || countLeft <= 0) return false;
      bytesLeft -= bytes;
      countLeft -= 1;
      return true;
    };
    return { takes };
  }

  /** Far enough from its limits to take in what it had to give up. */
  get roomy(): boolean {
    const { bytesMax, countMax } = this.#bounds;
    return this.bytes < bytesMax * roomyShare && this.sessions < countMax * roomyShare;
  }

  #putTombstone(record: StoredRecord): void {
    record.place = "tombstones";
    this.#tombstones.add(record);
    if (this.tombstones <= this.#bounds.tombstonesMax) return;
    const { oldest } = this.#tombstones;
    assert(oldest !== undefined, "a full list has a first entry");
    this.take(oldest);
    this.#leavers.tombstoneDropped(oldest);
  }

  #putSession(record: StoredRecord): void {
    const { bytesMax, countMax } = this.#bounds;
    if (record.bytes > bytesMax) {
      this.#leavers.evicted(record);
      return;
    }
    while (this.bytes + record.bytes > bytesMax) this.#evictOldest();
    record.place = "sessions";
    this.#sessions.add(record);
    if (this.sessions > countMax) this.#evictOldest();
  }

  #evictOldest(): void {
    const { oldest } = this.#sessions;
    assert(oldest !== undefined, "without sessions there is room for one");
    this.take(oldest);
    this.#leavers.evicted(oldest);
  }
}
