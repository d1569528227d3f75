import { Baseline } from "./baseline.ts";
import { type Callback, type ResultCallback, settle, settleDone, settleSoon } from "./callback.ts";
import { setCookieHeader, type Visit } from "./consistency.ts";
import { isCookieSecure, type StoredSession } from "./cookie-session.ts";
import { CookieSessions, type LoadedSession } from "./cookie-sessions.ts";
import { loadExpressStore } from "./express-base.ts";
import {
  beforeHeaders,
  holdUntilEnd,
  type Middleware,
  type SessionAtEnd,
  type SessionRequest,
  saveBeforeEnd,
} from "./express-requests.ts";
import { SessionEngine, type StoreOptions } from "./session-engine.ts";

export type { StoredSession } from "./cookie-session.ts";
export type SessioncastStoreOptions = StoreOptions;

type Generate = (request: SessionRequest) => void;

const ExpressStore = loadExpressStore();

/**
 * A store for express-session that keeps sessions in the sidecar of this host. Each top-level key
 * of a session is an attribute of its own there, and a request saves only those that it changed.
 *
 * Emits `disconnect` and `connect` as the connection breaks and comes back, `behind`, `unavailable`
 * and `dropped` (see `SessionEngine`). Use one store for one `session()` middleware; stores may
 * share a client.
 */
