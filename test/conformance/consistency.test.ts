/** The companion cookie of `consistency: "session"`, with the real frameworks. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import express from "express";
import expressSession from "express-session";
import { SessioncastStore } from "../../src/adapters/express.ts";
import { stampText } from "../../src/client/stamp-text.ts";
import type { Stamp } from "../../src/session/stamp.ts";
import { CookieJar, type Visited } from "../support/cookie-jar.ts";
import { clockOf, openShop, type Shop } from "../support/framework-shop.ts";
import { type Framework, frameworks, listen } from "../support/framework-sites.ts";
import { serveFake } from "../support/local-server.ts";

const companion = "sessioncast.at";
const options = { consistency: "session", consistencySecret: "shared" } as const;

interface WatchedShop extends Shop {
  /** The writes that reads had to include, since it was last asked. */
  named(): (string | undefined)[];
  /** Writes that reads name cannot be had from now on. */
  lagBehind(): void;
}

async function open(t: TestContext, framework: Framework): Promise<WatchedShop> {
  const shop = await openShop(t, framework, options);
  let isBehind = false;
  const seen: (string | undefined)[] = [];
  const { service } = shop;
  // A write that was named shows here; it is known at once, or never.
  service.knows = (_id: string, write?: Stamp) => {
    if (write !== undefined) seen.push(stampText(write));
    return write === undefined || !isBehind;
  };
  service.fetch = (_id, _write, done) => done(false);
  return {
    ...shop,
    named: () => seen.splice(0),
    lagBehind() {
      isBehind = true;
    },
  };
}

function stampsIn({ jar }: Shop): string[] {
  return jar.value(companion)?.split(".").slice(1, -1) ?? [];
}

/** The browser of the shop, with a companion cookie of the test's choice. */
function forger({ jar }: Shop, value: string): CookieJar {
  const forged = jar.copy();
  forged.put(companion, value);
  return forged;
}

function companionsOf({ cookies }: Visited): string[] {
  return cookies.filter((text) => text.startsWith(`${companion}=`));
}

for (const framework of frameworks) {
  const { name } = framework;

  test(`${name}: a write is named by the next request, and by no other session's`, async (t) => {
    const shop = await open(t, framework);
    await shop.show();
    assert.deepEqual([shop.jar.value(companion), shop.named()], [undefined, []]);
    await shop.visit("/login/ada");
    for (const path of ["/put/cart/book", "/put/cart/lamp", "/remove/cart", "/logout"]) {
      const before = stampsIn(shop);
      assert.notEqual(before.length, 0);
      await shop.visit(path);
      assert.deepEqual(shop.named(), before, path);
      const [last, ...others] = stampsIn(shop).reverse();
      assert.deepEqual(others.reverse(), before.slice(-others.length), path);
      assert(last !== undefined && !before.includes(last), path);
    }
    const eve = new CookieJar();
    await shop.visit("/login/eve", eve);
    const forged = forger(shop, eve.value(companion) ?? "");
    const visited = await forged.visit(`${shop.site.origin}/show`);
    assert.deepEqual([shop.named(), companionsOf(visited)], [[], []]);
  });

  test(`${name}: the companion cookie is for servers, and ends with the browser`, async (t) => {
    const { jar, site } = await open(t, framework);
    const own = companionsOf(await jar.visit(`${site.origin}/put/cart/book`));
    assert.equal(own.length, 1);
    const attributes = own[0]?.toLowerCase().split(/; ?/).slice(1).sort();
    assert.deepEqual(attributes, ["httponly", "path=/", "samesite=lax"]);
  });

  test(`${name}: what only reads or touches sets no companion cookie`, async (t) => {
    const shop = await open(t, framework);
    const pass = clockOf(t, shop);
    await shop.visit("/login/ada");
    pass(30_000);
    assert.deepEqual(companionsOf(await shop.jar.visit(`${shop.site.origin}/show`)), []);
  });

  test(`${name}: a companion cookie that is not ours, or old, is taken no notice of`, async (t) => {
    const shop = await open(t, framework);
    const pass = clockOf(t, shop);
    await shop.visit("/login/ada");
    const stamps = stampsIn(shop);
    const [stamp = "", ...more] = stamps;
    const [issued = ""] = shop.jar.value(companion)?.split(".") ?? [];
    const signature = shop.jar.value(companion)?.split(".").at(-1) ?? "";
    const cookie = (...parts: string[]) => parts.join(".");
    const other = await openShop(t, framework, { ...options, consistencySecret: "other" });
    await other.visit("/login/ada");
    const forgeries = [
      "",
      "%%%",
      "a.b.c",
      cookie(issued, ...stamps, ""),
      cookie(issued, ...stamps, "A".repeat(43)),
      cookie(issued, ...stamps, `${signature}A`),
      cookie(issued, "zzzzzzzzzzz-zzzzzzz", ...more, signature),
      cookie(issued, stamp, ...stamps, signature),
      cookie((Number.parseInt(issued, 36) + 1).toString(36), ...stamps, signature),
      other.jar.value(companion) ?? "",
    ];
    for (const value of forgeries) {
      assert.deepEqual(await shop.visit("/show", forger(shop, value)), { user: "ada" });
      assert.deepEqual(shop.named(), [], value);
    }
    pass(60_000);
    await shop.show();
    assert.deepEqual(shop.named(), stamps);
    pass(1);
    await shop.show();
    assert.deepEqual(shop.named(), []);
  });

  test(`${name}: a write that cannot be had is waited for once`, async (t) => {
    const shop = await open(t, framework);
    let behind = 0;
    shop.store.on("behind", () => {
      behind += 1;
    });
    await shop.visit("/login/ada");
    const stamps = stampsIn(shop);
    shop.lagBehind();
    assert.deepEqual(await shop.show(), { user: "ada" });
    assert.deepEqual([behind, shop.named()], [1, stamps]);
    assert.equal(shop.jar.value(companion), undefined);
    assert.deepEqual(await shop.show(), { user: "ada" });
    assert.deepEqual([behind, shop.named().length], [1, 0]);
  });
}

