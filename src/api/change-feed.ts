import type { Change, Observer } from "../core/store/change.ts";
import { limits } from "../protocol/limits.ts";
import { encodeInvalidations, encodeWatchEvents, type WatchEvent } from "./event-codec.ts";
import { EventKind } from "./messages.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";
import type { ServerCounters } from "./server-counters.ts";

const kindOf: Readonly<Record<Change, number | undefined>> = {
  created: EventKind.created,
  changed: EventKind.changed,
  destroyed: EventKind.destroyed,
  expired: EventKind.expired,
  touched: undefined,
  evicted: undefined,
};

/**
 * Who is to be told of which changes: watches by prefix, and those who keep copies of sessions
 * that they have read (as CLIENT TRACKING of Redis does). As long as there is neither, changes are
 * not looked at.
 */
export class ChangeFeed {
  readonly #observe: (observer: Observer | undefined) => void;
  readonly #watching = new Set<Subscription>();
  readonly #tracking = new Map<string, Subscription | Set<Subscription>>();
  readonly counters: ServerCounters;
  /** Of all connections together. */
  #tracked = 0;
  #observing = false;

  constructor(observe: (observer: Observer | undefined) => void, counters: ServerCounters) {
    this.#observe = observe;
    this.counters = counters;
  }

  /** Sessions that are tracked, counted for each connection that does. */
  get tracked(): number {
    return this.#tracked;
  }

  /** Watches of how many connections. */
  get watching(): number {
    return this.#watching.size;
  }

  /** `wake` is called when there is something to tell, as often as more comes. */
  subscribe(wake: () => void): Subscription {
    return new Subscription(this, wake);
  }

  setWatching(subscription: Subscription, watching: boolean): void {
    if (watching) this.#watching.add(subscription);
    else this.#watching.delete(subscription);
    this.#update();
  }

  track(id: string, subscription: Subscription): void {
    const tracking = this.#tracking.get(id);
    if (tracking === undefined) this.#tracking.set(id, subscription);
    else if (tracking instanceof Set) tracking.add(subscription);
    else this.#tracking.set(id, new Set([tracking, subscription]));
    this.#tracked += 1;
    this.#update();
  }

  untrack(id: string, subscription: Subscription): void {
    const tracking = this.#tracking.get(id);
    if (tracking instanceof Set) tracking.delete(subscription);
    if (tracking === subscription || (tracking instanceof Set && tracking.size === 0)) {
      this.#tracking.delete(id);
    }
    this.#tracked -= 1;
    this.#update();
  }

  #update(): void {
    const wanted = this.#watching.size > 0 || this.#tracking.size > 0;
    if (wanted === this.#observing) return;
    this.#observing = wanted;
    this.#observe(wanted ? this.#onChange : undefined);
  }

  readonly #onChange = (id: string, change: Change): void => {
    const kind = kindOf[change];
    if (kind !== undefined) for (const each of this.#watching) each.happened(kind, id);
    const tracking = this.#tracking.get(id);
    if (tracking === undefined) return;
    this.#tracking.delete(id);
    const all = tracking instanceof Set ? tracking : [tracking];
    for (const each of all) {
      this.#tracked -= 1;
      each.invalidated(id);
    }
    this.#update();
  };
}

/** What one connection wants to be told, and what it has still to be told. */
export class Subscription {
  readonly #feed: ChangeFeed;
  readonly #wake: () => void;
  /** Prefixes, by the id of the request. */
  readonly #watches = new Map<number, string>();
  readonly #events = new Map<number, WatchEvent[]>();
  /** In the order in which they were read first. */
  readonly #tracked = new Set<string>();
  #invalid: string[] = [];
  #allInvalid = false;
  #trackId = 0;
  #trackMax = 0;

  constructor(feed: ChangeFeed, wake: () => void) {
    this.#feed = feed;
    this.#wake = wake;
  }

  /** False: it has too many already. */
  watch(requestId: number, prefix: string): boolean {
    if (this.#watches.size >= limits.watchesPerClientMax) return false;
    this.#watches.set(requestId, prefix);
    this.#feed.setWatching(this, true);
    return true;
  }

  /** Whether there was such a watch. */
  unwatch(requestId: number): boolean {
    this.#events.delete(requestId);
    const existed = this.#watches.delete(requestId);
    if (this.#watches.size === 0) this.#feed.setWatching(this, false);
    return existed;
  }

  /** From now on, of so many sessions that it reads; 0: of none. */
  setTracking(requestId: number, countMax: number): void {
    this.#trackId = requestId;
    this.#trackMax = countMax;
    this.#dropTracked(countMax);
  }

  /** The client has read this session, and may keep a copy. */
  read(id: string): void {
    if (this.#trackMax === 0 || this.#tracked.has(id)) return;
    this.#tracked.add(id);
    this.#feed.track(id, this);
    // All together have no room for more: this one goes without its oldest.
    const isFull = this.#feed.tracked > limits.trackedMax;
    this.#dropTracked(isFull ? this.#tracked.size - 1 : this.#trackMax);
  }

  happened(kind: number, id: string): void {
    for (const [watch, prefix] of this.#watches) {
      if (!id.startsWith(prefix)) continue;
      const events = this.#events.get(watch) ?? [];
      if (events.length === 0) this.#events.set(watch, events);
      if (events.length < limits.eventsPerTurnMax) events.push({ kind, id });
      else {
        this.#events.set(watch, [{ kind: EventKind.missed, id: "" }]);
        this.#feed.counters.eventsMissed += 1;
      }
      this.#wake();
    }
  }

  invalidated(id: string): void {
    this.#tracked.delete(id);
    if (this.#invalid.length < limits.eventsPerTurnMax) this.#invalid.push(id);
    else {
      this.#invalid = [];
      this.#allInvalid = true;
      this.#feed.counters.copiesRevoked += 1;
    }
    this.#wake();
  }

  /** What has gathered; as long as this is not called it gathers on, in bounds. */
  write(writer: MsgpackWriter): void {
    if (this.#events.size > 0) {
      for (const [watch, events] of this.#events) {
        for (const some of inFrames(events)) encodeWatchEvents(writer, watch, some);
      }
      this.#events.clear();
    }
    if (!this.#allInvalid && this.#invalid.length === 0) return;
    if (this.#allInvalid) encodeInvalidations(writer, this.#trackId, undefined);
    else {
      for (const ids of inFrames(this.#invalid)) encodeInvalidations(writer, this.#trackId, ids);
    }
    this.#invalid = [];
    this.#allInvalid = false;
  }

  close(): void {
    this.#watches.clear();
    this.#feed.setWatching(this, false);
    for (const id of this.#tracked) this.#feed.untrack(id, this);
    this.#tracked.clear();
  }

  /** The client is told, since nobody will tell it of their changes any more. */
  #dropTracked(countMax: number): void {
    for (const id of this.#tracked) {
      if (this.#tracked.size <= countMax) break;
      this.#feed.untrack(id, this);
      this.invalidated(id);
    }
  }
}

/** As many at a time as a frame holds, however long their ids are. */
function* inFrames<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += limits.eventsPerFrameMax) {
    yield all.slice(start, start + limits.eventsPerFrameMax);
  }
}
