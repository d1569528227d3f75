import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  type Client,
  type ClientOptions,
  connect,
  SessioncastError,
} from "../../src/client/connect.ts";
import { limits } from "../../src/protocol/limits.ts";
import { serveFake } from "../support/local-server.ts";
import { until } from "../support/until.ts";

const nearCache = { maxCount: 100, maxBytes: 1_000_000 };

async function served(t: TestContext, options: Partial<ClientOptions> = {}) {
  const fake = await serveFake(t);
  const client = await connect({ socket: fake.path, timeoutMs: 60_000, nearCache, ...options });
  const other = await connect({ socket: fake.path, timeoutMs: 60_000 });
  t.after(() => Promise.all([client.close(), other.close()]));
  const gets = () => fake.service.calls.filter((call) => call === "get").length;
  return { ...fake, client, other, gets };
}

/** What has been pushed to a client has come when it is answered: both use one connection. */
async function pushesHaveCome(client: Client): Promise<void> {
  await client.ping();
  await client.ping();
}

test("a session that was read is read again without the sidecar", async (t) => {
  const { client, gets } = await served(t);
  await client.create("s", { user: "ada", cart: { items: [1, 2] } }, { owner: "ada" });
  const first = await client.get("s");
  assert.deepEqual(await client.get("s"), first);
  assert.deepEqual(first?.attributes, { user: "ada", cart: { items: [1, 2] } });
  assert.equal(first?.owner, "ada");
  assert.equal(gets(), 1);
  assert.deepEqual(client.nearCacheStats?.hits, 1);
});

test("a peek gives what a read would give without the sidecar, and asks nobody", async (t) => {
  const { client, other, gets } = await served(t);
  await client.create("s", { a: 1 });
  assert.equal(client.peek("s"), undefined);
  const read = await client.get("s");
  assert.deepEqual(client.peek("s"), read);
  assert.deepEqual(client.peek("s", { atLeast: read?.stamp }), read);
  assert.notEqual(client.peek("s", { mutable: true }), client.peek("s", { mutable: true }));
  const { stamp } = await client.patch("s", { set: { a: 2 } });
  assert.equal(client.peek("s"), undefined);
  await client.get("s");
  assert.equal(client.peek("s", { atLeast: read?.stamp }), undefined);
  assert.equal(client.peek("s", { atLeast: stamp })?.attributes.a, 2);
  assert.equal(gets(), 2);
  assert.equal(client.nearCacheStats?.misses, 2);
  assert.equal(other.peek("s"), undefined);
});

test("a change from whatever side ends the copy", async (t) => {
  const { client, other, service, gets } = await served(t);
  await client.create("s", { a: 1 });
  await client.get("s");
  await other.patch("s", { set: { a: 2 } });
  await pushesHaveCome(client);
  assert.deepEqual((await client.get("s"))?.attributes, { a: 2 });
  // As if a peer had written.
  for (const change of ["changed", "touched", "evicted", "expired", "destroyed"] as const) {
    const before = gets();
    service.tell("s", change);
    await pushesHaveCome(client);
    await client.get("s");
    assert.equal(gets(), before + 1, change);
  }
});

test("an own write ends the copy before it resolves, also one read meanwhile", async (t) => {
  const { client } = await served(t);
  await client.create("s", { a: 1 });
  await client.get("s");
  const [, , read] = await Promise.all([
    client.get("s", { mutable: true }),
    client.patch("s", { set: { a: 2 } }),
    client.get("s"),
  ]);
  assert.deepEqual(read?.attributes, { a: 2 });
  assert.deepEqual((await client.get("s"))?.attributes, { a: 2 });
  await client.rotate("s", "t").catch(() => {});
  assert.equal(await client.get("s"), undefined);
  await client.destroyAll({ owner: "nobody" });
  assert.equal(client.nearCacheStats?.count, 0);
});

