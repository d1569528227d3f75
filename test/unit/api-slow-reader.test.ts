import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { serveFake } from "../support/local-server.ts";
import { frameOf, RawClient } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

const notKnownYet = () => {};

function isServerSide(socket: Socket): boolean {
  return "server" in socket && socket.server !== null;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

test("who reads slowly is told of a change before any reply to what it asks later", async (t) => {
  const { path, service, server } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  await client.ask([2, 16, 100]);
  await client.ask([3, 3, "large", { a: Buffer.alloc(500_000) }, null, null]);
  await client.ask([4, 3, "s", {}, null, null]);
  await client.ask([5, 2, "s"]);
  client.socket.pause();
  client.send(...numbers(10).map((index) => frameOf([index + 10, 2, "large"])));
  const before = server.counters.requests;
  await until(() => server.counters.requests === before + 10);
  service.tell("s", "changed");
  client.send(frameOf([30, 11]));
  await until(() => server.counters.requests === before + 11);
  client.socket.resume();
  const heads: unknown[] = [];
  while (heads.at(-1) !== "30 0") {
    const [requestId, status] = (await client.reply()) as [number, number];
    heads.push(`${requestId} ${status}`);
  }
  assert.deepEqual(heads.slice(-2), ["2 2", "30 0"]);
  assert.equal(server.counters.clientsPaused, 0);
});

test("one that has been paused is told first what it missed, then answered", async (t) => {
  const { path, service, server } = await serveFake(t, { backlogBytesMax: 100_000 });
  const client = await RawClient.greet(t, path);
  await client.ask([2, 16, 100]);
  await client.ask([3, 3, "large", { a: Buffer.alloc(500_000) }, null, null]);
  await client.ask([4, 2, "large"]);
  client.socket.pause();
  client.send(...numbers(5).map((index) => frameOf([index + 10, 2, "large"])));
  await until(() => server.counters.clientsPaused === 1);
  service.tell("large", "changed");
  client.send(frameOf([30, 11]));
  client.socket.resume();
  const heads: string[] = [];
  while (heads.at(-1) !== "30 0") {
    const [requestId, status] = (await client.reply()) as [number, number];
    heads.push(`${requestId} ${status}`);
  }
  assert.ok(heads.indexOf("2 2") < heads.indexOf("14 0"), heads.join());
});

test("a watcher that does not read is dropped, and others go on", async (t) => {
  const backlogBytesMax = 100_000;
  const { path, service, server } = await serveFake(t, { backlogBytesMax, backlogMsMax: 20 });
  const client = await RawClient.greet(t, path);
  const reader = await RawClient.greet(t, path);
  for (const each of [client, reader]) await each.ask([2, 14, ""]);
  client.socket.pause();
  const ids: string[] = [];
  let told = 0;
  while (server.counters.clientsPaused === 0) {
    assert.ok(ids.length < 30_000, "it is not paused");
    for (const index of numbers(100)) ids.push(`${"x".repeat(40)}${ids.length + index}`);
    for (const id of ids.slice(-100)) service.tell(id, "changed");
    while (told < ids.length) {
      const [, , events] = (await reader.reply()) as [number, number, unknown[]];
      told += events.length;
    }
    // A hundred events more than there was room for, and no more than that.
    const { length } = frameOf([2, 2, ids.slice(-100).map((id) => [2, id])]);
    assert.ok(server.backlogBytes <= backlogBytesMax + length, `${server.backlogBytes}`);
  }
  await until(() => server.counters.clientsDropped === 1 && server.clients === 1);
  assert.deepEqual([server.counters.clientsPaused, server.counters.eventsMissed], [1, 0]);
  assert.equal(server.watching, 1);
  assert.deepEqual(await reader.ask([3, 11]), [3, 0, null]);
  reader.socket.destroy();
  await until(() => server.clients === 0);
  assert.equal(service.isObserved, false);
});

test("replies that were due in one turn leave in one write", async (t) => {
  const { path, service } = await serveFake(t);
  const count = 256;
  service.confirmationsMax = count;
  const client = await RawClient.greet(t, path);
  const ack = new Map([[1, [1, 1_000]]]);
  const create = (index: number) => [index + 2, 3, `s-${index}`, {}, null, null, ack];
  client.send(...numbers(count).map((index) => frameOf(create(index))));
  await until(() => service.confirming.length === count);
  const spies = [
    t.mock.method(Socket.prototype, "_write"),
    t.mock.method(Socket.prototype, "_writev" as "_write"),
  ];
  for (const confirmed of service.confirming) confirmed(1);
  for (const index of numbers(count)) {
    const [requestId, status, content] = (await client.reply()) as [number, number, unknown[]];
    assert.deepEqual([requestId, status, content[3]], [index + 2, 0, 1]);
  }
  // The reports of the test runner leave through a socket as well.
  const writes = spies.flatMap(({ mock }) =>
    mock.calls.filter(({ this: socket }) => {
      return isServerSide(socket as Socket);
    }),
  );
  assert.equal(writes.length, 1);
});

test("who does not read has replies that waited for peers made later, and truly", async (t) => {
  const { path, service, server } = await serveFake(t, { backlogBytesMax: 100_000 });
  const client = await RawClient.greet(t, path);
  const ids = numbers(20).map((index) => `late-${index}`);
  for (const id of ids) {
    await client.ask([2, 3, id, { a: Buffer.alloc(200_000) }, null, null]);
    service.unknown.set(id, notKnownYet);
  }
  client.socket.pause();
  client.send(...ids.map((id, index) => frameOf([index + 10, 2, id])));
  await until(() => [...service.unknown.values()].every((done) => done !== notKnownYet));
  const arrived = [...service.unknown.values()];
  service.unknown.clear();
  for (const done of arrived) done(true);
  await until(() => server.counters.clientsPaused === 1);
  assert.ok(service.calls.filter((call) => call === "get").length < 10);
  // By the time of its reply it is not known any more.
  service.unknown.set("late-19", notKnownYet);
  client.socket.resume();
  for (const index of numbers(19)) {
    const [requestId, status] = (await client.reply()) as [number, number];
    assert.deepEqual([requestId, status], [index + 10, 0]);
  }
  await until(() => service.unknown.get("late-19") !== notKnownYet);
  const again = service.unknown.get("late-19");
  service.unknown.clear();
  again?.(true);
  const [requestId, status] = (await client.reply()) as [number, number];
  assert.deepEqual([requestId, status], [29, 0]);
});
