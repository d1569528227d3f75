import assert from "node:assert/strict";
import { existsSync, lstatSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { statsVerbs, Verb } from "../../src/api/messages.ts";
import { loadConfiguration } from "../../src/daemon/configuration.ts";
import { closeLocalSockets, openLocalSockets } from "../../src/daemon/local-sockets.ts";
import { createLog } from "../../src/daemon/log.ts";
import { limits } from "../../src/protocol/limits.ts";
import { FakeService } from "../support/fake-service.ts";
import { serveFake, socketPathFor } from "../support/local-server.ts";
import { frameOf, RawClient } from "../support/raw-client.ts";

/** A request of each verb that is served on the socket for apps. */
const argumentsOf: Record<keyof typeof Verb, unknown[]> = {
  hello: [2],
  get: ["s-1"],
  create: ["s-1", {}, null, null],
  set: ["s-1", {}, null, null],
  patch: ["s-1", {}, []],
  touch: ["s-1", null],
  destroy: ["s-1"],
  list: ["", 10, ""],
  count: [],
  stats: [],
  ping: [],
  rotate: ["s-1", "s-2"],
  destroyAll: ["ada", null],
  watch: [""],
  unwatch: [1],
  track: [10],
  reloadKeys: [],
};
const verbs = Object.keys(argumentsOf) as (keyof typeof Verb)[];
const log = createLog({ level: "error", write: () => {}, now: Date.now });

function localOf(local: Record<string, string>) {
  const flags = Object.fromEntries(Object.entries(local).map(([k, v]) => [`local.${k}`, v]));
  return loadConfiguration({ environment: {}, flags }).configuration.local;
}

test("without a choice of verbs each one is served", async (t) => {
  const { path } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  for (const name of verbs) {
    const reply = (await client.ask([2, Verb[name], ...argumentsOf[name]])) as unknown[];
    assert.equal(reply[1], 0, name);
  }
});

test("the stats socket refuses each verb that is not about stats, and counts it", async (t) => {
  const { path, server, service } = await serveFake(t, { verbs: statsVerbs });
  // If it were asked, it would have to fetch the session first.
  service.unknown.set("s-1", () => {});
  const client = await RawClient.greet(t, path);
  const served: string[] = [];
  for (const name of verbs) {
    const reply = (await client.ask([2, Verb[name], ...argumentsOf[name]])) as unknown[];
    if (reply[1] === 0) served.push(name);
    else assert.deepEqual(reply.slice(0, 3), [2, 1, "SESSIONCAST_FORBIDDEN"], name);
  }
  assert.deepEqual(served, ["hello", "stats", "ping"]);
  assert.equal(server.counters.refusals.verbForbidden, verbs.length - served.length);
  assert.deepEqual(service.calls, []);
  assert.equal(service.isObserved, false);
  assert.deepEqual(await client.ask([3, Verb.ping]), [3, 0, null]);
});

test("both sockets are opened as configured and closed together", async (t) => {
  const socket = socketPathFor(t);
  const statsSocket = `${socket}.stats`;
  const service = new FakeService();
  const sockets = { apps: undefined, stats: undefined };
  const local = localOf({ socket, statsSocket, socketMode: "0600", statsSocketMode: "620" });
  const options = { local, service, log };
  const paths = await openLocalSockets(sockets, options);
  t.after(() => closeLocalSockets(sockets));
  assert.deepEqual(paths, { socketPath: socket, statsSocketPath: statsSocket });
  assert.equal(lstatSync(socket).mode & 0o777, 0o600);
  assert.equal(lstatSync(statsSocket).mode & 0o777, 0o620);
  const [app, monitor] = [await RawClient.greet(t, socket), await RawClient.greet(t, statsSocket)];
  assert.deepEqual(await app.ask([2, Verb.count]), [2, 0, 0]);
  assert.equal(((await monitor.ask([2, Verb.count])) as unknown[])[1], 1);
  await closeLocalSockets(sockets);
  assert.equal(existsSync(socket) || existsSync(statsSocket), false);
});

test("without a stats socket that can be opened there is no other either", async (t) => {
  const socket = socketPathFor(t);
  const service = new FakeService();
  const open = (statsSocket: string) =>
    openLocalSockets(
      { apps: undefined, stats: undefined },
      { local: localOf({ socket, statsSocket }), service, log },
    );
  writeFileSync(`${socket}.stats`, "precious");
  await assert.rejects(open(`${socket}.stats`), { code: "E_SOCKET_FILE" });
  assert.equal(existsSync(socket), false);
  await assert.rejects(open(socket), (error: Error) => {
    assert.match(error.message, new RegExp(`pid ${process.pid}\\).*set local\\.statsSocket`));
    return true;
  });
  assert.equal(existsSync(socket), false);
});

test("who may only look on gets a few connections, and one request a turn", async (t) => {
  const socket = socketPathFor(t);
  const service = new FakeService();
  const sockets: Parameters<typeof openLocalSockets>[0] = { apps: undefined, stats: undefined };
  const statsSocket = `${socket}.stats`;
  await openLocalSockets(sockets, { local: localOf({ socket, statsSocket }), service, log });
  t.after(() => closeLocalSockets(sockets));
  const monitor = await RawClient.greet(t, statsSocket);
  const { stats } = service;
  let inTurn = 0;
  t.mock.method(service, "stats", () => {
    inTurn += 1;
    assert.equal(inTurn, limits.localStatsPerTurnMax);
    queueMicrotask(() => {
      inTurn = 0;
    });
    return stats.call(service);
  });
  const count = 2 * limits.localRequestsPerTurnMax;
  const many = Array.from({ length: count }, (_, index) => frameOf([index + 2, Verb.stats]));
  monitor.send(Buffer.concat(many));
  for (let replies = 0; replies < count; replies++) await monitor.reply();

  for (let clients = 1; clients < limits.localStatsClientsMax; clients++) {
    await RawClient.greet(t, statsSocket);
  }
  const tooMany = await RawClient.connect(t, statsSocket);
  const refused = (await tooMany.ask([1, Verb.hello, 2, 2])) as unknown[];
  assert.deepEqual(refused.slice(0, 3), [0, 1, "SESSIONCAST_UNAVAILABLE"]);
  await RawClient.greet(t, socket);
});
