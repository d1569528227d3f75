import { EventEmitter } from "node:events";
import { Baseline } from "./baseline.ts";
import type { Visit } from "./consistency.ts";
import { withoutPrototype } from "./cookie-session.ts";
import { partsOf } from "./parts.ts";
import { SessionEngine, type StoreOptions } from "./session-engine.ts";

export type SessioncastStoreOptions = StoreOptions;

/** What koa-session tells its store of a request. */
interface Circumstances {
  // biome-ignore lint/suspicious/noExplicitAny: the type of a context is the app's
  readonly ctx?: any;
}

/** The parts of a Koa context that are used. */
interface Context {
  readonly headers: { readonly cookie?: string | undefined };
  readonly headerSent: boolean;
  readonly secure: boolean;
  readonly sessionOptions?: { readonly secure?: boolean | undefined };
  readonly cookies: { set(name: string, value: string, options: object): unknown };
}

interface KoaSession {
  [attribute: string]: unknown;
}

/** koa-session asks the store to keep a session for so much longer than its cookie. */
const beyondCookieMs = 10_000;
const graceMs = 1_000;
/** The end is the sidecar's to know: it moves with every use. */
const endName = "_expire";
/** What koa-session stores for itself; other names like these it does not take over. */
const ownNames = ["_maxAge", "_session"];
/** What a session of koa-session has of its own, under which it cannot hold an attribute. */
const reservedNames = ["isNew", "length", "populated", "maxAge", "externalKey"];

/**
 * A store for koa-session that keeps sessions in the sidecar of this host. Each top-level key of a
 * session is an attribute of its own there, and a request saves only those that it changed; with
 * `rolling`, one that changed nothing costs a touch.
 *
 * Emits `disconnect` and `connect` as the connection breaks and comes back, `behind`, `unavailable`
 * and `dropped` (see `SessionEngine`).
 */
export class SessioncastStore extends EventEmitter {
  readonly #engine: SessionEngine;
  /** By context: what it knows of the sessions that it works on. */
  readonly #baselines = new WeakMap<object, Map<string, Baseline>>();
  readonly #visits = new WeakMap<object, Visit>();

  constructor(options: SessioncastStoreOptions = {}) {
    super();
    this.#engine = new SessionEngine(options, this);
  }

  get client() {
    return this.#engine.client;
  }

  /** Undefined when there is none. What a session looks like (`S`) only the app knows. */
  async get<S = KoaSession>(
    key: string,
    _maxAge?: unknown,
    { ctx }: Circumstances = {},
  ): Promise<S | undefined> {
    const loaded = await this.#engine.load(key, this.#visitOf(ctx));
    this.#answer(ctx, key);
    if (loaded === "none" || loaded === "lost") {
      this.#remember(ctx, new Baseline(key, loaded === "none" ? "absent" : "lost"));
      return loaded === "none" ? undefined : ({} as S);
    }
    const { attributes, expiresAt } = loaded;
    const baseline = new Baseline(key, "stored", {
      parts: partsOf(attributes),
      idleMs: this.#idleMsOf(lengthOf(attributes)),
    });
    baseline.keepOnly(isTakenOver);
    this.#remember(ctx, baseline);
    return withEnd(attributes, expiresAt) as S;
  }

  /**
   * Stores what has changed since the session was loaded, or the whole session if it was not. One
   * that was destroyed meanwhile stays destroyed.
   */
  async set(
    key: string,
    session: object,
    maxAge?: unknown,
    { ctx }: Circumstances = {},
  ): Promise<void> {
    this.#visitOf(ctx);
    const baseline = this.#baselineOf(ctx, key) ?? new Baseline(key, "unknown");
    this.#remember(ctx, baseline);
    const parts = partsOf(session);
    parts.delete(endName);
    if (baseline.standing === "lost") for (const name of ownNames) parts.delete(name);
    await this.#engine.save(baseline, parts, this.#idleMsOf(maxAge));
    this.#answer(ctx, key);
  }

  async destroy(key: string, { ctx }: Circumstances = {}): Promise<void> {
    this.#visitOf(ctx);
    await this.#engine.destroy(key);
    // What this request stores under the same key from now on is a new session.
    this.#remember(ctx, new Baseline(key, "absent"));
    this.#answer(ctx, key);
  }

  /** Lets go of the client, and closes it when it is the store's own. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  #idleMsOf(maxAge: unknown): number {
    return typeof maxAge === "number" ? Math.ceil(maxAge) : this.#engine.idleMs;
  }

  #baselineOf(ctx: object | undefined, key: string): Baseline | undefined {
    return ctx && this.#baselines.get(ctx)?.get(key);
  }

  #remember(ctx: object | undefined, baseline: Baseline): void {
    if (ctx === undefined) return;
    const known = this.#baselines.get(ctx) ?? new Map<string, Baseline>();
    this.#baselines.set(ctx, known.set(baseline.id, baseline));
  }

  /** Begins when the store hears of the request for the first time. */
  #visitOf(ctx: Context | undefined): Visit | undefined {
    if (ctx === undefined || this.#engine.consistency === undefined) return undefined;
    const visit = this.#visits.get(ctx) ?? this.#engine.consistency.visit(ctx.headers.cookie);
    this.#visits.set(ctx, visit);
    return visit;
  }

  /** Puts the companion cookie on the response, while it can still be. */
  #answer(ctx: Context | undefined, key: string): void {
    const visit = this.#visitOf(ctx);
    if (ctx === undefined || visit === undefined || ctx.headerSent) return;
    const cookie = this.#engine.companionCookie(visit, key);
    if (cookie === undefined) return;
    ctx.cookies.set(cookie.name, cookie.value, {
      httpOnly: true,
      overwrite: true,
      path: "/",
      sameSite: "lax",
      secure: ctx.sessionOptions?.secure ?? ctx.secure,
      signed: false,
      ...(cookie.value === "" ? { expires: new Date(0) } : {}),
    });
  }
}

function isTakenOver(name: string): boolean {
  return ownNames.includes(name) || !(name.startsWith("_") || reservedNames.includes(name));
}

/** How long a stored session was asked to be kept; undefined: it does not say. */
function lengthOf({ _maxAge }: Readonly<Record<string, unknown>>): number | undefined {
  return typeof _maxAge === "number" ? _maxAge + beyondCookieMs : undefined;
}

/** koa-session judges by this whether a session is over; one that is still there is not. */
function withEnd(
  attributes: Readonly<Record<string, unknown>>,
  expiresAt: number | undefined,
): KoaSession {
  const { [endName]: _stored, ...session } = withoutPrototype(attributes);
  if (expiresAt === undefined || lengthOf(attributes) === undefined) return session;
  return { ...session, [endName]: Math.max(expiresAt - beyondCookieMs, Date.now() + graceMs) };
}
