import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import express, { type Express, type Request, type Response } from "express";
import session, { type CookieOptions, type SessionOptions } from "express-session";
import {
  SessioncastStore,
  type SessioncastStoreOptions,
  type StoredSession,
} from "../../src/adapters/express.ts";
import { startServer } from "../../src/api/server.ts";
import { createClient } from "../../src/client/connect.ts";
import { CookieJar } from "../support/cookie-jar.ts";
import { FakeService } from "../support/fake-service.ts";
import { serveFake, socketPathFor } from "../support/local-server.ts";

/** What the app keeps in its sessions. */
interface Visitor {
  user?: string;
  visits?: number;
  seen?: string[];
}

/** Longer than a busy machine makes anybody wait; only a hang takes as long. */
const timeoutMs = 60_000;
const maxAge = 60_000;

interface Site {
  readonly store: SessioncastStore;
  readonly service: FakeService;
  /** Requests like a browser: keeps the cookie. */
  visit(path: string): Promise<{ status: number; body: string; cookie: string }>;
  forgetCookie(): void;
}

function visitor(request: Request): Visitor {
  return request.session as Visitor;
}

function routes(app: Express, gates: Map<string, () => void>): void {
  const body = (request: Request) => {
    const { user, visits } = visitor(request);
    return { user, visits };
  };
  app.get("/login", (request, response) => {
    visitor(request).user = "ada";
    visitor(request).visits = 0;
    response.json(body(request));
  });
  app.get("/read", (request, response) => void response.json(body(request)));
  app.get("/see", (request, response) => {
    const { seen = [] } = visitor(request);
    seen.push(`page-${seen.length}`);
    visitor(request).seen = seen;
    response.json(seen);
  });
  app.get("/visit", (request, response) => {
    visitor(request).visits = (visitor(request).visits ?? 0) + 1;
    response.json(body(request));
  });
  app.get("/remember", (request, response) => {
    request.session.cookie.maxAge = 10 * maxAge;
    visitor(request).user = "ada";
    response.json(body(request));
  });
  app.get("/regenerate", (request, response) => {
    const before = request.sessionID;
    request.session.regenerate((error) => {
      if (error) throw error;
      visitor(request).user = "grace";
      response.json({ ...body(request), changed: request.sessionID !== before });
    });
  });
  app.get("/logout", (request, response) => {
    request.session.destroy((error) => response.json({ error: error ?? null }));
  });
  app.get("/reload", (request, response) => {
    visitor(request).user = "nobody";
    request.session.reload((error) => response.json({ ...body(request), error: error ?? null }));
  });
  app.get("/slow", (request, response) => {
    visitor(request).visits = 99;
    gates.set("slow", () => response.json(body(request)));
    gates.get("slow arrived")?.();
  });
  app.get("/unset", (request, response) => {
    Reflect.deleteProperty(request, "session");
    response.json({});
  });
  app.get("/has-session", (request, response) => {
    response.json({ has: request.session !== undefined });
  });
}

async function serveSite(
  t: TestContext,
  options: {
    readonly cookie?: CookieOptions;
    readonly session?: Partial<SessionOptions>;
    readonly gates?: Map<string, () => void>;
    readonly store?: SessioncastStoreOptions;
  } = {},
): Promise<Site> {
  const { path, service } = await serveFake(t);
  const store = new SessioncastStore({ socket: path, timeoutMs, ...options.store });
  t.after(() => store.close());
  const app = express();
  app.use(
    session({
      store,
      secret: "of the test",
      resave: false,
      saveUninitialized: false,
      cookie: options.cookie ?? { maxAge },
      ...options.session,
    }),
  );
  routes(app, options.gates ?? new Map());
  app.use((error: Error, _request: Request, response: Response, _next: () => void) => {
    response.status(500).json({ failed: error.message });
  });
  const listening = app.listen(0, "127.0.0.1");
  t.after(() => {
    listening.close();
    listening.closeAllConnections();
  });
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  let cookie = "";
  return {
    store,
    service,
    forgetCookie() {
      cookie = "";
    },
    async visit(target) {
      const response = await fetch(`http://127.0.0.1:${port}${target}`, { headers: { cookie } });
      const received = response.headers.get("set-cookie") ?? "";
      if (received !== "") cookie = received.split(";")[0] ?? "";
      return { status: response.status, body: await response.text(), cookie: received };
    },
  };
}

