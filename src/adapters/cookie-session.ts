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
/** In the JSON of a cookie; within a string each quote has a backslash before it. */
const moving = /"(?:expires|originalExpires|originalMaxAge)":(?:"[^"]*"|[^,}]*),?/g;
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
 * The end of the cookie moves with every request: a touch, not a change of the session. Texts are
 * compared, since this is done for each request too.
 */
export function isCookieAlike(name: string, before: string, after: string): boolean {
  if (name !== "cookie" || steady(before) !== steady(after)) return false;
  const [lengthBefore, lengthAfter] = [lengthIn(before), lengthIn(after)];
  if (lengthBefore === undefined || lengthAfter === undefined) return false;
  return isNear(lengthAfter, lengthBefore, driftMs);
}

export function isCookieSecure(session: unknown): boolean {
  return isObject(session) && isObject(session.cookie) && session.cookie.secure === true;
}

function cookieOf(session: object): CookieData {
  return "cookie" in session && isObject(session.cookie) ? session.cookie : {};
}

function steady(text: string): string {
  return text.replace(moving, "").replace(/,\}$/, "}");
}

function lengthIn(text: string): number | undefined {
  const length = /"originalMaxAge":([\d.]+)/.exec(text)?.[1];
  return length === undefined ? undefined : Number(length);
}

function timeOf(expires: unknown): number | undefined {
  if (!(expires instanceof Date) && typeof expires !== "string") return undefined;
  const timeMs = new Date(expires).getTime();
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
