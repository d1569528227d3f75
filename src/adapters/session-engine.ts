import type { EventEmitter } from "node:events";
import {
  type Client,
  type ClientOptions,
  createClient,
  type Session,
  SessioncastError,
  type WriteResult,
} from "../client/connect.ts";
import type { Baseline, Changes } from "./baseline.ts";
import {
  type CompanionCookie,
  Consistency,
  type ConsistencyOptions,
  type Visit,
} from "./consistency.ts";
import { type Parts, valuesOf } from "./parts.ts";
import { RecentMap } from "./recent-map.ts";
import { Turns } from "./turns.ts";

/** Options that the stores of all frameworks have, besides those of their client. */
export interface StoreOptions extends ClientOptions, ConsistencyOptions {
  /** A client to share; the store does not close it, and the client's options are its own then. */
  readonly client?: Client | undefined;
  /** Put before each session id; several apps may then share one cluster. Empty by default. */
  readonly prefix?: string | undefined;
  /** How long an unused session lives whose cookie does not say, in milliseconds; one day. */
  readonly idleMs?: number | undefined;
  /**
   * When the sidecar cannot be reached or does not answer in time: the request fails with the coded
   * error (default), or goes on with an empty session that is not saved and leaves the browser's
   * cookie as it is. Destroying a session fails with either.
   */
  readonly onUnavailable?: "error" | "no-session" | undefined;
  /**
   * `session`: a browser always sees its own last write, on whatever node, by a signed companion
   * cookie. `local` (default): what this node knows.
   */
  readonly consistency?: "local" | "session" | undefined;
  /** Signs the companion cookie, the same on all nodes. The first signs, the others still count. */
  readonly consistencySecret?: string | readonly string[] | undefined;
  /** The name of the companion cookie; `sessioncast.at` by default. Each store needs its own. */
  readonly consistencyCookie?: string | undefined;
}

/** `lost`: the sidecar could not be asked, and the policy is to go on without. */
export type Loaded = Session | "none" | "lost";

/** Apps change the session that they are given. */
const ownCopy = { mutable: true } as const;
const idleMsDefault = 86_400_000;
const touchWindowMsMax = 10_000;
const touchWindowShare = 20;
const touchesRemembered = 10_000;

/**
 * What the stores of all frameworks do, each in the words of its framework.
 *
 * Tells what went differently by events: `behind` (the write that a browser had seen could not be
 * had, so it got what this node knows), `unavailable` and `dropped`, with the error (a session
 * could not be loaded, or not be saved, and the request went on).
 */
export class SessionEngine {
  readonly client: Client;
  readonly consistency: Consistency | undefined;
  readonly idleMs: number;
  readonly #prefix: string;
  readonly #ownsClient: boolean;
  readonly #goesOn: boolean;
  readonly #events: EventEmitter;
  /** When sessions that were used a moment ago will end, by what the sidecar was told. */
  readonly #ends = new RecentMap<number>(touchesRemembered);
  readonly #turns = new Turns();
  readonly #onConnect: () => void;
  readonly #onDisconnect: () => void;

