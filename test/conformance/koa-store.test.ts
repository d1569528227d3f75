/** What only koa-session asks of its store. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SessioncastStore } from "../../src/adapters/koa.ts";
import { serveFake } from "../support/local-server.ts";

test("the end that koa-session judges by is the sidecar's, and a touch moves it", async (t) => {
  const { path, service } = await serveFake(t);
  const store = new SessioncastStore({ socket: path, timeoutMs: 60_000 });
  t.after(() => store.close());
  t.mock.timers.enable({ apis: ["Date"], now: service.nowMs });
  const session = { user: "ada", _expire: service.nowMs + 60_000, _maxAge: 60_000 };
  await store.set("k", session, 70_000, { ctx: {} });
  assert.deepEqual(await store.get("k"), session);
  await store.client.touch("k", { idleMs: 100_000 });
  assert.equal((await store.get("k"))?._expire, service.nowMs + 90_000);
  // The sidecar still has it: then it is not over, whatever this clock says.
  t.mock.timers.tick(1_000_000);
  assert.equal((await store.get("k"))?._expire, Date.now() + 1_000);
});

test("a session that ends with the browser lives as long unused as the store says", async (t) => {
  const { path, service } = await serveFake(t);
  const store = new SessioncastStore({ socket: path, timeoutMs: 60_000, idleMs: 5_000 });
  t.after(() => store.close());
  await store.set("k", { user: "ada", _session: true }, "session", { ctx: {} });
  assert.deepEqual(await store.get("k"), { user: "ada", _session: true });
  service.nowMs += 5_001;
  assert.equal(await store.get("k"), undefined);
});

test("what another program stored under a name that koa-session cannot hold stays", async (t) => {
  const { path } = await serveFake(t);
  const store = new SessioncastStore({ socket: path, timeoutMs: 60_000 });
  t.after(() => store.close());
  await store.client.create("k", { _trace: 1, length: 2, user: "ada", cart: "book" });
  const ctx = {};
  await store.get("k", undefined, { ctx });
  await store.set("k", { user: "grace", _maxAge: 60_000 }, 70_000, { ctx });
  assert.deepEqual((await store.client.get("k"))?.attributes, {
    _trace: 1,
    length: 2,
    user: "grace",
    _maxAge: 60_000,
  });
});

test("a key that was destroyed can be begun anew by a request that knows", async (t) => {
  const { path } = await serveFake(t);
  const store = new SessioncastStore({ socket: path, timeoutMs: 60_000 });
  t.after(() => store.close());
  await store.set("k", { user: "ada" }, 70_000, { ctx: {} });
  const slow = {};
  await store.get("k", undefined, { ctx: slow });
  await store.destroy("k", { ctx: {} });
  await store.set("k", { user: "ada", cart: "book" }, 70_000, { ctx: slow });
  await store.set("k", { user: "ada" }, 70_000, { ctx: {} });
  assert.equal(await store.get("k"), undefined);
  const ctx = {};
  assert.equal(await store.get("k", undefined, { ctx }), undefined);
  await store.set("k", { user: "grace" }, 70_000, { ctx });
  assert.deepEqual(await store.get("k"), { user: "grace" });
});
