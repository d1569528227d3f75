import { strict as assert } from "node:assert";
import { test } from "node:test";
import { SessioncastStore } from "../../src/adapters/express.ts";
import { reportError } from "../../src/cli/report-error.ts";
import { connect } from "../../src/client/connect.ts";
import { serveFake } from "../support/local-server.ts";
import { frameOf, RawClient } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

const notKnownYet = () => {};
const timeoutMs = 60_000;

test("a request on a session that is not known yet waits, and others pass it", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  await client.create("known", { a: 1 });
  await client.create("late", { a: 2 });
  service.unknown.set("late", notKnownYet);
  const waiting = client.get<{ a: number }>("late");
  assert.equal((await client.get<{ a: number }>("known"))?.attributes.a, 1);
  await until(() => service.unknown.get("late") !== notKnownYet);
  const arrived = service.unknown.get("late");
  service.unknown.delete("late");
  arrived?.(true);
  assert.equal((await waiting)?.attributes.a, 2);
});

test("a session that nobody could tell about is an error, not an absence", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  service.unknown.set("late", notKnownYet);
  const waiting = client.get("late");
  await until(() => service.unknown.get("late") !== notKnownYet);
  service.unknown.get("late")?.(false);
  await assert.rejects(waiting, { code: "SESSIONCAST_UNAVAILABLE" });
});

test("a write that asks for acks is answered when peers have it, and others pass it", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  const waiting = client.create("s", { a: 1 }, { ack: 2, ackTimeoutMs: 5_000 });
  await until(() => service.confirming.length === 1);
  assert.equal((await client.get<{ a: number }>("s"))?.attributes.a, 1);
  service.confirming[0]?.(1);
  const { applied, stamp, confirmations } = await waiting;
  assert.deepEqual([applied, confirmations], [true, 1]);
  assert.equal(stamp, (await client.get("s"))?.stamp);
});

test("a write that writes nothing waits for nobody", async (t) => {
  const { path } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  const nothing = { applied: false, stamp: undefined, confirmations: 0 };
  assert.deepEqual(await client.destroy("s", { ack: 1 }), nothing);
  assert.deepEqual(await client.rotate("s", "t", { ack: 1 }), nothing);
  assert.deepEqual(await client.touch("s"), { ...nothing, confirmations: undefined });
});

test("too many writes that wait are an error", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  service.confirmationsMax = 0;
  await assert.rejects(client.set("s", {}, { ack: 1 }), { code: "SESSIONCAST_UNAVAILABLE" });
});

test("an ack that cannot be is refused", async (t) => {
  const { path } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  for (const ack of [0, 1.5, 257, Number.NaN]) {
    await assert.rejects(client.set("s", {}, { ack }), { code: "SESSIONCAST_INVALID" }, `${ack}`);
  }
  const late = { ack: 1, ackTimeoutMs: timeoutMs };
  await assert.rejects(client.set("s", {}, late), { code: "SESSIONCAST_INVALID" });
});

test("a read that asks for a write that cannot be had is an error of its own", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  const { stamp } = await client.create("s", { a: 1 });
  assert.equal((await client.get<{ a: number }>("s", { atLeast: stamp }))?.attributes.a, 1);
  service.unknown.set("s", notKnownYet);
  const waiting = client.get("s", { atLeast: stamp });
  await until(() => service.unknown.get("s") !== notKnownYet);
  service.unknown.get("s")?.(false);
  await assert.rejects(waiting, { code: "SESSIONCAST_BEHIND" });
  await assert.rejects(client.get("s", { atLeast: "no stamp" }), { code: "SESSIONCAST_INVALID" });
});

test("a rotate waits until both ids are known", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  await client.create("old", { a: 1 });
  for (const id of ["old", "new"]) service.unknown.set(id, notKnownYet);
  const waiting = client.rotate("old", "new");
  await until(() => service.unknown.get("new") !== notKnownYet);
  const [old, target] = [service.unknown.get("old"), service.unknown.get("new")];
  service.unknown.clear();
  old?.(true);
  target?.(true);
  assert.equal((await waiting).applied, true);
  assert.deepEqual((await client.get("new"))?.attributes, { a: 1 });
});

test("all sessions of an owner end, also when the client has gone meanwhile", async (t) => {
  const { path, service, server } = await serveFake(t);
  service.destroyAllMax = 1;
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  const count = 500;
  const ids = Array.from({ length: count }, (_, index) => `s-${index}`);
  const all = ids.map((id) => client.create(id, {}, { owner: "ada" }));
  await Promise.all([...all, client.create("other", {}, { owner: "bob" })]);
  const raw = await RawClient.greet(t, path);
  raw.socket.end(frameOf([2, 13, "ada", null]));
  await until(() => server.clients === 1);
  await until(() => service.count() === 1);
  assert.ok(service.calls.filter((call) => call === "destroyAll").length >= count);
  assert.equal((await client.get("other"))?.owner, "bob");
});

test("the reply to a destroyAll of several slices tells of all of them", async (t) => {
  const { path, service } = await serveFake(t);
  service.destroyAllMax = 2;
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  for (const id of ["a", "b", "c", "d", "e"]) await client.create(id, {}, { owner: "ada" });
  assert.equal((await client.destroyAll({ owner: "ada", except: "c" })).count, 4);
  assert.notEqual(await client.get("c"), undefined);
});

test("what concerns all sessions is refused until all are known", async (t) => {
  const { path, service, server } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  await client.create("s", {}, { owner: "ada" });
  service.state = "joining";
  const unavailable = { code: "SESSIONCAST_UNAVAILABLE" };
  await assert.rejects(client.list(), unavailable);
  await assert.rejects(client.count(), unavailable);
  const error = await client.destroyAll({ owner: "ada" }).catch((reason) => reason);
  assert.equal(error.code, unavailable.code);
  assert.equal(server.counters.refusals.stillJoining, 3);
  const written = t.mock.method(process.stderr, "write", () => true);
  reportError(error);
  written.mock.restore();
  assert.match(String(written.mock.calls[0]?.arguments[0]), /not know yet\. Try again/);
  const store = new SessioncastStore({ client });
  for (const ask of ["all", "length", "clear"] as const) {
    const failure = await new Promise((resolve) => store[ask](resolve));
    assert.equal((failure as { code?: string } | null)?.code, unavailable.code, ask);
  }
  service.state = "ready";
  assert.equal(await client.count(), 1);
  assert.equal((await client.destroyAll({ owner: "ada" })).count, 1);
});
