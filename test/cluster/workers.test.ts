import { strict as assert } from "node:assert";
import cluster from "node:cluster";
import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { Verb } from "../../src/api/messages.ts";
import { limits } from "../../src/protocol/limits.ts";
import { frameOf, helloFrame } from "../support/raw-client.ts";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

const workerPath = fileURLToPath(new URL("../support/worker-client.js", import.meta.url));
const times = 50;
/** For whoever does not read: as much as has room, and one frame more. */
const backlogBytesMax = limits.localBacklogBytesMax + limits.localFrameBytesMax;
const ping = frameOf([1_000, Verb.ping]);

/** Of a connection that has nothing else to be told. */
async function answer(socket: Socket): Promise<void> {
  const answered = once(socket, "data");
  socket.write(ping);
  const [chunk] = await answered;
  assert.deepEqual(chunk, frameOf([1_000, 0, null]));
}

async function alone(t: TestContext, environment: Record<string, string> = {}) {
  const sidecars = await ProcessCluster.open();
  t.after(() => sidecars.close());
  const sidecar = await sidecars.add("one", environment).start();
  return { sidecar, client: await sidecar.client() };
}

test("clients work in worker threads, and let them end", async (t) => {
  const { sidecar, client } = await alone(t);
  const workerData = { socket: sidecar.socket, times };
  const workers = Array.from({ length: 4 }, () => new Worker(workerPath, { workerData }));
  const codes = await Promise.all(workers.map(async (worker) => (await once(worker, "exit"))[0]));
  assert.deepEqual(codes, [0, 0, 0, 0]);
  assert.equal(await client.count(), 4);
});

test("clients work in the workers of a cluster, and let them end", async (t) => {
  const { sidecar, client } = await alone(t);
  cluster.setupPrimary({ exec: workerPath, execArgv: [] });
  const data = JSON.stringify({ socket: sidecar.socket, times });
  const workers = Array.from({ length: 3 }, () => cluster.fork({ WORKER_DATA: data }));
  const codes = await Promise.all(workers.map(async (worker) => (await once(worker, "exit"))[0]));
  assert.deepEqual(codes, [0, 0, 0]);
  assert.equal(await client.count(), 3);
});

test("thousands of connections, and one that does not read, disturb nobody", async (t) => {
  const { sidecar, client } = await alone(t);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const count = 2_000;
  for (let index = 0; index < count; index++) {
    const socket = connectSocket(sidecar.socket);
    socket.on("error", () => {});
    sockets.push(socket);
    socket.write(helloFrame);
    // What is connected need not be accepted yet; the system lets few wait for that.
    await once(socket, "data");
  }
  await client.create("large", { text: "x".repeat(900_000) });
  const [slow] = sockets as [Socket];
  slow.pause();
  // So often that it has to be held back.
  for (let times = 0; times < 100; times++) slow.write(frameOf([times + 2, Verb.get, "large"]));
  let { local } = await sidecar.stats();
  await eventually(async () => {
    ({ local } = await sidecar.stats());
    return local.clientsPaused === 1;
  }, "it is paused");
  assert(Number(local.backlogBytes) > limits.localBacklogBytesMax, "it has too much to read");
  assert(Number(local.backlogBytes) <= backlogBytesMax, `${local.backlogBytes} octets wait`);
  // Each of the others is answered while the one is waited for, and when it is gone.
  await Promise.all(sockets.slice(1).map(answer));
  for (let index = 0; index < 500; index++) {
    await client.patch("large", { set: { index } });
    assert.equal((await client.get<{ index: number }>("large"))?.attributes.index, index);
  }
  await eventually(async () => {
    ({ local } = await sidecar.stats());
    return local.clientsDropped === 1;
  }, "it is dropped");
  await Promise.all(sockets.slice(1).map(answer));
  assert.deepEqual([local.clientsPaused, local.clients, local.backlogBytes], [1, count, 0]);
});

test("a watcher that reads nothing is dropped, and another hears of everything", async (t) => {
  const { sidecar, client } = await alone(t);
  const slow = connectSocket(sidecar.socket);
  t.after(() => slow.destroy());
  slow.write(Buffer.concat([helloFrame, frameOf([2, Verb.watch, ""])]));
  await once(slow, "data");
  await eventually(async () => (await sidecar.stats()).local.watching === 1, "it watches");
  slow.pause();
  const told: string[] = [];
  await client.watch({}, ({ type, id }) => told.push(`${type} ${id}`));
  const written: string[] = [];
  const name = "x".repeat(200);
  const writeMore = async () => {
    const ids = Array.from({ length: 500 }, (_, index) => `${name}${written.length + index}`);
    written.push(...ids.map((id) => `created ${id}`));
    const results = await Promise.all(ids.map((id) => client.create(id, {})));
    assert(results.every(({ applied }) => applied));
    const { local } = await sidecar.stats();
    assert(Number(local.backlogBytes) <= backlogBytesMax, `${local.backlogBytes} octets wait`);
    return local;
  };
  // What it does not read is more than fits its socket, by far.
  while ((await writeMore()).clientsPaused === 0) assert(written.length < 400_000, "not paused");
  await eventually(async () => (await writeMore()).clientsDropped === 1, "it is dropped");
  await eventually(() => told.length === written.length, "the other is told of all");
  assert.deepEqual(told, written);
  const { clientsPaused, watching, backlogBytes } = (await sidecar.stats()).local;
  assert.deepEqual([clientsPaused, watching, backlogBytes], [1, 1, 0]);
});

test("a sidecar stays awake for who asks without a pause, for as long as it is told", async (t) => {
  const { sidecar, client } = await alone(t, { SESSIONCAST_LOCAL_BUSY_POLL_MICROS: "10000" });
  const local = async () => (await sidecar.stats()).local as Record<string, number>;
  const { busyPollMicros = 0 } = await local();
  await eventually(async () => {
    for (let count = 0; count < 100; count++) await client.get("s-1");
    return Number((await local()).busyPollMicros) > busyPollMicros;
  }, "it stays awake");
  const { busyPollsInVain = 0 } = await local();
  for (let count = 0; count < 100; count++) await client.get("s-1");
  await eventually(async () => Number((await local()).busyPollsInVain) > busyPollsInVain, "sleeps");
});