/** Time passes for the sidecar and for the app, and for nobody else. */
function clockOf(t: TestContext, { service }: Site): (ms: number) => void {
  t.mock.timers.enable({ apis: ["Date"], now: service.nowMs });
  return (ms) => {
    service.nowMs += ms;
    t.mock.timers.tick(ms);
  };
}

/** Calls a method that calls back. */
function ask<T>(work: (callback: (error?: unknown, result?: T) => void) => void) {
  return new Promise<T | undefined>((resolve, reject) => {
    work((error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
}

function storeOf(t: TestContext, options: SessioncastStoreOptions) {
  const store = new SessioncastStore({ timeoutMs, ...options });
  t.after(() => store.close());
  return {
    store,
    get: (id: string) => ask<StoredSession | null>((done) => store.get(id, done)),
    set: (id: string, data: object) => ask((done) => store.set(id, data, done)),
    touch: (id: string, data: object) => ask((done) => store.touch(id, data, done)),
    all: async () =>
      (await ask<(StoredSession & { id: string })[]>((done) => store.all(done))) ?? [],
    length: () => ask<number>((done) => store.length(done)),
    clear: () => ask((done) => store.clear(done)),
  };
}

test("a login is remembered, changed and read back", async (t) => {
  const site = await serveSite(t);
  assert.equal((await site.visit("/read")).body, "{}");
  assert.equal(site.service.count(), 0);
  const login = await site.visit("/login");
  assert.match(login.cookie, /^connect\.sid=/);
  assert.equal(site.service.count(), 1);
  assert.equal((await site.visit("/visit")).body, '{"user":"ada","visits":1}');
  assert.equal((await site.visit("/visit")).body, '{"user":"ada","visits":2}');
  assert.equal((await site.visit("/read")).body, '{"user":"ada","visits":2}');
  assert.equal((await site.visit("/reload")).body, '{"user":"ada","visits":2,"error":null}');
  site.forgetCookie();
  assert.equal((await site.visit("/read")).body, "{}");
});

test("reading touches and does not write; the session then lives longer", async (t) => {
  const site = await serveSite(t);
  const pass = clockOf(t, site);
  await site.visit("/login");
  pass(maxAge - 10_000);
  site.service.calls.length = 0;
  await site.visit("/read");
  assert.deepEqual(site.service.calls, ["get", "touch"]);
  pass(maxAge - 10_000);
  assert.equal((await site.visit("/read")).body, '{"user":"ada","visits":0}');
});

test("a session that was not used is over, to the millisecond", async (t) => {
  const site = await serveSite(t, { cookie: { maxAge: 1_234 } });
  const pass = clockOf(t, site);
  await site.visit("/login");
  pass(1_234);
  assert.equal((await site.visit("/read")).body, '{"user":"ada","visits":0}');
  pass(1_235);
  assert.equal((await site.visit("/read")).body, "{}");
  assert.equal(site.service.count(), 0);
});

test("regenerate gives a new id, and the old session is gone", async (t) => {
  const site = await serveSite(t);
  await site.visit("/login");
  const old =
    site.service.list({ prefix: "", owner: undefined, limit: 10, cursor: "" }).sessions[0]?.id ??
    "";
  const { body } = await site.visit("/regenerate");
  assert.equal(body, '{"user":"grace","changed":true}');
  assert.equal((await site.visit("/read")).body, '{"user":"grace"}');
  assert.equal(site.service.get(old), undefined);
  assert.equal(site.service.count(), 1);
});

test("logout destroys the session", async (t) => {
  const site = await serveSite(t);
  await site.visit("/login");
  assert.equal((await site.visit("/logout")).body, '{"error":null}');
  assert.equal(site.service.count(), 0);
  assert.equal((await site.visit("/read")).body, "{}");
});

test("a slow request that saves after the logout does not bring the session back", async (t) => {
  const gates = new Map<string, () => void>();
  const site = await serveSite(t, { gates });
  await site.visit("/login");
  const arrived = new Promise<void>((resolve) => gates.set("slow arrived", resolve));
  const slow = site.visit("/slow");
  await arrived;
  await site.visit("/logout");
  site.service.calls.length = 0;
  gates.get("slow")?.();
  assert.equal((await slow).body, '{"user":"ada","visits":99}');
  assert.deepEqual(site.service.calls, ["patch"]);
  assert.equal(site.service.count(), 0);
  assert.equal((await site.visit("/read")).body, "{}");
});

test("a session whose cookie ends with the browser lives a day unused", async (t) => {
  const site = await serveSite(t, { cookie: {} });
  const pass = clockOf(t, site);
  await site.visit("/login");
  const day = 86_400_000;
  for (let days = 0; days < 2; days += 1) {
    pass(day - 1_000);
    assert.equal((await site.visit("/read")).body, '{"user":"ada","visits":0}');
  }
  pass(day + 1_000);
  assert.equal((await site.visit("/read")).body, "{}");
});

test("with resave a request that changed nothing writes nothing, and unset destroys", async (t) => {
  const site = await serveSite(t, { session: { unset: "destroy", resave: true } });
  await site.visit("/login");
  site.service.calls.length = 0;
  await site.visit("/read");
  await site.visit("/unset");
  assert.deepEqual(site.service.calls, ["get", "get", "destroy"]);
  assert.equal(site.service.count(), 0);
});

test("a session that is to live longer does, from its next use on", async (t) => {
  const site = await serveSite(t);
  const pass = clockOf(t, site);
  await site.visit("/login");
  await site.visit("/remember");
  for (let uses = 0; uses < 3; uses += 1) {
    pass(9 * maxAge);
    assert.equal((await site.visit("/read")).body, '{"user":"ada","visits":0}');
  }
  pass(11 * maxAge);
  assert.equal((await site.visit("/read")).body, "{}");
});

test("an id that the app draws again holds a new session, not the old one", async (t) => {
  const site = await serveSite(t, { session: { genid: () => "of-the-app" } });
  await site.visit("/login");
  await site.visit("/logout");
  site.forgetCookie();
  await site.visit("/login");
  assert.equal((await site.visit("/read")).body, '{"user":"ada","visits":0}');
  await site.store.client.patch("of-the-app", { set: { visits: 7, secret: "of ada" } });
  site.forgetCookie();
  await site.visit("/login");
  const stored = await site.store.client.get("of-the-app");
  assert.deepEqual(Object.keys(stored?.attributes ?? {}).sort(), ["cookie", "user", "visits"]);
  assert.equal(stored?.attributes.visits, 0);
});

test("several session() on one app keep apart, over one client", async (t) => {
  const { path, service } = await serveFake(t);
  const client = createClient({ socket: path, timeoutMs });
  t.after(() => client.close());
  const app = express();
  for (const name of ["shop", "admin"]) {
    const store = new SessioncastStore({ client, prefix: `${name}:` });
    const options = { secret: name, resave: false, saveUninitialized: false, name };
    app.use(`/${name}`, session({ ...options, store }));
  }
  app.use((request, response) => {
    visitor(request).visits = (visitor(request).visits ?? 0) + 1;
    response.json(visitor(request).visits);
  });
  const listening = app.listen(0, "127.0.0.1");
  t.after(() => listening.close());
  await once(listening, "listening");
  const origin = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  const jar = new CookieJar();
  for (const visits of [1, 2]) {
    for (const name of ["shop", "admin"]) {
      assert.equal((await jar.visit(`${origin}/${name}`)).body, visits);
    }
  }
  const { sessions } = service.list({ prefix: "", owner: undefined, limit: 10, cursor: "" });
  assert.deepEqual(sessions.map(({ id }) => id.split(":")[0]).sort(), ["admin", "shop"]);
});

test("what another program stored under a name of the session's own stays", async (t) => {
  const site = await serveSite(t);
  const { client } = site.store;
  await client.create("s-1", { save: "a file", user: "ada", cookie: {} });
  const loaded = await ask<session.Session & Visitor>((done) => site.store.load("s-1", done));
  assert(loaded);
  loaded.user = "grace";
  await ask((done) => site.store.set("s-1", loaded, done));
  const { cookie, ...stored } = (await client.get("s-1"))?.attributes ?? {};
  assert.deepEqual(stored, { save: "a file", user: "grace" });
});

test("a session that a tool got and sets again is changed; any other is replaced", async (t) => {
  const { path, service } = await serveFake(t);
  const { get, set } = storeOf(t, { socket: path });
  await set("s-1", { cookie: {}, user: "ada" });
  const found = (await get("s-1")) ?? {};
  await set("s-1", { cookie: {}, cart: "book" });
  await set("s-1", Object.assign(found, { visits: 1 }));
  assert.deepEqual(await get("s-1"), { cookie: {}, cart: "book", visits: 1 });
  assert.deepEqual(service.calls, ["set", "get", "set", "patch", "get"]);
});

test("what could not be saved is sent again by the next save of the request", async (t) => {
  const path = socketPathFor(t);
  const service = new FakeService();
  const first = await startServer({ path, service });
  const { store, get, set } = storeOf(t, { socket: path });
  await set("s-1", { cookie: {}, user: "ada", coupon: "half" });
  const loaded = await get("s-1");
  assert(loaded);
  loaded.user = "grace";
  delete loaded.coupon;
  await first.close();
  await assert.rejects(set("s-1", loaded), { code: "SESSIONCAST_UNAVAILABLE" });
  const second = await startServer({ path, service });
  t.after(() => second.close());
  await store.client.ready();
  await set("s-1", loaded);
  assert.deepEqual(await get("s-1"), { cookie: {}, user: "grace" });
});

test("sessions are JSON, as in other stores", async (t) => {
  const { path } = await serveFake(t);
  const { get, set } = storeOf(t, { socket: path });
  const expires = new Date(Date.now() + maxAge);
  const data = {
    cookie: { originalMaxAge: maxAge, expires, httpOnly: true, path: "/" },
    at: new Date(0),
    map: new Map([["a", 1]]),
    nested: { list: [1, undefined, { none: undefined }] },
    gone: undefined,
  };
  await set("s-1", data);
  assert.deepEqual(await get("s-1"), JSON.parse(JSON.stringify(data)));
  assert.equal(await get("s-2"), null);
  await assert.rejects(set("s-3", { ...data, big: 10n }), TypeError);
});

test("a session that is already over is not stored, and one that is stored goes", async (t) => {
  const { path, service } = await serveFake(t);
  const { set, touch } = storeOf(t, { socket: path });
  const ending = (inMs: number) => ({ cookie: { expires: new Date(Date.now() + inMs) } });
  await set("s-1", ending(maxAge));
  await set("s-2", ending(maxAge));
  await set("s-3", ending(-1));
  assert.equal(service.count(), 2);
  await set("s-1", ending(-1));
  await touch("s-2", ending(-1));
  assert.equal(service.count(), 0);
});

test("what cannot be a session fails its request, read from the sidecar or a copy", async (t) => {
  const { path } = await serveFake(t);
  const { store, get } = storeOf(t, { socket: path, nearCache: { maxCount: 9, maxBytes: 9_999 } });
  await store.client.create("s-1", { count: 2n ** 70n });
  for (const _ of ["sidecar", "copy"]) await assert.rejects(get("s-1"), TypeError);
  assert.equal(store.client.nearCacheStats?.hits, 1);
});

test("a touch that nobody needs is answered, and never before it has returned", async (t) => {
  const { path, service } = await serveFake(t);
  const { store, set, touch } = storeOf(t, { socket: path });
  const session = { cookie: { originalMaxAge: maxAge, expires: new Date(Date.now() + maxAge) } };
  await set("s-1", session);
  service.calls.length = 0;
  await touch("s-1", session);
  let isReturned = false;
  const answered = new Promise<boolean>((resolve) => {
    store.touch("s-1", session, () => resolve(isReturned));
  });
  isReturned = true;
  assert.equal(await answered, true);
  assert.deepEqual(service.calls, []);
});

test("touch neither creates nor overwrites", async (t) => {
  const { path, service } = await serveFake(t);
  const { get, set, touch } = storeOf(t, { socket: path });
  const later = { cookie: { expires: new Date(Date.now() + 10 * maxAge) }, user: "eve" };
  await touch("s-1", later);
  assert.equal(service.count(), 0);
  const soon = new Date(Date.now() + maxAge);
  await set("s-1", { cookie: { originalMaxAge: maxAge, expires: soon }, user: "ada" });
  const stamp = service.get("s-1")?.stamp;
  await touch("s-1", later);
  assert.deepEqual(service.get("s-1")?.stamp, stamp);
  const found = await get("s-1");
  assert.equal(found?.user, "ada");
  // The cookie that is read back ends when the session does, not when it was stored to end.
  const { expires } = (found?.cookie ?? {}) as { expires: string };
  const endMs = new Date(expires).getTime();
  assert.ok(endMs > soon.getTime() + 8 * maxAge);
});

test("all, length and clear keep to the prefix", async (t) => {
  const { path, service } = await serveFake(t);
  const mine = storeOf(t, { socket: path, prefix: "mine:" });
  const everything = storeOf(t, { socket: path });
  assert.deepEqual(await mine.all(), []);
  await mine.set("a", { cookie: {}, user: "ada" });
  await mine.set("b", { cookie: {}, user: "bob" });
  await everything.set("other", { cookie: {}, user: "eve" });
  const found = (await mine.all()).sort((left, right) => (left.id < right.id ? -1 : 1));
  assert.deepEqual(found, [
    { id: "a", cookie: {}, user: "ada" },
    { id: "b", cookie: {}, user: "bob" },
  ]);
  assert.equal(await mine.length(), 2);
  assert.equal(await everything.length(), 3);
  await mine.clear();
  assert.equal(await mine.length(), 0);
  assert.equal(service.count(), 1);
  await everything.clear();
  assert.equal(service.count(), 0);
});

test("clear and length go through all pages", async (t) => {
  const { path, service } = await serveFake(t);
  const { set, length, clear, all } = storeOf(t, { socket: path, prefix: "p:" });
  const ids = Array.from({ length: 2_500 }, (_, index) => `s-${index}`);
  await Promise.all(ids.map((id) => set(id, { cookie: {} })));
  assert.equal(await length(), 2_500);
  assert.equal((await all()).length, 2_500);
  await clear();
  assert.equal(service.count(), 0);
});

test("a session that something else stored can be loaded without its cookie", async (t) => {
  const site = await serveSite(t);
  const client = site.store.client;
  await client.create("s-1", { user: "ada" });
  const loaded = await ask<session.Session & Visitor>((done) => site.store.load("s-1", done));
  assert.equal(loaded?.user, "ada");
  assert.equal(loaded?.id, "s-1");
  assert.equal(loaded?.cookie.path, "/");
  assert.equal(typeof loaded?.save, "function");
});

test("without a sidecar requests get an error or no session, never a hang", async (t) => {
  const path = socketPathFor(t);
  const { store, get } = storeOf(t, { socket: path, timeoutMs: 3_600_000 });
  const events: string[] = [];
  store.on("connect", () => events.push("connect"));
  store.on("disconnect", () => events.push("disconnect"));
  assert.deepEqual(events, []);
  await assert.rejects(get("s-1"), { code: "SESSIONCAST_UNAVAILABLE" });
  assert.deepEqual(events, ["disconnect"]);
  const connected = once(store, "connect");
  await serveFake(t, { path });
  assert.equal(await get("s-1"), null);
  await connected;
  assert.deepEqual(events, ["disconnect", "connect"]);
});

test("an app hears of disconnect and connect; express-session does not", async (t) => {
  const site = await serveSite(t);
  await site.visit("/login");
  let heard = 0;
  site.store.on("disconnect", () => {
    heard += 1;
  });
  site.store.emit("disconnect");
  assert.equal(heard, 1);
  // Else it would serve requests without `req.session`, whatever the policy says.
  assert.equal((await site.visit("/has-session")).body, '{"has":true}');
});

test("callbacks come later and once, may be left out, and may throw", async (t) => {
  const { path } = await serveFake(t);
  const { store, get } = storeOf(t, { socket: path });
  let calls = 0;
  const thrown = new Promise((resolve) => {
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => {
      for (const listener of listeners) process.on("uncaughtException", listener);
      resolve(error);
    });
  });
  const failure = new Error("of the app");
  store.get("s-1", () => {
    calls += 1;
    throw failure;
  });
  assert.equal(calls, 0);
  assert.equal(await thrown, failure);
  assert.equal(calls, 1);
  store.set("s-1", { cookie: {}, user: "ada" });
  store.touch("s-1", { cookie: {} });
  store.destroy("s-1");
  store.clear();
  assert.equal(await get("s-1"), null);
  assert.equal(calls, 1);
});

test("a client may be shared, and the store does not close it", async (t) => {
  const { path } = await serveFake(t);
  const client = createClient({ socket: path, timeoutMs });
  t.after(() => client.close());
  const store = new SessioncastStore({ client });
  await store.close();
  await client.ping();
  assert.equal(client.listenerCount("connect"), 0);
});

test("with a near cache a session may be changed like any other, and is read once", async (t) => {
  const nearCache = { maxCount: 100, maxBytes: 1_000_000 };
  const site = await serveSite(t, { store: { nearCache } });
  await site.visit("/login");
  await site.visit("/read");
  const gets = () => site.service.calls.filter((call) => call === "get").length;
  const before = gets();
  assert.equal((await site.visit("/read")).body, '{"user":"ada","visits":0}');
  assert.equal(gets(), before);
  for (const seen of [1, 2, 3]) {
    assert.equal(JSON.parse((await site.visit("/see")).body).length, seen);
  }
});
