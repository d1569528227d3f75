import assert from "node:assert/strict";
import { test } from "node:test";
import { Baseline } from "../../src/adapters/baseline.ts";
import { Consistency, setCookieHeader } from "../../src/adapters/consistency.ts";
import { fromStored, idleMsOf, partWithCookie } from "../../src/adapters/cookie-session.ts";
import { partsOf, valuesOf } from "../../src/adapters/parts.ts";
import { RecentMap } from "../../src/adapters/recent-map.ts";
import { limits } from "../../src/protocol/limits.ts";

const nowMs = 1_800_000_000_000;
const stamp = "186264--2083389439-4000000000";

function at(ms: number): string {
  return new Date(nowMs + ms).toISOString();
}

test("a recent map holds what was set lately, and no more than twice as much", () => {
  const map = new RecentMap<number>(10);
  for (let index = 0; index < 35; index += 1) map.set(`k${index}`, index);
  const held = Array.from({ length: 35 }, (_, index) => map.get(`k${index}`)).filter(
    (value) => value !== undefined,
  );
  assert(held.length >= 10 && held.length <= 20);
  assert.deepEqual(held.slice(-10), [25, 26, 27, 28, 29, 30, 31, 32, 33, 34]);
  map.set("k34", 0);
  assert.equal(map.get("k34"), 0);
  map.delete("k34");
  assert.equal(map.get("k34"), undefined);
});

test("a baseline tells what was changed, added and removed, once", () => {
  const before = partsOf({ same: [1, { a: 1 }], changed: { a: 1 }, removed: 1, none: undefined });
  const baseline = new Baseline("s", "stored", { parts: before });
  const after = partsOf({ same: [1, { a: 1 }], changed: { a: 2 }, added: null });
  const changes = baseline.changesTo(after);
  assert.deepEqual([...changes.set.keys()], ["changed", "added"]);
  assert.deepEqual(changes.unset, ["removed"]);
  baseline.sent(changes);
  assert.deepEqual(baseline.changesTo(after), { set: new Map(), unset: [] });
  baseline.failed(changes);
  assert.deepEqual([...baseline.changesTo(after).set.keys()], ["changed", "added"]);
  assert.deepEqual(baseline.changesTo(after).unset, ["removed"]);
});

test("a name that changes prototypes is an attribute like any other", () => {
  const parts = partsOf(JSON.parse('{"__proto__": 1, "constructor": 2}'));
  assert.deepEqual([...parts.keys()], ["__proto__", "constructor"]);
});

test("how long a session lives is told by its cookie", () => {
  const of = (cookie: object, lastMs?: number) => idleMsOf({ cookie }, nowMs, lastMs);
  assert.equal(idleMsOf({}, nowMs, undefined), undefined);
  assert.equal(of({ originalMaxAge: null, expires: null }), undefined);
  assert.equal(of({ expires: at(500) }), 500);
  assert.equal(of({ expires: at(-500), originalMaxAge: 60_000 }), -500);
  assert.equal(of({ maxAge: 1_234.5 }), 1_235);
  // The clock went on between two readings; it is the same length as before.
  assert.equal(of({ expires: at(59_990), originalMaxAge: 59_999 }, 60_000), 60_000);
  assert.equal(of({ expires: at(59_990), originalMaxAge: 60_000 }), 60_000);
  // An end of its own, and a short time where a little is a lot.
  assert.equal(of({ expires: at(5_000), originalMaxAge: 60_000 }), 5_000);
  assert.equal(of({ expires: at(190), originalMaxAge: 200 }, 180), 200);
  assert.equal(of({ expires: "9999-12-31T00:00:00Z" }), limits.durationMsMax);
});

