import { limits } from "../protocol/limits.ts";
import { FrameSplitter } from "./framing.ts";
import { MsgpackReader } from "./msgpack-reader.ts";
import { decodeRequest } from "./request-decoder.ts";
import type { BadRequest, Request } from "./requests.ts";

type Requests = readonly (Request | BadRequest)[];

const none: Requests = [];

/**
 * What one client asks, in its order. Several requests are decoded before the first of them is
 * served, so that what they are about can be sought together. As with the splitter the caller
 * pulls: `feed` a chunk, then call `next`; a caller that stops in between goes on from there later.
 */
export class RequestStream {
  readonly #decoded: (requests: Requests) => void;
  readonly #splitter = new FrameSplitter(limits.localFrameBytesMax);
  readonly #reader = new MsgpackReader();
  #ahead = none;
  #taken = 0;

  /** `decoded` is told of those that come next, where they are several. */
  constructor(decoded: (requests: Requests) => void) {
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
    if (this.#taken < this.#ahead.length) return this.#ahead[this.#taken++];
    this.#ahead = none;
    this.#taken = 0;
    const first = this.#decodeOne();
    if (first === undefined || this.#splitter.unread === 0) return first;
    return this.#decodeBehind(first, Math.min(countMax, limits.localRequestsAheadMax));
  }

  #decodeBehind(first: Request | BadRequest, countMax: number): Request | BadRequest {
    const ahead = [first];
    while (ahead.length < countMax) {
      const request = this.#decodeOne();
      if (request === undefined) break;
      ahead.push(request);
    }
    this.#ahead = ahead;
    this.#taken = 1;
    if (ahead.length > 1) this.#decoded(ahead);
    return first;
  }

  #decodeOne(): Request | BadRequest | undefined {
    const splitter = this.#splitter;
    if (!splitter.next()) return undefined;
    this.#reader.reset(splitter.buffer, splitter.start, splitter.end);
    return decodeRequest(this.#reader);
  }
}
