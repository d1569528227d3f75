/** A session as express-session hands it to stores and takes it back. */
export interface StoredSession {
  cookie?: object;
  [attribute: string]: unknown;
}

/** Later than what was stored by more than this: the session was touched meanwhile. */
const touchedMs = 1_000;

/**
 * What JSON makes of a session. Apps that use express-session are used to it: dates become text,
 * a Map becomes an empty object, and the cookie becomes what its `toJSON` says.
 */
export function toStored(session: object): StoredSession {
  return JSON.parse(JSON.stringify(session));
}

/** Milliseconds from now to when the session's cookie ends; undefined: with the browser. */
export function remainingMs(session: object, nowMs: number): number | undefined {
  const { expires, maxAge } = cookieOf(session);
  const endMs = timeOf(expires);
  if (endMs !== undefined) return Math.ceil(endMs - nowMs);
  return typeof maxAge === "number" && Number.isFinite(maxAge) ? Math.ceil(maxAge) : undefined;
}

/**
 * Stored attributes as the session they were. One that was stored by something else may lack the
 * cookie, which express-session relies on. The cookie's end is the one stored last, but a touch
 * only moves the end of the session in the sidecar, so that is taken when it is later.
 */
export function fromStored(
  attributes: Readonly<Record<string, unknown>>,
  expiresAt: number | undefined,
): StoredSession {
  const cookie: Record<string, unknown> = isObject(attributes.cookie)
    ? { ...attributes.cookie }
    : { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };
  const storedMs = timeOf(cookie.expires);
  if (storedMs !== undefined && expiresAt !== undefined && expiresAt > storedMs + touchedMs) {
    cookie.expires = new Date(expiresAt).toISOString();
  }
  return { ...attributes, cookie };
}

function cookieOf(session: object): { expires?: unknown; maxAge?: unknown } {
  return "cookie" in session && isObject(session.cookie) ? session.cookie : {};
}

function timeOf(expires: unknown): number | undefined {
  if (!(expires instanceof Date) && typeof expires !== "string") return undefined;
  const timeMs = new Date(expires).getTime();
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
