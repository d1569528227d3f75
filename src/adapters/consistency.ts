import { createHmac, timingSafeEqual } from "node:crypto";
import { RecentMap } from "./recent-map.ts";

export interface ConsistencyOptions {
  readonly consistency?: "local" | "session" | undefined;
  readonly consistencySecret?: string | readonly string[] | undefined;
  readonly consistencyCookie?: string | undefined;
}

/** One request, as far as consistency is concerned. */
export interface Visit {
  /** What the browser sent; undefined: nothing. Not to be believed before it is checked. */
  readonly claim: string | undefined;
  /** How many writes had been noted when the request came. */
  readonly since: number;
  /** The write that was claimed could not be had: the browser should not ask for it again. */
  isBehind: boolean;
}

/** A cookie to be set on the response; an empty value takes it away. */
export interface CompanionCookie {
  readonly name: string;
  readonly value: string;
}

interface NotedWrite {
  readonly stamp: string;
  readonly number: number;
}

const cookieNameDefault = "sessioncast.at";
/** What is older has arrived everywhere, or will not for a long time: it is not waited for. */
const claimMsMax = 60_000;
const notedMax = 10_000;
/** `<stamp>.<milliseconds since 1970, base 36>.<HMAC-SHA256, base64url>` */
const claimPattern = /^([0-9a-z]{1,11}-[0-9a-z]{1,7})\.([0-9a-z]{1,11})\.([\w-]{43})$/;

/**
 * Lets a browser read its own writes, whichever node it comes to: a companion cookie carries the
 * stamp of its last write. It is signed together with the session's id, so that nobody can make a
 * node wait for a write that there never was, and says nothing to anybody else.
 */
export class Consistency {
  readonly cookieName: string;
  readonly #secrets: readonly string[];
  readonly #noted = new RecentMap<NotedWrite>(notedMax);
  #writes = 0;

  constructor(options: ConsistencyOptions) {
    const { consistencySecret: secret, consistencyCookie: name = cookieNameDefault } = options;
    const secrets = typeof secret === "string" ? [secret] : [...(secret ?? [])];
    if (secrets.length === 0 || secrets.includes("")) {
      throw new TypeError('consistency: "session" needs a consistencySecret');
    }
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new TypeError("consistencyCookie is no name");
    this.#secrets = secrets;
    this.cookieName = name;
  }

  visit(cookieHeader: string | undefined): Visit {
    const claim = cookieIn(cookieHeader ?? "", this.cookieName);
    return { claim, since: this.#writes, isBehind: false };
  }

  /** The stamp that a read of this session has to include; undefined: none, or none to trust. */
  atLeast({ claim }: Visit, id: string, nowMs: number): string | undefined {
    const parts = claimPattern.exec(claim ?? "");
    if (parts === null) return undefined;
    const [, stamp = "", issued = "", signature = ""] = parts;
    if (Math.abs(nowMs - Number.parseInt(issued, 36)) > claimMsMax) return undefined;
    const given = Buffer.from(signature, "base64url");
    const isOurs = this.#secrets.some((secret) => {
      const expected = sign(secret, id, stamp, issued);
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
    return isOurs ? stamp : undefined;
  }

  noteWrite(id: string, stamp: string | undefined): void {
    if (stamp === undefined) return;
    this.#writes += 1;
    this.#noted.set(id, { stamp, number: this.#writes });
  }

  /** What the response has to carry, if the session was written since the request came. */
  cookieFor(visit: Visit, id: string | undefined, nowMs: number): CompanionCookie | undefined {
    const name = this.cookieName;
    const write = id === undefined ? undefined : this.#noted.get(id);
    if (id !== undefined && write !== undefined && write.number > visit.since) {
      const issued = Math.floor(nowMs).toString(36);
      const [secret = ""] = this.#secrets;
      const signature = sign(secret, id, write.stamp, issued).toString("base64url");
      return { name, value: `${write.stamp}.${issued}.${signature}` };
    }
    return visit.isBehind ? { name, value: "" } : undefined;
  }
}

/** As a header, for frameworks whose stores are not given their way to set cookies. */
export function setCookieHeader({ name, value }: CompanionCookie, isSecure: boolean): string {
  const end = value === "" ? "; Expires=Thu, 01 Jan 1970 00:00:00 GMT" : "";
  return `${name}=${value}; Path=/${end}; HttpOnly; SameSite=Lax${isSecure ? "; Secure" : ""}`;
}

function sign(secret: string, id: string, stamp: string, issued: string): Buffer {
  const text = `sessioncast companion\n${id}\n${stamp}\n${issued}`;
  return createHmac("sha256", secret).update(text).digest();
}

function cookieIn(header: string, name: string): string | undefined {
  for (const pair of header.split(";")) {
    const separator = pair.indexOf("=");
    if (separator > 0 && pair.slice(0, separator).trim() === name) {
      return pair.slice(separator + 1).trim();
    }
  }
  return undefined;
}
