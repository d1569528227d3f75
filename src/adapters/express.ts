import { type Client, createClient, type Session } from "../client/connect.ts";
import { loadExpressStore } from "./express-base.ts";
import { fromStored, remainingMs, type StoredSession, toStored } from "./express-session-data.ts";

export type { StoredSession } from "./express-session-data.ts";

export interface SessioncastStoreOptions {
  /** Path of the sidecar's Unix socket; by default where sidecars listen by default. */
  readonly socket?: string | undefined;
  /** A client to share; the store does not close it. `socket` and `timeoutMs` are its own then. */
  readonly client?: Client | undefined;
  /** Put before each session id; several apps may then share one cluster. Empty by default. */
  readonly prefix?: string | undefined;
  /** How long a request to the sidecar may take, in milliseconds; 1000 by default. */
  readonly timeoutMs?: number | undefined;
  /** How long an unused session lives whose cookie does not say, in milliseconds; one day. */
  readonly idleMs?: number | undefined;
}

type Callback = (error?: unknown) => void;
type ResultCallback<T> = (error: unknown, result?: T) => void;

const idleMsDefault = 86_400_000;
const ExpressStore = loadExpressStore();

/**
 * A store for express-session that keeps sessions in the sidecar of this host. Each top-level key
 * of a session is an attribute of its own there.
 *
 * Emits `disconnect` and `connect` as the connection breaks and comes back: express-session serves
 * requests without a session in between, instead of having each wait and fail. Use one store for
 * one `session()` middleware.
 */
export class SessioncastStore extends ExpressStore {
  readonly client: Client;
  readonly #ownsClient: boolean;
  readonly #prefix: string;
  readonly #idleMs: number;
  readonly #onConnect = () => this.emit("connect");
  readonly #onDisconnect = () => this.emit("disconnect");

  constructor(options: SessioncastStoreOptions = {}) {
    super();
    const { client, socket, timeoutMs } = options;
    this.client = client ?? createClient({ socket, timeoutMs });
    this.#ownsClient = client === undefined;
    this.#prefix = options.prefix ?? "";
    this.#idleMs = options.idleMs ?? idleMsDefault;
    this.client.on("connect", this.#onConnect);
    this.client.on("disconnect", this.#onDisconnect);
  }

  /** `null` when there is none. What a session looks like (`S`) only the app knows. */
  get<S = StoredSession>(id: string, callback: ResultCallback<S | null>): void {
    settle(this.#get(id) as Promise<S | null>, callback);
  }

  /** Stores the whole session; one that was destroyed meanwhile stays destroyed. */
  set(id: string, session: object, callback?: Callback): void {
    settle(this.#set(id, session), callback);
  }

  destroy(id: string, callback?: Callback): void {
    settle(this.client.destroy(this.#prefix + id), callback && dropResult(callback));
  }

  /** Prolongs the session and leaves what it holds; does nothing when there is none. */
  touch(id: string, session: object, callback?: Callback): void {
    settle(this.#touch(id, session), callback);
  }

  /** All sessions of this store's prefix, each with its `id`. */
  all<S = StoredSession>(callback: ResultCallback<(S & { id: string })[]>): void {
    settle(this.#all() as Promise<(S & { id: string })[]>, callback);
  }

  length(callback: ResultCallback<number>): void {
    settle(this.#length(), callback);
  }

  /** Destroys all sessions of this store's prefix, on all nodes. */
  clear(callback?: Callback): void {
    settle(this.#clear(), callback);
  }

  /** Lets go of the client, and closes it when it is the store's own. */
  async close(): Promise<void> {
    this.client.off("connect", this.#onConnect);
    this.client.off("disconnect", this.#onDisconnect);
    if (this.#ownsClient) await this.client.close();
  }

  async #get(id: string): Promise<StoredSession | null> {
    const session = await this.client.get(this.#prefix + id);
    return session === undefined ? null : fromStored(session.attributes, session.expiresAt);
  }

  async #set(id: string, session: object): Promise<void> {
    const idleMs = remainingMs(session, Date.now()) ?? this.#idleMs;
    if (idleMs <= 0) await this.client.destroy(this.#prefix + id);
    else await this.client.set(this.#prefix + id, toStored(session), { idleMs });
  }

  async #touch(id: string, session: object): Promise<void> {
    const idleMs = remainingMs(session, Date.now()) ?? this.#idleMs;
    if (idleMs <= 0) await this.client.destroy(this.#prefix + id);
    else await this.client.touch(this.#prefix + id, { idleMs });
  }

  async #all(): Promise<(StoredSession & { id: string })[]> {
    const found: (StoredSession & { id: string })[] = [];
    for await (const ids of this.#pages()) {
      const sessions = await Promise.all(ids.map((id) => this.client.get(id)));
      for (const session of sessions) if (session !== undefined) found.push(this.#named(session));
    }
    return found;
  }

  async #length(): Promise<number> {
    if (this.#prefix === "") return this.client.count();
    let length = 0;
    for await (const ids of this.#pages()) length += ids.length;
    return length;
  }

  async #clear(): Promise<void> {
    for await (const ids of this.#pages()) {
      await Promise.all(ids.map((id) => this.client.destroy(id)));
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

  #named(session: Session): StoredSession & { id: string } {
    const stored = fromStored(session.attributes, session.expiresAt);
    return { ...stored, id: session.id.slice(this.#prefix.length) };
  }
}

/**
 * Calls back once, and outside of the promise: what the callback throws is the app's to see, not
 * a reason to call it again with an error.
 */
function settle<T>(work: Promise<T>, callback: ResultCallback<T> | undefined): void {
  work.then(
    (result) => {
      if (callback) process.nextTick(callback, null, result);
    },
    (error: unknown) => {
      if (callback) process.nextTick(callback, error);
    },
  );
}

function dropResult(callback: Callback): Callback {
  return (error) => callback(error);
}
