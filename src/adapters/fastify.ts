import { EventEmitter } from "node:events";
import { Baseline } from "./baseline.ts";
import { type Callback, type ResultCallback, settle, settleDone } from "./callback.ts";
import { setCookieHeader, type Visit } from "./consistency.ts";
import { isCookieSecure, type StoredSession } from "./cookie-session.ts";
import { CookieSessions } from "./cookie-sessions.ts";
import { SessionEngine, type StoreOptions } from "./session-engine.ts";

export type { StoredSession } from "./cookie-session.ts";
export type SessioncastStoreOptions = StoreOptions;

/** The parts of Fastify that are used; its own types are not at hand in an app without it. */
interface App {
  addHook(name: "onRequest", hook: (...given: HookArguments) => void): unknown;
  addHook(
    name: "onSend",
    hook: (request: Request, reply: Reply, payload: unknown, done: Done) => void,
  ): unknown;
  register(plugin: unknown, options: object): unknown;
  after(act: () => void): unknown;
}

interface Request {
  readonly headers: { readonly cookie?: string | undefined };
  readonly session?: { readonly sessionId?: string; readonly cookie?: object } | null;
}

interface Reply {
  header(name: string, value: string): unknown;
}

type Done = (error?: Error) => void;
type HookArguments = [request: Request, reply: Reply, done: Done];

interface Passage extends Visit {
  id: string | undefined;
  isSecure: boolean;
}

/**
 * Rides on the cookie of what `get` returns into the options that the plugin keeps with the live
 * session: it makes that by itself, as a copy, and hands it to nobody before it comes to `set`.
 */
const baselineKey = Symbol("sessioncast.baseline");

/**
 * A store for `@fastify/session` that keeps sessions in the sidecar of this host. Each top-level
 * key of a session is an attribute of its own there, and a request saves only those that it
 * changed; with `rolling`, one that changed nothing costs a touch.
 *
 * Emits `disconnect` and `connect` as the connection breaks and comes back, `behind`, `unavailable`
 * and `dropped` (see `SessionEngine`).
 */
export class SessioncastStore extends EventEmitter {
  readonly #engine: SessionEngine;
  readonly #sessions: CookieSessions;
  readonly #baselines = new WeakMap<object, Baseline>();
  readonly #passages = new WeakMap<object, Passage>();
  /** The request that the plugin is being called for at this moment. */
  #visit: Visit | undefined;

  constructor(options: SessioncastStoreOptions = {}) {
    super();
    this.#engine = new SessionEngine(options, this);
    this.#sessions = new CookieSessions(this.#engine);
  }

  get client() {
    return this.#engine.client;
  }

  /** `null` when there is none. What a session looks like (`S`) only the app knows. */
  // biome-ignore lint/suspicious/noExplicitAny: the type that the plugin asks for is the app's
  get<S = any>(id: string, callback: ResultCallback<S | null>): void {
    settle(this.#get(id, this.#visit) as Promise<S | null>, callback);
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

  /** Lets go of the client, and closes it when it is the store's own. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  /**
   * Put around the plugin when the option `consistency` is "session":
   * `app.register(store.consistent(fastifySession), { store, ... })`.
   */
  consistent<P extends (...given: never[]) => unknown>(plugin: P): P {
    if (this.#engine.consistency === undefined) return plugin;
    const outer = (app: App, options: object, done: Done) => {
      app.addHook("onRequest", (request, _reply, next) => this.#enter(request, next));
      app.register(plugin, options);
      app.after(() => {
        app.addHook("onRequest", (request, _reply, next) => this.#entered(request, next));
        app.addHook("onSend", (request, reply, _payload, next) => {
          this.#leave(request, reply);
          next();
        });
      });
      done();
    };
    // The hooks are to be those of the whole app, as the plugin's own are.
    return Object.assign(outer, { [Symbol.for("skip-override")]: true }) as unknown as P;
  }

  async #get(id: string, visit: Visit | undefined): Promise<StoredSession | null> {
    const loaded = await this.#sessions.load(id, visit);
    if (loaded === undefined) return null;
    const { baseline, session = { cookie: {} } } = loaded;
    // Of a lost session only the id is known: its cookie is the one that is configured.
    const cookie = { ...session.cookie, [baselineKey]: baseline };
    this.#baselines.set(session, baseline);
    baseline.keepOnly((name) => name !== "sessionId" && name !== "encryptedSessionId");
    return Object.assign(session, { cookie });
  }

  async #set(id: string, session: object): Promise<void> {
    const baseline = this.#baselineOf(id, session);
    this.#baselines.set(session, baseline);
    await this.#sessions.save(baseline, session);
  }

  #baselineOf(id: string, session: object): Baseline {
    const found = this.#baselines.get(session) ?? carriedBy(session);
    return found?.id === id ? found : new Baseline(id, "unknown");
  }

  #enter(request: Request, next: Done): void {
    const visit = this.#engine.consistency?.visit(request.headers.cookie);
    if (visit !== undefined) {
      const passage: Passage = Object.assign(visit, { id: undefined, isSecure: false });
      this.#passages.set(request, passage);
    }
    this.#visit = visit;
    try {
      next();
    } finally {
      this.#visit = undefined;
    }
  }

  #entered(request: Request, next: Done): void {
    this.#see(request);
    next();
  }

  /** A session that was destroyed has left the request when it ends. */
  #see(request: Request): Passage | undefined {
    const passage = this.#passages.get(request);
    const { session } = request;
    if (passage !== undefined && session?.sessionId !== undefined) {
      passage.id = session.sessionId;
      passage.isSecure = isCookieSecure(session);
    }
    return passage;
  }

  #leave(request: Request, reply: Reply): void {
    const passage = this.#see(request);
    const cookie = passage && this.#engine.companionCookie(passage, passage.id);
    if (passage && cookie) reply.header("set-cookie", setCookieHeader(cookie, passage.isSecure));
  }
}

function carriedBy(session: object): Baseline | undefined {
  for (const key of Object.getOwnPropertySymbols(session)) {
    const kept: unknown = Reflect.get(session, key);
    if (typeof kept !== "object" || kept === null || !(baselineKey in kept)) continue;
    const baseline = kept[baselineKey];
    if (baseline instanceof Baseline) return baseline;
  }
  return undefined;
}
