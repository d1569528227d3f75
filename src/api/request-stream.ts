import { limits } from "../protocol/limits.ts";
import { FrameSplitter } from "./framing.ts";
import { MsgpackReader } from "./msgpack-reader.ts";
import { decodeRequest } from "./request-decoder.ts";
import type { BadRequest, Request } from "./requests.ts";

/**
 * What one client asks, in its order. Several requests are decoded before the first of them is
 * served, so that what they are about can be sought together. As with the splitter the caller
 * pulls: `feed` a chunk, then call `next`; a caller that stops in between goes on from there later.
 */
export class RequestStream {
  readonly #decoded: (requests: readonly (Request | BadRequest)[]) => void;
  readonly #splitter = new FrameSplitter(limits.localFrameBytesMax);
  readonly #reader = new MsgpackReader();
  #ahead: (Request | BadRequest)[] = [];
  #taken = 0;

  /** `decoded` is told of those that come next. */
  constructor(decoded: (requests: readonly (Request | BadRequest)[]) => void) {
    this.#decoded = decoded;
  }

  /** Octets that were fed and not yet decoded. */
  get unread(): number {
    return this.#splitter.unread;
  }

  /** A frame above the limit was announced, and all before it was taken. */
  get oversize(): boolean {
    return this.#splitter.oversize && this.#taken === this.#ahead.length;
  }

  /** The chunk is read in place and must not change until `next` has returned undefined. */
  feed(chunk: Buffer): void {
    this.#splitter.feed(chunk);
  }

  /**
   * Undefined: there is no whole one yet, or the stream is `oversize`. No more are decoded ahead
   * than `countMax`, this one included: so many the caller is going to take.
   */
  next(countMax: number): Request | BadRequest | undefined {
    if (this.#taken === this.#ahead.length) this.#decode(countMax);
    const request = this.#ahead[this.#taken];
    if (request !== undefined) this.#taken += 1;
    return request;
  }

  #decode(countMax: number): void {
    const count = Math.min(countMax, limits.localRequestsAheadMax);
    const splitter = this.#splitter;
    const reader = this.#reader;
    this.#ahead = [];
    this.#taken = 0;
    while (this.#ahead.length < count && splitter.next()) {
      reader.reset(splitter.buffer, splitter.start, splitter.end);
      this.#ahead.push(decodeRequest(reader));
    }
    if (this.#ahead.length > 0) this.#decoded(this.#ahead);
  }
}
