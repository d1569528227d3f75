import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { pack, unpack } from "msgpackr";
import { connect, SessioncastError } from "../../src/client/connect.ts";
import { serveFake } from "../support/local-server.ts";

async function connected(t: TestContext) {
  const fake = await serveFake(t);
  const client = await connect({ socket: fake.path, timeoutMs: 60_000 });
  t.after(() => client.close());
  return { ...fake, client };
}

function refusal(code: string) {
  return (error: unknown) => error instanceof SessioncastError && error.code === code;
}

test("a session is created, read, changed and destroyed", async (t) => {
  const { client, service } = await connected(t);
  const { stamp } = await client.create("s-1", { user: "ada", visits: 1 }, { idleMs: 60_000 });
  assert.deepEqual(await client.get("s-1"), {
    id: "s-1",
    attributes: { user: "ada", visits: 1 },
    stamp,
    expiresAt: service.nowMs + 60_000,
    owner: undefined,
  });
  assert.equal((await client.patch("s-1", { set: { visits: 2 }, unset: ["user"] })).applied, true);
  const patched = await client.get<{ visits: number }>("s-1");
  assert.deepEqual(patched?.attributes, { visits: 2 });
  assert.notEqual(patched?.stamp, stamp);
  assert.equal((await client.touch("s-1", { idleMs: 5_000 })).applied, true);
  assert.equal((await client.get("s-1"))?.expiresAt, service.nowMs + 5_000);
  assert.equal((await client.set("s-1", { fresh: true }, { idleMs: 0 })).applied, true);
  const replaced = await client.get("s-1");
  assert.deepEqual(replaced?.attributes, { fresh: true });
  assert.equal(replaced?.expiresAt, undefined);
  assert.equal((await client.destroy("s-1")).applied, true);
  assert.equal(await client.get("s-1"), undefined);
});

test("writes to a session that is gone say so", async (t) => {
  const { client } = await connected(t);
  await client.create("s-1", {});
  await client.destroy("s-1");
  assert.equal((await client.set("s-1", { late: true })).applied, false);
  assert.equal((await client.patch("s-1", { set: { late: true } })).applied, false);
  assert.equal((await client.touch("s-1")).applied, false);
  assert.equal((await client.destroy("s-1")).applied, false);
  await client.create("s-1", { again: true });
  await assert.rejects(client.create("s-1", {}), refusal("SESSIONCAST_CONFLICT"));
  assert.deepEqual((await client.get("s-1"))?.attributes, { again: true });
});

test("values of many kinds come back as they were", async (t) => {
  const { client } = await connected(t);
  const attributes = {
    date: new Date(1_700_000_000_123),
    early: new Date(-5),
    nested: { list: [1, "two", { three: [null, true] }], empty: {} },
    bytes: Buffer.from([0, 128, 255]),
    float: 0.1,
    large: 2 ** 53,
    bigint: 10n,
    set: new Set(["a"]),
    text: "é€😀\u0000",
  };
  await client.create("s-1", attributes);
  assert.deepEqual((await client.get("s-1"))?.attributes, attributes);
});

test("bytes are the app's own, not a view of what is received next", async (t) => {
  const { client } = await connected(t);
  await client.create("s-1", { bytes: Buffer.alloc(100, 1) });
  await client.create("s-2", { bytes: Buffer.alloc(100, 2) });
  const [first, second] = await Promise.all([
    client.get<{ bytes: Buffer }>("s-1"),
    client.get<{ bytes: Buffer }>("s-2"),
  ]);
  assert.deepEqual(first?.attributes.bytes, Buffer.alloc(100, 1));
  assert.notEqual(first?.attributes.bytes.buffer, second?.attributes.bytes.buffer);
});

test("objects are stored as plain maps, which clients in other languages can read", async (t) => {
  const { client, service } = await connected(t);
  const list = [{ name: "a" }, { name: "b" }];
  await client.create("s-1", { list });
  const [attribute] = service.get("s-1")?.attributes ?? [];
  const hex = Buffer.from(String(attribute?.value), "latin1").toString("hex");
  assert.equal(hex, "9281a46e616d65a16181a46e616d65a162");
});

test("dangerous names are names like any other and change no prototype", async (t) => {
  const { client } = await connected(t);
  const attributes: Record<string, unknown> = JSON.parse(
    '{"__proto__":{"polluted":1},"constructor":2,"toString":3,"inner":{"__proto__":{"p":1}}}',
  );
  await client.create("__proto__", attributes);
  const session = await client.get("__proto__");
  const found = session?.attributes ?? {};
  assert.deepEqual(Object.keys(found), ["__proto__", "constructor", "toString", "inner"]);
  assert.equal(Object.getPrototypeOf(found), Object.prototype);
  const own = Object.getOwnPropertyDescriptor(found, "__proto__");
  assert.deepEqual(own?.value, { polluted: 1 });
  assert.equal("polluted" in found, false);
  assert.equal("p" in Object(found.inner), false);
  assert.equal("polluted" in {}, false);
});

test("an attribute that is undefined is not there", async (t) => {
  const { client } = await connected(t);
  await client.create("s-1", { a: 1, b: undefined });
  assert.deepEqual((await client.get("s-1"))?.attributes, { a: 1 });
  await client.patch("s-1", { set: { a: undefined, c: null } });
  assert.deepEqual((await client.get("s-1"))?.attributes, { c: null });
});

