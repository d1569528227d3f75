/** What the stores of all frameworks have to do, held against the real frameworks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "express-session";
import { CookieJar } from "../support/cookie-jar.ts";
import { clockOf, maxAge, openShop, type Shop } from "../support/framework-shop.ts";
import { frameworks, serveExpress } from "../support/framework-sites.ts";

/** One request has loaded the session and is held while others change it and look at it. */
async function changeTwice({ site, jar, visit }: Pick<Shop, "site" | "jar" | "visit">) {
  await visit("/login/ada");
  const arrived = site.gate.arrival();
  const slow = visit("/hold/slow/1", jar.copy());
  await arrived;
  await visit("/put/fast/2");
  await visit("/show");
  site.gate.release();
  await slow;
}

test("express-session with its own store loses one of two parallel changes", async (t) => {
  const jar = new CookieJar();
  const site = await serveExpress(t, new MemoryStore());
  const visit = async (path: string, browser = jar) =>
    (await browser.visit(site.origin + path)).body;
  await changeTwice({ site, jar, visit });
  assert.deepEqual(await visit("/show"), { user: "ada", slow: "1" });
});

for (const framework of frameworks) {
  const { name } = framework;

  test(`${name}: a login is remembered, changed, read back and over after logout`, async (t) => {
    const { jar, show, visit, service } = await openShop(t, framework);
    assert.deepEqual(await show(), {});
    assert.equal(service.count(), 0);
    await visit("/login/ada");
    await visit("/put/cart/book");
    assert.deepEqual(await show(), { user: "ada", cart: "book" });
    await visit("/remove/cart");
    assert.deepEqual(await show(), { user: "ada" });
    const thief = jar.copy();
    await visit("/logout");
    assert.equal(service.count(), 0);
    assert.deepEqual(await show(), {});
    assert.deepEqual(await visit("/show", thief), {});
  });

  test(`${name}: parallel requests that change different attributes both count`, async (t) => {
    const shop = await openShop(t, framework);
    await changeTwice(shop);
    assert.deepEqual(await shop.show(), { user: "ada", slow: "1", fast: "2" });
  });

  test(`${name}: what a parallel request removed stays removed`, async (t) => {
    const { site, jar, show, visit } = await openShop(t, framework);
    await visit("/login/ada");
    await visit("/put/coupon/half");
    const arrived = site.gate.arrival();
    const slow = visit("/hold/slow/1", jar.copy());
    await arrived;
    await visit("/remove/coupon");
    site.gate.release();
    await slow;
    assert.deepEqual(await show(), { user: "ada", slow: "1" });
  });

  test(`${name}: a change inside a value is a change`, async (t) => {
    const { show, visit } = await openShop(t, framework);
    await visit("/login/ada");
    await visit("/list/cart");
    await visit("/push/cart/book");
    await visit("/push/cart/lamp");
    assert.deepEqual(await show(), { user: "ada", cart: ["book", "lamp"] });
  });

  test(`${name}: a slow request does not bring a session back after the logout`, async (t) => {
    const { site, jar, show, visit, service } = await openShop(t, framework);
    await visit("/login/ada");
    const old = jar.copy();
    const arrived = site.gate.arrival();
    const slow = visit("/hold/slow/1", jar.copy());
    await arrived;
    await visit("/logout");
    site.gate.release();
    await slow;
    assert.equal(service.count(), 0);
    assert.deepEqual(await visit("/show", old), {});
    assert.deepEqual(await show(), {});
  });

  test(`${name}: a login gives a new id, and the old one is worth nothing`, async (t) => {
    const { jar, show, visit, service } = await openShop(t, framework);
    await visit("/put/cart/book");
    const planted = jar.copy();
    await visit("/login/ada");
    assert.notEqual(jar.value(framework.cookieName), planted.value(framework.cookieName));
    assert.deepEqual(await visit("/show", planted), {});
    assert.equal(Object.entries((await show()) as object).at(-1)?.[1], "ada");
    assert.equal(service.count(), 1);
  });

  test(`${name}: an attribute called __proto__ changes no session, and stays`, async (t) => {
    const { store, show, visit, service } = await openShop(t, framework);
    await visit("/login/ada");
    const all = { prefix: "", owner: undefined, limit: 9, cursor: "" };
    const [stored] = service.list(all).sessions;
    const set = JSON.parse('{"__proto__":{"user":"eve","admin":true,"save":1},"constructor":"c"}');
    await store.client.patch(stored?.id ?? "", { set });
    const seen = (await show()) as Record<string, unknown>;
    assert.deepEqual([seen.user, seen.admin], ["ada", undefined]);
    await visit("/put/cart/book");
    assert.equal(((await show()) as Record<string, unknown>).cart, "book");
    const kept = service.get(stored?.id ?? "")?.attributes.map((attribute) => attribute.name);
    assert(kept?.includes("__proto__") && kept.includes("constructor"));
    assert.equal(Reflect.get({}, "admin"), undefined);
  });

  test(`${name}: saving without a change costs a touch now and then`, async (t) => {
    const site = { rolling: true, resave: true };
    const shop = await openShop(t, framework, { site });
    const pass = clockOf(t, shop);
    await shop.visit("/login/ada");
    const cost = async () => {
      shop.service.calls.length = 0;
      await shop.show();
      return shop.service.calls.join();
    };
    assert.equal(await cost(), "get");
    // The window is a twentieth of the idle time, and ten seconds at most.
    pass(9_000);
    assert.equal(await cost(), "get");
    pass(2_000);
    assert.equal(await cost(), "get,touch");
    assert.equal(await cost(), "get");
    pass(maxAge - 11_000);
    assert.deepEqual(await shop.show(), { user: "ada" });
    pass(maxAge - 11_000);
    assert.deepEqual(await shop.show(), { user: "ada" });
    pass(maxAge + 11_000);
    assert.deepEqual(await shop.show(), {});
  });

  test(`${name}: without a sidecar a request fails with its code, and recovers`, async (t) => {
    const { site, store, jar, show, visit, ...shop } = await openShop(t, framework);
    const events: string[] = [];
    for (const event of ["connect", "disconnect"]) store.on(event, () => events.push(event));
    await visit("/login/ada");
    const gone = new Promise<void>((resolve) => store.on("disconnect", () => resolve()));
    await shop.sidecarLeaves();
    await gone;
    const { status, body, cookies } = await jar.visit(`${site.origin}/show`);
    assert.deepEqual({ status, body }, { status: 500, body: { code: "SESSIONCAST_UNAVAILABLE" } });
    assert.deepEqual(cookies, []);
    assert.equal(site.errors.length, 1);
    await shop.sidecarReturns();
    assert.deepEqual(await show(), { user: "ada" });
    assert.deepEqual(events, ["connect", "disconnect", "connect"]);
  });

  test(`${name}: with "no-session" the request goes on, and nobody is logged out`, async (t) => {
    const options = { onUnavailable: "no-session" } as const;
    const { site, store, jar, show, visit, ...shop } = await openShop(t, framework, options);
    const events: string[] = [];
    for (const event of ["unavailable", "dropped"]) store.on(event, () => events.push(event));
    await visit("/login/ada");
    const id = jar.value(framework.cookieName);
    await shop.sidecarLeaves();
    assert.deepEqual(await show(), {});
    assert.deepEqual(events, ["unavailable"]);
    assert.deepEqual(await visit("/put/cart/book"), { cart: "book" });
    assert.deepEqual(events.splice(0), ["unavailable", "unavailable", "dropped"]);
    // That somebody was logged out is never only said.
    const logout = await jar.copy().visit(`${site.origin}/logout`);
    assert.equal(logout.status, 500);
    assert.deepEqual(
      site.errors.splice(0).map(({ code }) => code),
      ["SESSIONCAST_UNAVAILABLE"],
    );
    // A visitor without a cookie has nothing to lose.
    assert.deepEqual(await visit("/show", new CookieJar()), {});
    assert.equal(jar.value(framework.cookieName), id);
    await shop.sidecarReturns();
    assert.deepEqual(await show(), { user: "ada" });
    assert.deepEqual(site.errors, []);
  });

  test(`${name}: a lost session is not saved over the one that is back`, async (t) => {
    const options = { onUnavailable: "no-session" } as const;
    const { site, jar, show, visit, ...shop } = await openShop(t, framework, options);
    await visit("/login/ada");
    await shop.sidecarLeaves();
    const arrived = site.gate.arrival();
    const slow = visit("/hold/slow/1", jar.copy());
    await arrived;
    await shop.sidecarReturns();
    site.gate.release();
    await slow;
    assert.deepEqual(await show(), { user: "ada" });
  });
}
