import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Unpackr } from "msgpackr";
import { FrameSplitter } from "../../src/api/framing.ts";
import { Verb } from "../../src/api/messages.ts";
import { connect, createClient } from "../../src/client/connect.ts";
import { limits } from "../../src/protocol/limits.ts";
import { socketPathFor } from "../support/local-server.ts";
import { frameOf, greetingFrame } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

const timedOut = { code: "SESSIONCAST_TIMEOUT" };
const timeoutMs = limits.fetchMsMax + 100;
const unpackr = new Unpackr({ useRecords: false });

type Frame = [requestId: number, verb: number];
type Answer = (socket: Socket, frame: Frame, connection: number) => void;

/** Takes whatever comes and answers as the test says; tells which verbs came. */
async function serveSome(t: TestContext, answer: Answer) {
  const path = socketPathFor(t);
  const verbs: number[] = [];
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    connections += 1;
    const connection = connections;
    const splitter = new FrameSplitter(limits.localFrameBytesMax);
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      splitter.feed(chunk);
      while (splitter.next()) {
        const { buffer, start, end } = splitter;
        const frame = unpackr.unpack(buffer.subarray(start, end)) as Frame;
        verbs.push(frame[1]);
        answer(socket, frame, connection);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { path, verbs, connections: () => connections };
}

function greet(socket: Socket, [, verb]: Frame): void {
  if (verb === Verb.hello) socket.write(greetingFrame());
}

test("a sidecar that stops is sent nothing any more, and the app is told", async (t) => {
  const { path, verbs, connections } = await serveSome(t, (socket, frame, connection) => {
    if (connection === 1) greet(socket, frame);
  });
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  const disconnected = once(client, "disconnect");
  const first = client.create("s", { a: 1 });
  const rejects = assert.rejects(first, timedOut);
  await until(() => verbs.includes(Verb.create));
  let isSettled = false;
  const second = client.touch("s").finally(() => {
    isSettled = true;
  });
  const both = Promise.all([rejects, assert.rejects(second, timedOut)]);
  await disconnected;
  await setImmediate();
  assert.equal(isSettled, true, "what waits is given up with the connection");
  await both;
  for (let count = 0; count < 2; count++) await assert.rejects(client.set("s", { a: 2 }));
  assert.ok(connections() > 1);
  const other = verbs.filter((verb) => verb !== Verb.hello);
  assert.deepEqual(other, [Verb.create, Verb.touch]);
});

test("a sidecar that stops and goes on is found again", async (t) => {
  const { path } = await serveSome(t, (socket, frame, connection) => {
    greet(socket, frame);
    if (connection > 1 && frame[1] === Verb.count) socket.write(frameOf([frame[0], 0, 5]));
  });
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  const connected = once(client, "connect");
  await assert.rejects(client.count(), timedOut);
  const alive = setInterval(() => {}, 3_600_000);
  t.after(() => clearInterval(alive));
  await connected;
  assert.equal(await client.count(), 5);
});

test("who answers others is not taken for stopped for one request that times out", async (t) => {
  const { path, connections } = await serveSome(t, (socket, frame) => {
    greet(socket, frame);
    if (frame[1] === Verb.ping) socket.write(frameOf([frame[0], 0, null]));
  });
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  const count = assert.rejects(client.count(), timedOut);
  await client.ping();
  await count;
  await client.ping();
  assert.equal(connections(), 1);
});

test("nor for being silent as long as it may ask its peers", async (t) => {
  const { path, connections } = await serveSome(t, (socket, frame) => {
    greet(socket, frame);
    if (frame[1] === Verb.ping) socket.write(frameOf([frame[0], 0, null]));
  });
  const client = await connect({ socket: path, timeoutMs: limits.fetchMsMax / 2 });
  t.after(() => client.close());
  await assert.rejects(client.count(), timedOut);
  const ping = (): Promise<void> => client.ping().catch(ping);
  await ping();
  assert.equal(connections(), 1);
});

test("whoever does not say how long waits a second at most", async (t) => {
  const { path, verbs } = await serveSome(t, greet);
  assert.ok(limits.clientTimeoutMsDefault <= 1_000);
  let nowMs = performance.now();
  t.mock.method(performance, "now", () => nowMs);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const client = createClient({ socket: path });
  t.after(() => client.close());
  const outcomes: unknown[] = [];
  const ask = () => client.count().catch(({ code }) => outcomes.push(code));
  const wait = async (ms: number) => {
    nowMs += ms;
    t.mock.timers.tick(ms);
    // The verdict comes after what may lie in the socket was read.
    for (let turns = 0; turns < 2; turns++) await setImmediate();
  };
  const first = ask();
  await until(() => verbs.includes(Verb.count));
  await wait(limits.clientTimeoutMsDefault - 1);
  assert.deepEqual(outcomes, []);
  await wait(1);
  assert.deepEqual(outcomes, ["SESSIONCAST_TIMEOUT"]);
  await first;
});
