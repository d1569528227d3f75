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
  /** By `performance.now`. */
  readonly deadlineMs: number;
}

/** On every connection, the ids of the greeting and of what tracks; others come after. */
export const helloRequestId = 1;
export const trackRequestId = 2;

/**
 * Requests that wait for a reply. All wait equally long, so they time out in the order in which
 * they came, and one timer for the oldest does for all.
 */
export class PendingRequests {
  readonly #timeoutMs: number;
  readonly #waiting = new Map<number, Waiting>();
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
    return this.#waiting.size;
  }

  /** Returns the id under which the reply will come. */
  add<T>(
    decode: (reader: MsgpackReader) => T,
    resolve: (result: T) => void,
    reject: (error: SessioncastError) => void,
  ): number {
    this.#lastId = this.#lastId < requestIdMax ? this.#lastId + 1 : trackRequestId + 1;
    const deadlineMs = performance.now() + this.#timeoutMs;
    this.#waiting.set(this.#lastId, { deadlineMs, decode, resolve: resolve as never, reject });
    if (this.#timer === undefined) this.#watch(this.#timeoutMs);
    return this.#lastId;
  }

  /** Undefined: none waits under this id (any more). */
  take(requestId: number): Waiting | undefined {
    const request = this.#waiting.get(requestId);
    if (request === undefined) return undefined;
    this.#waiting.delete(requestId);
    if (this.#waiting.size === 0) this.#emptied();
    return request;
  }

  rejectAll(error: () => SessioncastError): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.size === 0) return;
    const requests = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#emptied();
    for (const request of requests) request.reject(error());
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
    for (const [requestId, request] of this.#waiting) {
      if (request.deadlineMs > nowMs) {
        this.#watch(request.deadlineMs - nowMs);
        break;
      }
      this.take(requestId);
      lastMs = request.deadlineMs - this.#timeoutMs;
      request.reject(timedOut(this.#timeoutMs));
    }
    if (lastMs !== undefined) this.#expired(lastMs);
  }
}
