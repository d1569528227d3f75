import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { EventKind } from "../../src/api/messages.ts";
import { startServer } from "../../src/api/server.ts";
import {
  connect,
  createClient,
  SessioncastError,
  type SessionEvent,
} from "../../src/client/connect.ts";
import { limits } from "../../src/protocol/limits.ts";
import { catchThrown } from "../support/catch-thrown.ts";
import { serveFake } from "../support/local-server.ts";
import { frameOf, RawClient } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

async function connected(t: TestContext) {
  const fake = await serveFake(t);
  const client = await connect({ socket: fake.path, timeoutMs: 60_000 });
  t.after(() => client.close());
  const events: SessionEvent[] = [];
  const listener = (event: SessionEvent) => events.push(event);
  return { ...fake, client, events, listener };
}

test("a watch tells of the sessions of its prefix, whoever changes them", async (t) => {
  const { client, service, events, listener } = await connected(t);
  const watch = await client.watch({ prefix: "app:" }, listener);
  await client.create("app:1", { a: 1 });
  await client.create("other:1", { a: 1 });
  await client.patch("app:1", { set: { a: 2 } });
  await client.destroy("app:1");
  for (const change of ["created", "touched", "evicted", "expired"] as const) {
    service.tell("app:2", change);
  }
  await until(() => events.length === 5);
  assert.deepEqual(
    events.map(({ type, id }) => `${type} ${id}`),
    ["created app:1", "changed app:1", "destroyed app:1", "created app:2", "expired app:2"],
  );
  await watch.close();
  await watch.close();
  await client.create("app:3", {});
  await client.ping();
  assert.equal(events.length, 5);
  assert.equal(service.isObserved, false);
});

test("several watches of one client are told apart", async (t) => {
  const { client, events, listener } = await connected(t);
  const all: SessionEvent[] = [];
  await client.watch({}, (event) => all.push(event));
  await client.watch({ prefix: "a" }, listener);
  await client.create("a-1", {});
  await client.create("b-1", {});
  await until(() => all.length === 2);
  assert.deepEqual(
    events.map(({ id }) => id),
    ["a-1"],
  );
});

test("a connection has a bounded number of watches", async (t) => {
  const { client, listener } = await connected(t);
  for (let count = 0; count < limits.watchesPerClientMax; count++) await client.watch({}, listener);
  await assert.rejects(client.watch({}, listener), (error: unknown) => {
    return error instanceof SessioncastError && error.code === "SESSIONCAST_INVALID";
  });
});

test("after a break the watch goes on, and says that something may be missing", async (t) => {
  const { client, server, service, path, events, listener } = await connected(t);
  const alive = setInterval(() => {}, 3_600_000);
  t.after(() => clearInterval(alive));
  await client.watch({}, listener);
  await server.close();
  const second = await startServer({ path, service });
  t.after(() => second.close());
  await until(() => events.length === 1);
  assert.deepEqual(events, [{ type: "missed", id: "" }]);
  await client.create("s", {});
  await until(() => events.length === 2);
  assert.deepEqual(events[1], { type: "created", id: "s" });
});

test("a watcher that does not read is told how much it missed: something", async (t) => {
  const { path, service, server } = await serveFake(t, { backlogBytesMax: 50_000 });
  const raw = await RawClient.greet(t, path);
  await raw.ask([2, 14, ""]);
  await raw.ask([3, 3, "large", { a: Buffer.alloc(100_000) }, null, null]);
  await raw.reply();
  raw.socket.pause();
  raw.send(...Array.from({ length: 50 }, (_, index) => frameOf([index + 10, 2, "large"])));
  await until(() => service.calls.filter((call) => call === "get").length > 2);
  for (let count = 0; count < limits.eventsPerTurnMax + 5; count++) service.tell("s", "changed");
  raw.socket.resume();
  const kinds: unknown[] = [];
  for (let replies = 0; replies < 50; ) {
    const [, status, content] = (await raw.reply()) as [number, number, unknown[][]];
    if (status === 0) replies += 1;
    else kinds.push(...content.map(([kind]) => kind));
  }
  if (kinds.length === 0) {
    const [, , content] = (await raw.reply()) as [number, number, unknown[][]];
    kinds.push(...content.map(([kind]) => kind));
  }
  assert.equal(kinds[0], EventKind.missed);
  assert.equal(server.counters.eventsMissed, 1);
  assert.ok(kinds.length < 10);
});

test("what a listener throws does not harm the connection", async (t) => {
  const { client } = await connected(t);
  const { thrown, restore } = catchThrown();
  await client.watch({}, () => {
    throw new Error("of the app");
  });
  await client.create("s", {});
  await until(() => thrown.length === 1);
  restore();
  await client.ping();
});

test("a watch that is asked for before there is a connection tells of what comes", async (t) => {
  const { path, service } = await serveFake(t);
  const client = createClient({ socket: path, timeoutMs: 60_000 });
  t.after(() => client.close());
  const events: SessionEvent[] = [];
  await client.watch({}, (event) => events.push(event));
  service.tell("s", "created");
  await until(() => events.some(({ type }) => type === "created"));
});

test("however many events of one turn, they come in frames that a client takes", async (t) => {
  const { client, service, events, listener } = await connected(t);
  const count = 20_000;
  const id = (index: number) => `${"x".repeat(240)}${index}`;
  await client.watch({}, listener);
  for (let index = 0; index < count; index++) service.tell(id(index), "expired");
  await until(() => events.length === count);
  assert.equal(events.at(-1)?.id, id(count - 1));
});