  constructor(options: StoreOptions, events: EventEmitter) {
    this.consistency = options.consistency === "session" ? new Consistency(options) : undefined;
    this.client = options.client ?? createClient(options);
    this.#ownsClient = options.client === undefined;
    this.#prefix = options.prefix ?? "";
    this.idleMs = options.idleMs ?? idleMsDefault;
    this.#goesOn = options.onUnavailable === "no-session";
    this.#events = events;
    this.#onConnect = () => events.emit("connect");
    this.#onDisconnect = () => events.emit("disconnect");
    this.client.on("connect", this.#onConnect);
    this.client.on("disconnect", this.#onDisconnect);
  }

  /** Lets go of the client, and closes it when it is the store's own. */
  async close(): Promise<void> {
    this.client.off("connect", this.#onConnect);
    this.client.off("disconnect", this.#onDisconnect);
    if (this.#ownsClient) await this.client.close();
  }

  /** What the near cache has of a session, at once; undefined: it has to be loaded. */
  copyOf(id: string): Session | undefined {
    return this.client.peek(this.#prefix + id, ownCopy);
  }

  async load(id: string, visit: Visit | undefined): Promise<Loaded> {
    try {
      return (await this.#read(this.#prefix + id, visit)) ?? "none";
    } catch (error) {
      if (!this.#goesOn || !isUnavailable(error)) throw error;
      this.#events.emit("unavailable", error);
      return "lost";
    }
  }

  /**
   * Stores what this request changed, of all the `parts` that the session has. One that was
   * destroyed meanwhile stays so. `idleMs` of 0 or less: it is over. Saves of one session that
   * nobody awaits are done in their order.
   */
  async save(baseline: Baseline, parts: Parts, idleMs: number): Promise<void> {
    if (baseline.standing === "lost") {
      if (parts.size > 0) this.#events.emit("dropped");
      return;
    }
    const { id, standing } = baseline;
    const write = () => {
      if (idleMs <= 0) return this.#destroy(id);
      if (baseline.standing === "stored") return this.#change(baseline, parts, idleMs);
      return this.#store(baseline, parts, idleMs);
    };
    await this.#orDropped(() => this.#turns.take(id, standing === "absent", write));
  }

  /**
   * The session was used. Does nothing if the sidecar would hardly let it live longer: a twentieth
   * of the idle time, ten seconds at most. By so much a session may end too early. Undefined: there
   * is nothing to do.
   */
  touch(baseline: Baseline, idleMs: number): Promise<void> | undefined {
    const { id, standing } = baseline;
    if (standing === "lost" || (idleMs > 0 && this.#isFresh(id, idleMs))) return undefined;
    const write = () => (idleMs <= 0 ? this.#destroy(id) : this.#touch(id, idleMs));
    return this.#orDropped(() => this.#turns.take(id, false, write));
  }

  destroy(id: string): Promise<void> {
    return this.#turns.take(id, false, () => this.#destroy(id));
  }

  async #destroy(id: string): Promise<void> {
    this.#ends.delete(id);
    this.#note(id, await this.client.destroy(this.#prefix + id));
  }

  /** What a response has to carry; undefined: nothing. */
  companionCookie(visit: Visit, id: string | undefined): CompanionCookie | undefined {
    const storedId = id === undefined ? undefined : this.#prefix + id;
    return this.consistency?.cookieFor(visit, storedId, Date.now());
  }

  async count(): Promise<number> {
    if (this.#prefix === "") return this.client.count();
    let count = 0;
    for await (const ids of this.#pages()) count += ids.length;
    return count;
  }

  /** All sessions of this store's prefix, without it. */
  async all(): Promise<Session[]> {
    const found: Session[] = [];
    for await (const ids of this.#pages()) {
      const sessions = await Promise.all(ids.map((id) => this.client.get(id, ownCopy)));
      for (const session of sessions) {
        if (session === undefined) continue;
        found.push({ ...session, id: session.id.slice(this.#prefix.length) });
      }
    }
    return found;
  }

  /** Destroys all sessions of this store's prefix, on all nodes. */
  async clear(): Promise<void> {
    for await (const ids of this.#pages()) {
      await Promise.all(ids.map((id) => this.client.destroy(id)));
    }
  }

  #read(id: string, visit: Visit | undefined): Promise<Session | undefined> {
    const stamps = visit ? (this.consistency?.atLeast(visit, id, Date.now()) ?? []) : [];
    if (visit === undefined || stamps.length === 0) return this.client.get(id, ownCopy);
    return this.#readAfter(id, visit, stamps);
  }

  async #readAfter(
    id: string,
    visit: Visit,
    stamps: readonly string[],
  ): Promise<Session | undefined> {
    try {
      return await this.#readAll(id, stamps);
    } catch (error) {
      if (codeOf(error) !== "SESSIONCAST_BEHIND") throw error;
      visit.isBehind = true;
      this.#events.emit("behind");
      return this.client.get(id, ownCopy);
    }
  }

  /** What includes all of these writes is what was answered last. */
  async #readAll(id: string, stamps: readonly string[]): Promise<Session | undefined> {
    let latest: Session | undefined;
    const reads = stamps.map(async (atLeast) => {
      latest = await this.client.get(id, { atLeast, ...ownCopy });
    });
    await Promise.all(reads);
    return latest;
  }

  /** A session that was not loaded: as a whole. */
  async #store(baseline: Baseline, parts: Parts, idleMs: number): Promise<void> {
    const { id, standing } = baseline;
    const changes: Changes = { set: parts, unset: [] };
    baseline.standing = "stored";
    baseline.idleMs = idleMs;
    baseline.sent(changes);
    try {
      const values = valuesOf(parts);
      const stored =
        standing === "absent"
          ? await this.#create(id, values, idleMs)
          : await this.client.set(this.#prefix + id, values, { idleMs });
      this.#note(id, stored);
      this.#used(id, idleMs);
    } catch (error) {
      baseline.standing = standing;
      baseline.failed(changes);
      throw error;
    }
  }

  /** An id that frameworks draw is free; one that an app chooses may be taken, and is replaced. */
  async #create(id: string, values: object, idleMs: number): Promise<WriteResult> {
    try {
      return await this.client.create(this.#prefix + id, values, { idleMs });
    } catch (error) {
      if (codeOf(error) !== "SESSIONCAST_CONFLICT") throw error;
      return this.client.set(this.#prefix + id, values, { idleMs });
    }
  }

  async #change(baseline: Baseline, parts: Parts, idleMs: number): Promise<void> {
    const { id, idleMs: idleMsBefore } = baseline;
    const changes = baseline.changesTo(parts);
    if (changes.set.size === 0 && changes.unset.length === 0) return this.#touch(id, idleMs);
    baseline.sent(changes);
    baseline.idleMs = idleMs;
    try {
      const { unset } = changes;
      const patch = this.client.patch(this.#prefix + id, { set: valuesOf(changes.set), unset });
      // A change is a use, but leaves it to a touch how long the session may be unused.
      const isAsLong = idleMs === idleMsBefore;
      const touch = isAsLong ? undefined : this.client.touch(this.#prefix + id, { idleMs });
      const [result] = await Promise.all([patch, touch]);
      this.#note(id, result);
      this.#used(id, idleMs);
    } catch (error) {
      baseline.failed(changes);
      baseline.idleMs = idleMsBefore;
      throw error;
    }
  }

  async #touch(id: string, idleMs: number): Promise<void> {
    if (this.#isFresh(id, idleMs)) return;
    this.#used(id, idleMs);
    try {
      await this.client.touch(this.#prefix + id, { idleMs });
    } catch (error) {
      this.#ends.delete(id);
      throw error;
    }
  }

  /** Whether the sidecar was told of about the same end a moment ago. */
  #isFresh(id: string, idleMs: number): boolean {
    const known = this.#ends.get(id);
    const windowMs = Math.min(idleMs / touchWindowShare, touchWindowMsMax);
    return known !== undefined && Math.abs(Date.now() + idleMs - known) <= windowMs;
  }

  #used(id: string, idleMs: number): void {
    this.#ends.set(id, Date.now() + idleMs);
  }

  #note(id: string, { stamp }: WriteResult): void {
    this.consistency?.noteWrite(this.#prefix + id, stamp);
  }

  async #orDropped(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!this.#goesOn || !isUnavailable(error)) throw error;
      this.#events.emit("dropped", error);
    }
  }

  /** Ids with their prefix, a page at a time: a node may hold a million. */
  async *#pages(): AsyncGenerator<string[]> {
    let cursor: string | undefined;
    do {
      const page = await this.client.list({ prefix: this.#prefix, cursor });
      yield page.sessions.map((session) => session.id);
      cursor = page.cursor;
    } while (cursor !== undefined);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof SessioncastError ? error.code : undefined;
}

function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  return code === "SESSIONCAST_UNAVAILABLE" || code === "SESSIONCAST_TIMEOUT";
}
