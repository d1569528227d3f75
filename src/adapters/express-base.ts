import type { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";

/**
 * What express-session's own `Store` does for every store: it makes `Session` and `Cookie` objects
 * of its own classes, which nobody else can. Written down here because the types of that package
 * are not at hand in an app that does not use it; theirs accept these.
 */
export interface ExpressStoreBase extends EventEmitter {
  /** Destroys the session of a request and gives the request a new one, not stored yet. */
  regenerate(request: object, callback: (error?: unknown) => void): void;
  /** Like `get`, with a live session object. */
  load<S>(id: string, callback: (error?: unknown, session?: S) => void): void;
  /** Makes a live session object of a stored one and hangs it on the request. */
  createSession<S>(request: object, session: object): S;
}

type ExpressStoreConstructor = new () => ExpressStoreBase;

/**
 * express-session is the app's dependency, not ours. It is looked for where this file would find
 * it, and then where the app runs, which differs when this package is linked into the app.
 */
export function loadExpressStore(): ExpressStoreConstructor {
  let firstCause: unknown;
  for (const place of [import.meta.url, join(process.cwd(), "package.json")]) {
    try {
      const loaded: unknown = createRequire(place)("express-session");
      if (hasStore(loaded)) return loaded.Store;
    } catch (cause) {
      firstCause ??= cause;
    }
  }
  throw new Error("sessioncast/express needs express-session: npm install express-session", {
    cause: firstCause,
  });
}

function hasStore(loaded: unknown): loaded is { readonly Store: ExpressStoreConstructor } {
  return typeof loaded === "function" && "Store" in loaded && typeof loaded.Store === "function";
}
