import type { Session } from "../client/connect.ts";
import { Baseline } from "./baseline.ts";
import type { Visit } from "./consistency.ts";
import {
  fromStored,
  idleMsOf,
  partWithCookie,
  type StoredSession,
  storedLengthOf,
} from "./cookie-session.ts";
import { Composite, partsOf } from "./parts.ts";
import type { SessionEngine } from "./session-engine.ts";

/** A lost session comes without; each framework makes one its own way. */
export interface LoadedSession {
  readonly session: StoredSession | undefined;
  readonly baseline: Baseline;
}

/** The sessions of frameworks that hand their stores a session with its cookie in it. */
export class CookieSessions {
  readonly #engine: SessionEngine;

  constructor(engine: SessionEngine) {
    this.#engine = engine;
  }

  /** Undefined: there is none. */
  async load(id: string, visit: Visit | undefined): Promise<LoadedSession | undefined> {
    const loaded = await this.#engine.load(id, visit);
    if (loaded === "none") return undefined;
    if (loaded === "lost") return { session: undefined, baseline: new Baseline(id, "lost") };
    return this.take(id, loaded);
  }

  take(id: string, stored: Session): LoadedSession {
    const session = this.restore(stored);
    const known = {
      parts: partsOf(session, partWithCookie),
      idleMs: storedLengthOf(session) ?? this.#engine.idleMs,
    };
    return { session, baseline: new Baseline(id, "stored", known) };
  }

  restore({ attributes, expiresAt }: Session): StoredSession {
    return fromStored(attributes, expiresAt, Date.now());
  }

  async save(baseline: Baseline, session: object): Promise<void> {
    const parts = partsOf(session, partWithCookie);
    if (baseline.standing === "lost") parts.delete("cookie");
    await this.#engine.save(baseline, parts, this.#idleMsOf(baseline, session));
  }

  /**
   * Frameworks see no change in a cookie that is to live longer; it is stored all the same.
   * Undefined: there is nothing to do.
   */
  touch(baseline: Baseline, session: object): Promise<void> | undefined {
    const idleMs = this.#idleMsOf(baseline, session);
    const cookie = partWithCookie("cookie", Reflect.get(session, "cookie"));
    const isChanged =
      baseline.standing === "stored" &&
      cookie instanceof Composite &&
      !baseline.holds("cookie", cookie);
    return isChanged
      ? this.#engine.save(baseline, baseline.partsWith("cookie", cookie), idleMs)
      : this.#engine.touch(baseline, idleMs);
  }

  #idleMsOf({ idleMs }: Baseline, session: object): number {
    return idleMsOf(session, Date.now(), idleMs) ?? this.#engine.idleMs;
  }
}
