import { Composite, type Part, partOf } from "./parts.ts";

/** A session as express-session and @fastify/session hand it to stores and take it back. */
export interface StoredSession {
  cookie?: object;
  [attribute: string]: unknown;
}

interface CookieData {
  readonly expires?: unknown;
  readonly maxAge?: unknown;
  readonly originalMaxAge?: unknown;
}

/** Later than what was stored by more than this: the session was touched meanwhile. */
const touchedMs = 1_000;
/** A session that the sidecar still has is not over, whatever its end looked like from here. */
const graceMs = 1_000;
/** The frameworks compute a length from two readings of the clock, so it comes out a bit short. */
const driftMs = 50;
/** Of a cookie: they move with every request, or may be off by what the clock went on. */
const moving: ReadonlySet<string> = new Set(["expires", "originalExpires", "originalMaxAge"]);
/** The longest that the client takes: `limits.durationMsMax`, which a test holds this to. */
const durationMsMax = 315_360_000_000;

/**
 * How long a session is to live from now, or unused, in milliseconds; 0 or less: it is over;
 * undefined: its cookie ends with the browser. A cookie that is as long as before, or as long as it
 * says, gives that very length: each other one would have to be replicated to all nodes.
 */
export function idleMsOf(
  session: object,
  nowMs: number,
  lastMs: number | undefined,
): number | undefined {
  const { expires, maxAge, originalMaxAge: length } = cookieOf(session);
  const endMs = timeOf(expires);
  const givenMs = typeof maxAge === "number" && Number.isFinite(maxAge) ? maxAge : undefined;
  const leftMs = endMs === undefined ? givenMs : endMs - nowMs;
  if (leftMs === undefined || leftMs <= 0) return leftMs;
  if (typeof length === "number" && length > 0) {
    if (lastMs !== undefined && isNear(length, lastMs, driftMs)) return lastMs;
    if (isNear(length, leftMs, touchedMs)) return asDuration(length);
  }
  return asDuration(leftMs);
}

/**
 * Stored attributes as the session they were. One that was stored by something else may lack the
 * cookie, which frameworks rely on. The cookie's end is the one stored last, but a touch only moves
 * the end of the session in the sidecar, so that is taken when it is later.
 */
export function fromStored(
  attributes: Readonly<Record<string, unknown>>,
  expiresAt: number | undefined,
  nowMs: number,
): StoredSession {
  const cookie: Record<string, unknown> = isObject(attributes.cookie)
    ? { ...attributes.cookie }
    : { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };
  const storedMs = timeOf(cookie.expires);
  if (storedMs !== undefined && typeof cookie.originalMaxAge === "number") {
    const isTouched = expiresAt !== undefined && expiresAt > storedMs + touchedMs;
    const endMs = Math.max(isTouched ? expiresAt : storedMs, nowMs + graceMs);
    if (endMs > storedMs) cookie.expires = new Date(endMs).toISOString();
  }
  return { ...withoutPrototype(attributes), cookie };
}

/**
 * Frameworks copy a session name by name, and to assign `__proto__` is to change what a session is.
 * It stays stored, and no framework hands it out.
 */
export function withoutPrototype<T extends object>(attributes: T): T {
  if (!Object.hasOwn(attributes, "__proto__")) return attributes;
  const kept = Object.entries(attributes).filter(([name]) => name !== "__proto__");
  return Object.fromEntries(kept) as T;
}

/** What a stored session says of its length; undefined: its cookie has none. */
export function storedLengthOf(session: object): number | undefined {
  const { originalMaxAge } = cookieOf(session);
  return typeof originalMaxAge === "number" && originalMaxAge > 0
    ? asDuration(originalMaxAge)
    : undefined;
}

/**
 * A cookie whose end has moved says the same as before: that is a touch, not a change of the
 * session. This is looked at for each request, so the text is made only of one that is stored.
 */
class CookieFields extends Composite {
  readonly #fields: Fields;

  constructor(fields: Fields) {
    super();
    this.#fields = fields;
  }

  get text(): string {
    return JSON.stringify(this.#fields);
  }

  override isLike(other: Composite): boolean {
    return (
      (other instanceof CookieFields && this.#hasOnlyMoved(other.#fields)) || super.isLike(other)
    );
  }

  #hasOnlyMoved(before: Fields): boolean {
    const now = this.#fields;
    const [length, lengthBefore] = [now.originalMaxAge, before.originalMaxAge];
    if (typeof length !== "number" || typeof lengthBefore !== "number") return false;
    return isNear(length, lengthBefore, driftMs) && holds(now, before) && holds(before, now);
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** What the frameworks' sessions consist of; see `partsOf`. */
export function partWithCookie(name: string, value: unknown): Part | undefined {
  if (name !== "cookie" || !isObject(value)) return partOf(name, value);
  const { toJSON } = value;
  const fields: unknown = typeof toJSON === "function" ? toJSON.call(value) : { ...value };
  return isObject(fields) && isFlat(fields) ? new CookieFields(fields) : partOf(name, value);
}

/** Whether nothing in it could be changed later but what moves anyway. */
function isFlat(fields: Fields): boolean {
  for (const name in fields) if (isObject(fields[name]) && !moving.has(name)) return false;
  return true;
}

/** Whether all that one says beside its end the other says, too. */
function holds(one: Fields, other: Fields): boolean {
  for (const name in other) {
    if (one[name] !== other[name] && !moving.has(name)) return false;
  }
  return true;
}

export function isCookieSecure(session: unknown): boolean {
  return isObject(session) && isObject(session.cookie) && session.cookie.secure === true;
}

function cookieOf(session: object): CookieData {
  return "cookie" in session && isObject(session.cookie) ? session.cookie : {};
}

function timeOf(expires: unknown): number | undefined {
  if (!(expires instanceof Date) && typeof expires !== "string") return undefined;
  const timeMs = typeof expires === "string" ? Date.parse(expires) : expires.getTime();
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** So near that nobody means the difference; for short times a small share of them. */
function isNear(lengthMs: number, otherMs: number, slackMs: number): boolean {
  return Math.abs(lengthMs - otherMs) <= Math.min(slackMs, lengthMs / 20);
}

function asDuration(ms: number): number {
  return Math.min(Math.ceil(ms), durationMsMax);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
