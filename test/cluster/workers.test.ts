import { strict as assert } from "node:assert";
import cluster from "node:cluster";
import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { Verb } from "../../src/api/messages.ts";
import { frameOf, helloFrame } from "../support/raw-client.ts";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

const workerPath = fileURLToPath(new URL("../support/worker-client.js", import.meta.url));
const times = 50;

async function alone(t: TestContext) {
  const sidecars = await ProcessCluster.open();
  t.after(() => sidecars.close());
  const sidecar = await sidecars.add("one").start();
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
  await eventually(async () => (await sidecar.stats()).local.clientsPaused === 1, "it is paused");
  for (let index = 0; index < 500; index++) {
    await client.patch("large", { set: { index } });
    assert.equal((await client.get<{ index: number }>("large"))?.attributes.index, index);
  }
  assert.equal((await sidecar.stats()).local.clientsDropped, 0);
});
