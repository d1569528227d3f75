import { strict as assert } from "node:assert";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { test } from "node:test";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

test("clients that send rubbish harm nobody and are counted", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const node = await cluster.add("one").start();
    const client = await node.client();
    await client.create("kept", { user: "ada" });
    const gigabyte = Buffer.from([0x40, 0, 0, 0, 1, 2, 3]);
    const random = Buffer.concat([Buffer.from([0, 0, 0, 60]), randomBytes(60)]);
    for (const rubbish of [gigabyte, random]) await sendUntilClosed(node.socket, rubbish);
    await sendHalfFrame(node.socket);
    await eventually(async () => {
      const { refusals } = (await node.stats()).local;
      return Object.values(refusals).reduce((sum, count) => sum + count, 0) >= 2;
    }, "both refusals are counted");
    assert.deepEqual((await client.get("kept"))?.attributes, { user: "ada" });
    assert.equal(node.running, true);
  } finally {
    await cluster.close();
  }
});

test("peers that send rubbish harm nobody and are counted", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const [one, two] = [cluster.add("one"), cluster.add("two")];
    await Promise.all([one.start(), two.start()]);
    await (await one.client()).create("kept", { user: "ada" });
    await cluster.converged(1);
    const before = (await one.stats()).digest;
    const { address } = (await one.stats()).datagrams;
    await flood(cluster.port, address);
    await eventually(async () => rejected(await one.stats()) > 0, "rejects are counted");
    await (await two.client()).patch("kept", { set: { still: "here" } });
    await cluster.converged(1);
    const session = await (await one.client()).get("kept");
    assert.deepEqual(session?.attributes, { user: "ada", still: "here" });
    assert.notEqual((await one.stats()).digest, before);
  } finally {
    await cluster.close();
  }
});

function rejected(stats: { datagrams: { rejected: Record<string, number> } }): number {
  return Object.values(stats.datagrams.rejected).reduce((sum, count) => sum + count, 0);
}

/** The server must end such a connection by itself. */
async function sendUntilClosed(path: string, bytes: Buffer): Promise<void> {
  const socket = connectSocket(path);
  socket.on("error", () => {});
  socket.resume();
  socket.write(bytes);
  await once(socket, "close");
}

async function sendHalfFrame(path: string): Promise<void> {
  const socket = connectSocket(path);
  socket.end(Buffer.from([0, 0, 0, 200, 1, 2, 3]));
  socket.resume();
  await once(socket, "close");
}

async function flood(groupPort: number, unicastAddress: string): Promise<void> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  socket.setMulticastInterface("127.0.0.1");
  const [host, port] = unicastAddress.split(":");
  const send = (bytes: Buffer, to: { port: number; host: string }) =>
    new Promise<void>((resolve) => socket.send(bytes, to.port, to.host, () => resolve()));
  for (let count = 0; count < 500; count++) {
    const bytes = randomBytes(1 + (count % 1_400));
    // Every third looks like ours for the length of a header.
    if (count % 3 === 0) Buffer.from([0x53, 0x43, 1, 0, 0, 0]).copy(bytes);
    await send(bytes, { port: groupPort, host: "239.255.83.67" });
    await send(bytes, { port: Number(port), host: host ?? "" });
  }
  socket.close();
}