test("copies are frozen, and whoever wants to change one gets his own", async (t) => {
  const { client, gets } = await served(t);
  await client.create("s", { cart: { items: [1] }, at: new Date(5) });
  await client.create("plain", { cart: { items: [1] } });
  for (let read = 0; read < 2; read++) {
    const plain = await client.get<{ cart: { items: number[] } }>("plain");
    assert.throws(() => plain?.attributes.cart.items.push(2), TypeError);
    // A date cannot be frozen: each reader has one of his own.
    const dated = await client.get<{ at: Date }>("s");
    dated?.attributes.at.setTime(0);
    assert.equal((await client.get<{ at: Date }>("s"))?.attributes.at.getTime(), 5);
  }
  const own = await client.get<{ cart: { items: number[] } }>("plain", { mutable: true });
  own?.attributes.cart.items.push(2);
  const again = await client.get<{ cart: { items: number[] } }>("plain", { mutable: true });
  assert.deepEqual(again?.attributes.cart.items, [1]);
  assert.equal(gets(), 2);
});

test("a read that names a write takes only a copy of that write", async (t) => {
  const { client, gets } = await served(t);
  await client.create("s", { a: 1 });
  const { stamp } = await client.patch("s", { set: { a: 2 } });
  await client.get("s");
  await client.get("s", { atLeast: stamp });
  assert.equal(gets(), 1);
  const later = stamp?.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10));
  await client.get("s", { atLeast: later });
  assert.equal(gets(), 2);
});

test("a copy ends with its session, and all end with the connection", async (t) => {
  const { client, server, gets, service } = await served(t);
  t.mock.timers.enable({ apis: ["Date"], now: service.nowMs });
  await client.create("s", { a: 1 }, { idleMs: 50 });
  await client.get("s");
  t.mock.timers.tick(50);
  await client.get("s");
  assert.equal(gets(), 2);
  await server.close();
  await until(() => client.nearCacheStats?.count === 0);
  await assert.rejects(client.get("s"), SessioncastError);
});

test("copies do not count once the sidecar has been silent", async (t) => {
  const { client, gets } = await served(t);
  await client.create("s", { a: 1 });
  await client.get("s");
  const now = performance.now.bind(performance);
  const clock = t.mock.method(performance, "now", () => now() + limits.nearCacheSilenceMsMax + 1);
  await client.get("s");
  assert.equal(gets(), 2);
  clock.mock.restore();
});

test("what has no room is dropped, here and at the sidecar", async (t) => {
  const { client, other, gets } = await served(t, { nearCache: { maxCount: 2, maxBytes: 9_999 } });
  for (let number = 0; number < 10; number++) await client.create(`s-${number}`, { a: number });
  for (let number = 0; number < 10; number++) await client.get(`s-${number}`);
  await pushesHaveCome(client);
  assert.equal(client.nearCacheStats?.count, 2);
  assert.equal(gets(), 10);
  await other.patch("s-9", { set: { a: 0 } });
  await pushesHaveCome(client);
  assert.deepEqual((await client.get("s-9"))?.attributes, { a: 0 });
  await client.create("large", { text: "x".repeat(20_000) });
  assert.equal((await client.get<{ text: string }>("large"))?.attributes.text.length, 20_000);
});

test("what all clients keep copies of is bounded, and who goes without is told", async (t) => {
  const { client, other, server } = await served(t);
  const real = limits.trackedMax;
  Object.assign(limits, { trackedMax: 5 });
  t.after(() => Object.assign(limits, { trackedMax: real }));
  for (let number = 0; number < 10; number++) {
    await client.create(`s-${number}`, { a: number });
    await client.get(`s-${number}`);
  }
  await pushesHaveCome(client);
  assert.equal(server.tracked, 5);
  assert.equal(client.nearCacheStats?.count, 5);
  await other.patch("s-9", { set: { a: -1 } });
  await pushesHaveCome(client);
  assert.equal(server.tracked, 4);
  await client.close();
  await until(() => server.tracked === 0);
});

test("without copies and watches nobody listens to changes", async (t) => {
  const { client, other, service } = await served(t);
  await other.create("s", { a: 1 });
  await other.get("s");
  assert.equal(service.isObserved, false);
  await client.get("s");
  assert.equal(service.isObserved, true);
  await client.close();
  await until(() => !service.isObserved);
});

test("a near cache without bounds is refused", () => {
  for (const bad of [
    { maxCount: 0, maxBytes: 1 },
    { maxCount: 1, maxBytes: Number.NaN },
  ]) {
    assert.rejects(connect({ socket: "/nowhere", nearCache: bad }), SessioncastError);
  }
});