test("lists come in pages", async (t) => {
  const { client, service } = await connected(t);
  for (const id of ["a-1", "b-1", "b-2", "b-3"]) await client.create(id, {}, { idleMs: 1_000 });
  const expiresAt = service.nowMs + 1_000;
  const first = await client.list({ prefix: "b-", limit: 3 });
  assert.deepEqual(first.sessions, [
    { id: "b-1", expiresAt },
    { id: "b-2", expiresAt },
  ]);
  assert.equal(first.cursor, "b-2");
  const second = await client.list({ prefix: "b-", limit: 3, cursor: first.cursor });
  assert.deepEqual(second, { sessions: [{ id: "b-3", expiresAt }] });
  assert.equal(await client.count(), 4);
});

test("the sidecar tells about itself", async (t) => {
  const { client, service } = await connected(t);
  await client.ping();
  const stats = { sessions: 0, bytes: 2 ** 40, share: 0.5, peers: [{ name: "app-2" }] };
  assert.deepEqual(await client.stats(), stats);
  service.state = "leaving";
  assert.deepEqual(await client.hello(), {
    protocol: 2,
    version: "0.1.0-test",
    node: "app-1",
    cluster: "test",
    state: "leaving",
    pid: process.pid,
  });
});

test("keys are read again, or the client is told why not", async (t) => {
  const { client, service, server } = await connected(t);
  assert.deepEqual(await client.reloadKeys(), { uses: "1a2b3c4d", opens: ["5e6f7a8b"] });
  service.keys = "the key file /k is missing. Make one";
  await assert.rejects(client.reloadKeys(), {
    code: "SESSIONCAST_KEYS",
    message: "the key file /k is missing. Make one",
  });
  assert.equal(server.counters.refusals.keysRefused, 1);
  await client.ping();
});

test("what cannot be asked for rejects, and the connection goes on", async (t) => {
  const { client } = await connected(t);
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const wrong: [string, () => Promise<unknown>, string][] = [
    ["an empty id", () => client.get(""), "INVALID"],
    ["a long id", () => client.destroy("x".repeat(256)), "INVALID"],
    ["no id", () => client.get(undefined as unknown as string), "INVALID"],
    ["half a character", () => client.get("a\ud800"), "INVALID"],
    ["a name that is empty", () => client.set("s", { "": 1 }), "INVALID"],
    ["a name that is half a character", () => client.set("s", { "\udc00": 1 }), "INVALID"],
    ["a negative time", () => client.touch("s", { idleMs: -1 }), "INVALID"],
    ["a time without end", () => client.touch("s", { idleMs: 2 ** 53 - 1 }), "INVALID"],
    ["no number", () => client.set("s", {}, { idleMs: Number.NaN }), "INVALID"],
    ["a symbol", () => client.set("s", { a: Symbol("x") }), "INVALID"],
    ["a cycle", () => client.set("s", { cycle }), "INVALID"],
    ["a list of none", () => client.list({ limit: 0 }), "INVALID"],
    ["a session too large", () => client.set("s", { a: Buffer.alloc(1_100_000) }), "TOO_LARGE"],
    ["a frame too large", () => client.set("s", { a: Buffer.alloc(3_000_000) }), "TOO_LARGE"],
  ];
  for (const [what, ask, code] of wrong) {
    await assert.rejects(ask, refusal(`SESSIONCAST_${code}`), what);
    await client.ping();
  }
});

test("a value that asks for a session itself disturbs nothing", async (t) => {
  const { client } = await connected(t);
  let inner: Promise<unknown> | undefined;
  class Reading {
    toJSON() {
      inner = client.get("s-0");
      return "read";
    }
  }
  await client.create("s-1", { a: "x", reading: new Reading(), b: "y" });
  assert.deepEqual((await client.get("s-1"))?.attributes, { a: "x", reading: "read", b: "y" });
  assert.equal(await inner, undefined);
});

test("an attribute that is not MessagePack rejects that request only", async (t) => {
  const { client, service } = await connected(t);
  const lifetime = { idleMs: undefined, absoluteMs: undefined };
  const bytes = (content: Uint8Array) => Buffer.from(content).toString("latin1");
  service.set("bad", [{ name: "a", value: "\xc1\xff" }], lifetime);
  service.set("good", [{ name: "a", value: bytes(pack(1)) }], lifetime);
  const both = await Promise.allSettled([client.get("bad"), client.get("good")]);
  assert.ok(both[0].status === "rejected" && refusal("SESSIONCAST_INVALID")(both[0].reason));
  assert.ok(both[1].status === "fulfilled");
  assert.deepEqual(both[1].value?.attributes, { a: unpack(pack(1)) });
});

test("what was read stays as it is while more is read", async (t) => {
  const { client, path } = await connected(t);
  const near = await connect({ socket: path, nearCache: { maxCount: 9, maxBytes: 100_000 } });
  t.after(() => near.close());
  const contentOf = (letter: string) => ({
    bytes: Buffer.from(letter.repeat(3_000)),
    nested: { list: [new Uint8Array(40).fill(letter.charCodeAt(0)), letter.repeat(300)] },
  });
  for (const letter of ["a", "b"]) await client.create(letter, contentOf(letter), { owner: "ada" });
  for (const reader of [client, near]) {
    const first = await reader.get("a", { mutable: true });
    for (let again = 0; again < 3; again++) await reader.get("b");
    assert.deepEqual(first?.attributes, contentOf("a"));
    assert.equal(first?.owner, "ada");
    assert.deepEqual((await reader.get("a"))?.attributes, contentOf("a"));
  }
});

test("many requests in flight find their own replies", async (t) => {
  const { client } = await connected(t);
  const ids = Array.from({ length: 500 }, (_, index) => `s-${index}`);
  await Promise.all(ids.map((id, index) => client.create(id, { index })));
  const sessions = await Promise.all(ids.map((id) => client.get<{ index: number }>(id)));
  assert.deepEqual(
    sessions.map((session) => session?.attributes.index),
    ids.map((_, index) => index),
  );
});