test("express-session: a save that fails is an error before anything is written", async (t) => {
  const [framework] = frameworks;
  assert(framework);
  const shop = await open(t, framework);
  const { site, jar, visit } = shop;
  await visit("/login/ada");
  const arrived = site.gate.arrival();
  const held = jar.copy().visit(`${site.origin}/hold/slow/1`);
  await arrived;
  await shop.sidecarLeaves();
  site.gate.release();
  const { status, body } = await held;
  assert.deepEqual({ status, body }, { status: 500, body: { code: "SESSIONCAST_UNAVAILABLE" } });
  assert.equal(site.errors.length, 1);
});

for (const unset of ["destroy", "keep"] as const) {
  test(`express-session: with unset "${unset}" the cookie tells what became of it`, async (t) => {
    const { path, service } = await serveFake(t);
    const store = new SessioncastStore({ socket: path, timeoutMs: 60_000, ...options });
    const app = express();
    const settings = { store, unset, secret: "of the test", resave: false };
    app.use(store.consistent(expressSession({ ...settings, saveUninitialized: false })));
    app.get("/login", (request, response) => {
      Object.assign(request.session, { user: "ada" });
      response.json({});
    });
    app.get("/leave", (request, response) => {
      Reflect.deleteProperty(request, "session");
      response.json({ left: true });
    });
    app.get("/leave-bare", (request, response) => {
      Reflect.deleteProperty(request, "session");
      response.end();
    });
    app.get("/leave-chunked", (request, response) => {
      Reflect.deleteProperty(request, "session");
      response.end('"chunked"');
    });
    app.get("/leave-twice", (request, response) => {
      Reflect.deleteProperty(request, "session");
      response.json({ left: true });
      response.end("again");
    });
    const origin = await listen(t, app);
    t.after(() => store.close());
    const bodies = {
      "/leave": { left: true },
      "/leave-bare": undefined,
      "/leave-chunked": "chunked",
      "/leave-twice": { left: true },
    };
    for (const [target, expected] of Object.entries(bodies)) {
      const jar = new CookieJar();
      await jar.visit(`${origin}/login`);
      const before = jar.value(companion)?.split(".").slice(1, -1);
      const { status, body } = await jar.visit(origin + target);
      assert.deepEqual({ status, body }, { status: 200, body: expected });
      const added = jar.value(companion)?.split(".").slice(1, -1).slice(before?.length);
      assert.equal(added?.length, unset === "destroy" ? 1 : 0, target);
    }
    assert.equal(service.count(), unset === "destroy" ? 0 : Object.keys(bodies).length);
  });
}

test("express-session: a store that is not put around session() says so", async (t) => {
  const store = new SessioncastStore(options);
  t.after(() => store.close());
  const middleware = expressSession({
    store,
    secret: "of the test",
    resave: false,
    saveUninitialized: false,
  });
  const request = { headers: {}, url: "/", originalUrl: "/" };
  const response = { writeHead() {}, end() {}, write() {} };
  const call = () => middleware(request as never, response as never, () => {});
  assert.throws(call, /store\.consistent\(session/);
  assert.throws(
    () => new SessioncastStore({ consistency: "session" }),
    /needs a consistencySecret/,
  );
});
