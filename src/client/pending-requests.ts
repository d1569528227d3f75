import { requestIdMax } from "../api/messages.ts";
import type { MsgpackReader } from "../api/msgpack-reader.ts";
import { type SessioncastError, timedOut } from "./errors.ts";

export interface PendingRequest<T = unknown> {
  /** Reads the result; throws when it cannot be unpacked. */
  decode(reader: MsgpackReader): T;
  resolve(result: T): void;
  reject(error: SessioncastError): void;
}

interface Waiting extends PendingRequest {
  readonly id: number;
  /** By `performance.now`. */
  readonly deadlineMs: number;
}

/** On every connection, the ids of the greeting and of what tracks; others come after. */
export const helloRequestId = 1;
export const trackRequestId = 2;

/** Places for requests, a power of two: at first, and as many as stay when none waits. */
const placesMin = 128;
const placesKept = 16_384;

/**
 * Requests that wait for a reply. All wait equally long, so they time out in the order in which
 * they came, and one timer for the oldest does for all.
 */
export class PendingRequests {
  readonly #timeoutMs: number;
  /**
   * By the low bits of their ids, which are given in turn. Not a Map, as that makes a new table
   * whenever as many entries have gone as it has room for, and each table leads to the next: once
   * one has become old, V8's scavenger takes all that follow for alive, with the requests in them.
   */
  #places = placesFor(placesMin);
  /** Those in whose place a later one is now. */
  readonly #slow = new Map<number, Waiting>();
  #size = 0;
  readonly #emptied: () => void;
  readonly #expired: (sentMs: number) => void;
  #lastId = trackRequestId;
  #timer: NodeJS.Timeout | undefined;

  /**
   * `emptied` is called whenever the last of the requests has been settled, `expired` after some
   * have timed out, of which the last was sent then.
   */
  constructor(timeoutMs: number, emptied: () => void, expired: (sentMs: number) => void) {
    this.#timeoutMs = timeoutMs;
    this.#emptied = emptied;
    this.#expired = expired;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns the id under which the reply will come. */
  add<T>(
    decode: (reader: MsgpackReader) => T,
    resolve: (result: T) => void,
    reject: (error: SessioncastError) => void,
  ): number {
    if (this.#size * 2 >= this.#places.length) this.#grow();
    const id = this.#lastId < requestIdMax ? this.#lastId + 1 : trackRequestId + 1;
    const place = id & (this.#places.length - 1);
    const before = this.#places[place];
    if (before !== undefined) this.#slow.set(before.id, before);
    const deadlineMs = performance.now() + this.#timeoutMs;
    this.#places[place] = { id, deadlineMs, decode, resolve: resolve as never, reject };
    this.#lastId = id;
    this.#size += 1;
    if (this.#timer === undefined) this.#watch(this.#timeoutMs);
    return id;
  }

  /** Undefined: none waits under this id (any more). */
  take(requestId: number): Waiting | undefined {
    const place = requestId & (this.#places.length - 1);
    let request = this.#places[place];
    if (request?.id === requestId) this.#places[place] = undefined;
    else {
      request = this.#slow.get(requestId);
      if (request === undefined) return undefined;
      this.#slow.delete(requestId);
    }
    this.#size -= 1;
    if (this.#size === 0) this.#settled();
    return request;
  }

  rejectAll(error: () => SessioncastError): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#size === 0) return;
    const requests = [...this.#byAge()];
    this.#places = placesFor(placesMin);
    this.#slow.clear();
    this.#size = 0;
    this.#emptied();
    for (const request of requests) request.reject(error());
  }

  *#byAge(): Generator<Waiting> {
    yield* this.#slow.values();
    const places = this.#places;
    for (let step = 1; step <= places.length; step++) {
      const request = places[(this.#lastId + step) & (places.length - 1)];
      if (request !== undefined) yield request;
    }
  }

  #grow(): void {
    const places = placesFor(this.#places.length * 2);
    for (const request of this.#places) {
      if (request !== undefined) places[request.id & (places.length - 1)] = request;
    }
    this.#places = places;
  }

  #settled(): void {
    if (this.#places.length > placesKept) this.#places = placesFor(placesKept);
    this.#emptied();
  }

  #watch(delayMs: number): void {
    // After the app has blocked the process, replies may lie unread in the socket although their
    // time is over: they are read before the verdict.
    this.#timer = setTimeout(() => setImmediate(() => this.#expire()), Math.ceil(delayMs));
    // The socket keeps the process alive while requests wait; the timer must not do so longer.
    this.#timer.unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    let lastMs: number | undefined;
    for (const request of this.#byAge()) {
      if (request.deadlineMs > nowMs) {
        this.#watch(request.deadlineMs - nowMs);
        break;
      }
      this.take(request.id);
      lastMs = request.deadlineMs - this.#timeoutMs;
      request.reject(timedOut(this.#timeoutMs));
    }
    if (lastMs !== undefined) this.#expired(lastMs);
  }
}

function placesFor(count: number): (Waiting | undefined)[] {
  return new Array<Waiting | undefined>(count).fill(undefined);
}