test("a cookie that only moves its end is the same cookie", () => {
  const stored = { originalMaxAge: 60_000, expires: at(60_000), path: "/", secure: true };
  const isAlike = (now: unknown, before: unknown = stored) => {
    const baseline = new Baseline("s", "stored", {
      parts: partsOf({ cookie: before }, partWithCookie),
    });
    return baseline.changesTo(partsOf({ cookie: now }, partWithCookie)).set.size === 0;
  };
  const moved = { expires: new Date(nowMs + 90_000), originalMaxAge: 59_999 };
  assert(isAlike({ ...stored, ...moved, originalExpires: at(60_000) }));
  assert(isAlike({ ...stored, ...moved, domain: undefined }));
  assert(isAlike({ toJSON: () => ({ ...stored, ...moved }), data: "of the framework" }));
  assert(!isAlike({ ...stored, originalMaxAge: 90_000 }));
  assert(!isAlike({ ...stored, originalMaxAge: null, expires: null }));
  assert(!isAlike({ ...stored, secure: false }));
  assert(!isAlike({ ...stored, secure: undefined }));
  assert(!isAlike({ ...stored, domain: "example.org" }));
  const ends = { originalMaxAge: null, expires: null, path: "/" };
  assert(isAlike({ ...ends }, ends));
  assert(!isAlike({ ...ends, expires: at(0) }, ends));
  const nested = { ...stored, of: { app: 1 } };
  assert(isAlike({ ...stored, of: { app: 1 } }, nested));
  assert(!isAlike({ ...stored, of: { app: 2 } }, nested));
  assert(!isAlike(1, 2));
});

test("a cookie is stored as it was when it was compared", () => {
  const cookie = { originalMaxAge: 60_000, expires: at(60_000), path: "/" };
  const parts = partsOf({ cookie }, partWithCookie);
  const of = { app: 1 };
  const before = partsOf({ cookie: { ...cookie, of } }, partWithCookie);
  of.app = 2;
  const now = partsOf({ cookie: { ...cookie, of } }, partWithCookie);
  assert.equal(new Baseline("s", "stored", { parts: before }).changesTo(now).set.size, 1);
  cookie.path = "/changed since";
  assert.deepEqual(valuesOf(parts), { cookie: { ...cookie, path: "/" } });
});

test("what JSON makes of a value is what is compared and stored", () => {
  const of = {
    no: undefined,
    act: () => 1,
    nan: Number.NaN,
    day: new Date(nowMs),
    nil: null,
    is: true,
  };
  const parts = partsOf(of);
  assert.deepEqual(valuesOf(parts), JSON.parse(JSON.stringify(of)));
  const { set, unset } = new Baseline("s", "stored", { parts }).changesTo(partsOf({ ...of }));
  assert.deepEqual([set.size, unset.length], [0, 0]);
  assert.throws(() => partsOf({ large: 1n }), TypeError);
});

test("a session that the sidecar still has is never read back as over", () => {
  const cookie = { originalMaxAge: 60_000, expires: at(-5_000) };
  const end = (expiresAt: number | undefined) =>
    (fromStored({ cookie }, expiresAt, nowMs).cookie as { expires: string }).expires;
  assert.equal(end(nowMs + 30_000), at(30_000));
  assert.equal(end(nowMs - 2_000), at(1_000));
  assert.equal(end(undefined), at(1_000));
});

test("the companion cookie is secure when it has to be, and goes when it is empty", () => {
  const cookie = { name: "at", value: "x" };
  assert.equal(setCookieHeader(cookie, false), "at=x; Path=/; HttpOnly; SameSite=Lax");
  assert.equal(setCookieHeader(cookie, true), "at=x; Path=/; HttpOnly; SameSite=Lax; Secure");
  assert.match(setCookieHeader({ name: "at", value: "" }, false), /Expires=Thu, 01 Jan 1970/);
});

test("an older secret still counts, and signs nothing", () => {
  const claimOf = (secrets: string | string[], claim?: string) => {
    const consistency = new Consistency({ consistencySecret: secrets });
    const visit = consistency.visit(claim && `a=b; sessioncast.at=${claim}; c=d`);
    const stamps = consistency.atLeast(visit, "s", nowMs);
    consistency.noteWrite("s", stamp);
    return { stamps, value: consistency.cookieFor(visit, "s", nowMs)?.value };
  };
  const { value: old } = claimOf("old");
  assert.deepEqual(claimOf(["new", "old"], old).stamps, [stamp]);
  const { value: renewed } = claimOf(["new", "old"], old);
  assert.deepEqual(claimOf("new", renewed).stamps, [stamp, stamp]);
  assert.deepEqual(claimOf("new", old).stamps, []);
});

test("consistency needs a secret and a name that a cookie can have", () => {
  for (const consistencySecret of [undefined, "", [], ["a", ""]]) {
    assert.throws(() => new Consistency({ consistencySecret }), TypeError);
  }
  const named = (consistencyCookie: string) =>
    new Consistency({ consistencySecret: "s", consistencyCookie });
  assert.throws(() => named("a;b"), TypeError);
  assert.equal(named("at").cookieName, "at");
});
