import { LRUCache } from "lru-cache";
import { MsgpackReader } from "../api/msgpack-reader.ts";
import { limits } from "../protocol/limits.ts";
import { deepFreeze } from "./deep-freeze.ts";
import { invalid } from "./errors.ts";
import { decodeSession, type Session } from "./session.ts";

export interface NearCacheOptions {
  /** How many sessions at most. */
  readonly maxCount: number;
  /** Their octets at most, as the sidecar sends them. */
  readonly maxBytes: number;
}

export interface NearCacheStats {
  readonly hits: number;
  /** Reads that the sidecar answered. */
  readonly misses: number;
  readonly count: number;
  readonly bytes: number;
}

/** What an entry takes besides the octets of the reply; estimated, rounded up. */
const entryBytes = 300;

/** One session as the sidecar answered it, and as an object once somebody has asked again. */
interface Entry {
  readonly reply: Buffer;
  readonly stamp: string;
  readonly expiresAt: number;
  /** Frozen, so that all may have it; null: it cannot be frozen. */
  shared: Session | null | undefined;
}

/**
 * Copies of sessions in the app's own process. The sidecar tells of each change of one that was
 * read (see api/change-feed.ts), so a copy is behind by the time that this takes, and a read of it
 * costs no system call. A sidecar that is stopped tells nothing: copies count only for a second
 * after it was last heard of, and go with the connection.
 */
export class NearCache {
  readonly countMax: number;
  readonly #entries: LRUCache<string, Entry>;
  readonly #reader = new MsgpackReader();
  #hits = 0;
  #misses = 0;

  /** Throws SESSIONCAST_INVALID. */
  constructor({ maxCount, maxBytes }: NearCacheOptions) {
    for (const max of [maxCount, maxBytes]) {
      if (!Number.isSafeInteger(max) || max < 1) {
        throw invalid("nearCache needs a maxCount and a maxBytes, whole numbers above 0");
      }
    }
    this.countMax = Math.min(maxCount, limits.trackedPerClientMax / 2);
    this.#entries = new LRUCache({
      max: this.countMax,
      maxSize: maxBytes,
      sizeCalculation: ({ reply }) => reply.length + entryBytes,
    });
  }

  get stats(): NearCacheStats {
    const { size, calculatedSize } = this.#entries;
    return { hits: this.#hits, misses: this.#misses, count: size, bytes: calculatedSize };
  }

  /**
   * Undefined: there is no copy, or none that holds the write `atLeast` for certain. `mutable`: an
   * object of the caller's own.
   */
  find(id: string, atLeast: string | undefined, mutable: boolean): Session | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || (atLeast !== undefined && atLeast !== entry.stamp)) return undefined;
    if (Date.now() >= entry.expiresAt) {
      this.#entries.delete(id);
      return undefined;
    }
    this.#hits += 1;
    if (mutable || entry.shared === null) return this.#decode(id, entry.reply);
    entry.shared ??= this.#freeze(id, entry.reply);
    return entry.shared ?? this.#decode(id, entry.reply);
  }

  /** Keeps what the sidecar has answered just now, and returns it. */
  keep(id: string, reader: MsgpackReader, mutable: boolean): Session | undefined {
    this.#misses += 1;
    const rest = reader.rest();
    // Memory of its own: a slice of what others share would keep all of that.
    const reply = Buffer.allocUnsafeSlow(rest.length);
    rest.copy(reply);
    const session = decodeSession(id, reader);
    if (session === undefined || !reader.finished) return session;
    const { stamp, expiresAt = Number.POSITIVE_INFINITY } = session;
    const entry: Entry = { reply, stamp, expiresAt, shared: undefined };
    this.#entries.set(id, entry);
    if (mutable) return session;
    if (deepFreeze(session)) entry.shared = session;
    else entry.shared = null;
    return entry.shared ?? this.#decode(id, reply);
  }

  drop(id: string): void {
    this.#entries.delete(id);
  }

  clear(): void {
    this.#entries.clear();
  }

  #freeze(id: string, reply: Buffer): Session | null {
    const session = this.#decode(id, reply);
    return session !== undefined && deepFreeze(session) ? session : null;
  }

  #decode(id: string, reply: Buffer): Session | undefined {
    this.#reader.reset(reply, 0, reply.length);
    return decodeSession(id, this.#reader);
  }
}
