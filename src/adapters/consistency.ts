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
  /** The stamps of the claim, once it was checked. */
  trusted: { readonly id: string; readonly stamps: readonly string[] } | undefined;
  /** A write that was claimed could not be had: the browser should not ask for it again. */
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
/** `<milliseconds since 1970, base 36>.<stamp>. ... .<stamp>.<HMAC-SHA256, base64url>` */
const claimPattern = /^([0-9a-z]{1,11})\.((?:[\d-]{1,32}\.){1,4})([\w-]{43})$/;
const stampsMax = 4;
const nothing: readonly string[] = [];

/**
 * Lets a browser read its own writes, whichever node it comes to: a companion cookie carries the
 * stamps of its last writes. The last alone would not do: that it has arrived does not say that one
 * before it was not lost. They are signed together with the session's id, so that nobody can make
 * a node wait for a write that there never was.
 */
export class Consistency {
  readonly cookieName: string;
  readonly #secrets: readonly string[];
  readonly #noted = new RecentMap<readonly NotedWrite[]>(notedMax);
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
    return { claim, since: this.#writes, trusted: undefined, isBehind: false };
  }

  /** The stamps that a read of this session has to include; none: no claim, or none to trust. */
  atLeast(visit: Visit, id: string, nowMs: number): readonly string[] {
    const parts = claimPattern.exec(visit.claim ?? "");
    if (parts === null) return nothing;
    const [, issued = "", list = "", signature = ""] = parts;
    if (Math.abs(nowMs - Number.parseInt(issued, 36)) > claimMsMax) return nothing;
    const stamps = list.split(".").slice(0, -1);
    const given = Buffer.from(signature, "base64url");
    const isOurs = this.#secrets.some((secret) => {
      const expected = sign(secret, id, issued, stamps);
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
    if (!isOurs) return nothing;
    visit.trusted = { id, stamps };
    return stamps;
  }

  noteWrite(id: string, stamp: string | undefined): void {
    if (stamp === undefined) return;
    this.#writes += 1;
    const before = this.#noted.get(id)?.slice(1 - stampsMax) ?? [];
    this.#noted.set(id, [...before, { stamp, number: this.#writes }]);
  }

  /** What the response has to carry, if the session was written since the request came. */
  cookieFor(visit: Visit, id: string | undefined, nowMs: number): CompanionCookie | undefined {
    const name = this.cookieName;
    const noted = id === undefined ? undefined : this.#noted.get(id);
    const written = noted?.filter(({ number }) => number > visit.since) ?? [];
    if (id === undefined || written.length === 0) {
      return visit.isBehind ? { name, value: "" } : undefined;
    }
    const isKnown = visit.trusted?.id === id && !visit.isBehind;
    const before = isKnown ? (visit.trusted?.stamps ?? nothing) : nothing;
    const stamps = [...before, ...written.map(({ stamp }) => stamp)].slice(-stampsMax);
    const issued = Math.floor(nowMs).toString(36);
    const [secret = ""] = this.#secrets;
    const signature = sign(secret, id, issued, stamps).toString("base64url");
    return { name, value: [issued, ...stamps, signature].join(".") };
  }
}

/** As a header, for frameworks whose stores are not given their way to set cookies. */
export function setCookieHeader({ name, value }: CompanionCookie, isSecure: boolean): string {
  const end = value === "" ? "; Expires=Thu, 01 Jan 1970 00:00:00 GMT" : "";
  return `${name}=${value}; Path=/${end}; HttpOnly; SameSite=Lax${isSecure ? "; Secure" : ""}`;
}

function sign(secret: string, id: string, issued: string, stamps: readonly string[]): Buffer {
  const text = ["sessioncast companion", id, issued, ...stamps].join("\n");
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