export class SessioncastStore extends ExpressStore {
  readonly #engine: SessionEngine;
  readonly #sessions: CookieSessions;
  readonly #baselines = new WeakMap<object, Baseline>();
  readonly #visits = new WeakMap<object, Visit>();
  /** The request that express-session is being called for at this moment. */
  #visit: Visit | undefined;
  #generate: Generate | undefined;
  readonly #ending: SessionAtEnd = {
    isWorthSaving: (session) => this.#isWorthSaving(session),
    failed: (session) => {
      const baseline = this.#baselines.get(session);
      if (baseline !== undefined) baseline.standing = "lost";
    },
  };
  /** Listeners that express-session is about to add, and that would undo the policy. */
  readonly #deafTo = new Set<string | symbol>();

  constructor(options: SessioncastStoreOptions = {}) {
    super();
    this.#engine = new SessionEngine(options, this);
    this.#sessions = new CookieSessions(this.#engine);
  }

  get client() {
    return this.#engine.client;
  }

  /** `null` when there is none. What a session looks like (`S`) only the app knows. */
  get<S = StoredSession>(id: string, callback: ResultCallback<S | null>): void {
    const copy = this.#visit === undefined ? this.#engine.copyOf(id) : undefined;
    if (copy === undefined) settle(this.#get(id, this.#visit) as Promise<S | null>, callback);
    else settleSoon(() => this.#given(this.#sessions.take(id, copy)) as S, callback);
  }

  /**
   * Stores what has changed since the session was loaded, or the whole session if it was not. One
   * that was destroyed meanwhile stays destroyed.
   */
  set(id: string, session: object, callback?: Callback): void {
    settleDone(() => this.#set(id, session), callback);
  }

  destroy(id: string, callback?: Callback): void {
    settleDone(() => this.#engine.destroy(id), callback);
  }

  /** Prolongs the session and leaves what it holds; does nothing when there is none. */
  touch(id: string, session: object, callback?: Callback): void {
    settleDone(() => this.#sessions.touch(this.#baselineOf(id, session), session), callback);
  }

  /** All sessions of this store's prefix, each with its `id`. */
  all<S = StoredSession>(callback: ResultCallback<(S & { id: string })[]>): void {
    settle(this.#all() as Promise<(S & { id: string })[]>, callback);
  }

  length(callback: ResultCallback<number>): void {
    settle(this.#engine.count(), callback);
  }

  /** Destroys all sessions of this store's prefix, on all nodes. */
  clear(callback?: Callback): void {
    settleDone(() => this.#engine.clear(), callback);
  }

  /** Lets go of the client, and closes it when it is the store's own. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  /**
   * Put around `session()` when the option `consistency` is "session":
   * `app.use(store.consistent(session({ store, ... })))`. A response then leaves when its session
   * is saved, and takes the companion cookie along.
   */
  consistent<M extends (...given: never[]) => unknown>(middleware: M): M {
    const { consistency } = this.#engine;
    if (consistency === undefined) return middleware;
    const inner = middleware as unknown as Middleware;
    const outer: Middleware = (request: SessionRequest, response, next) => {
      const visit = consistency.visit(request.headers.cookie);
      this.#visits.set(request, visit);
      let isSecure = false;
      beforeHeaders(response, () => {
        const id = request.sessionID;
        const cookie = this.#engine.companionCookie(visit, id);
        if (request.session) isSecure = isCookieSecure(request.session);
        if (cookie) response.appendHeader("Set-Cookie", setCookieHeader(cookie, isSecure));
      });
      const hold = holdUntilEnd(response);
      this.#visit = visit;
      try {
        inner(request, response, (error) => {
          isSecure = isCookieSecure(request.session);
          saveBeforeEnd(request, response, { ...this.#ending, hold }, next);
          next(error);
        });
      } finally {
        this.#visit = undefined;
      }
    };
    return outer as unknown as M;
  }

  /** express-session sets this: how a new session is made for a request. */
  get generate(): Generate | undefined {
    return this.#generate;
  }

  set generate(generate: Generate | undefined) {
    for (const event of ["connect", "disconnect"]) this.#deafTo.add(event);
    queueMicrotask(() => this.#deafTo.clear());
    this.#generate = (request) => {
      this.#requireVisit(request);
      generate?.(request);
      const { session, sessionID: id = "" } = request;
      if (session) this.#baselines.set(session, new Baseline(id, "absent"));
    };
  }

  /**
   * What express-session itself does at a `disconnect` is to serve requests without `req.session`,
   * on which most apps fail. What happens then is for `onUnavailable` to say, so the listeners that
   * it adds, right after it has set `generate`, hear nothing.
   */
  override on(event: string | symbol, listener: (...given: never[]) => void): this {
    if (this.#deafTo.delete(event)) return this;
    return super.on(event, listener as (...given: unknown[]) => void);
  }

  override createSession<S>(request: SessionRequest, session: object): S {
    this.#requireVisit(request);
    const baseline = this.#baselines.get(session);
    if (baseline?.standing === "lost") this.#lend(request, session as StoredSession);
    const live = super.createSession<S & object>(request, session);
    if (baseline !== undefined) {
      // A name that its own methods have is not taken from what is stored.
      baseline.keepOnly((name) => Object.hasOwn(live, name));
      this.#baselines.set(live, baseline);
    }
    return live;
  }

  async #get(id: string, visit: Visit | undefined): Promise<StoredSession | null> {
    const loaded = await this.#sessions.load(id, visit);
    return loaded === undefined ? null : this.#given(loaded);
  }

  #given({ session = { cookie: {} }, baseline }: LoadedSession): StoredSession {
    this.#baselines.set(session, baseline);
    return session;
  }

  async #set(id: string, session: object): Promise<void> {
    const baseline = this.#baselineOf(id, session);
    this.#baselines.set(session, baseline);
    await this.#sessions.save(baseline, session);
  }

  #baselineOf(id: string, session: object): Baseline {
    const baseline = this.#baselines.get(session);
    return baseline?.id === id ? baseline : new Baseline(id, "unknown");
  }

  /** An empty session that keeps the id, so that the browser keeps its cookie. */
  #lend(request: SessionRequest, session: StoredSession): void {
    const id = request.sessionID;
    this.#generate?.(request);
    const made = request.session as StoredSession | undefined;
    if (made?.cookie) session.cookie = made.cookie;
    if (id !== undefined) request.sessionID = id;
  }

  /** A new session that holds nothing is not saved before express-session wants it to. */
  #isWorthSaving(session: object): boolean {
    const isNew = this.#baselines.get(session)?.standing === "absent";
    return !isNew || Object.keys(session).some((name) => name !== "cookie");
  }

  #requireVisit(request: SessionRequest): void {
    const isRequest = "headers" in request;
    if (this.#engine.consistency === undefined || !isRequest || this.#visits.has(request)) return;
    throw new Error('consistency: "session" needs app.use(store.consistent(session({ store })))');
  }

  async #all(): Promise<(StoredSession & { id: string })[]> {
    const sessions = await this.#engine.all();
    return sessions.map((session) => ({ ...this.#sessions.restore(session), id: session.id }));
  }
}
