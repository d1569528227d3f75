import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pack, unpack } from "msgpackr";
import { limits } from "../../src/protocol/limits.ts";
import { serveFake } from "../support/local-server.ts";
import { frameOf, frameOfBytes, helloFrame, RawClient } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

const isServerSide = (socket: unknown) =>
  socket instanceof Socket && "server" in socket && socket.server !== null;
const get = (requestId: number, id: string) => frameOf([requestId, 2, id]);
const value = (content: unknown) => Buffer.from(pack(content));

test("hello tells who answers", async (t) => {
  const { path } = await serveFake(t);
  const client = await RawClient.connect(t, path);
  const reply = (await client.ask([7, 1, 2])) as [number, number, Buffer];
  assert.deepEqual(reply.slice(0, 2), [7, 0]);
  assert.deepEqual(unpack(reply[2]), {
    protocol: 2,
    version: "0.1.0-test",
    node: "app-1",
    cluster: "test",
    state: "ready",
    pid: process.pid,
  });
});

test("values come back byte for byte, and removed attributes do not come back", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  const attributes = new Map([
    ["all", bytes],
    ["__proto__", Buffer.from([1])],
    ["", Buffer.alloc(0)],
  ]);
  attributes.delete("");
  const [, status, written] = (await client.ask([2, 3, "s-1", attributes, 60_000, null])) as [
    number,
    number,
    unknown[],
  ];
  assert.equal(status, 0);
  assert.equal(written[0], true);
  client.send(frameOf([3, 2, "s-1"]));
  const reply = (await client.reply()) as [number, number, unknown[]];
  assert.deepEqual(reply.slice(0, 2), [3, 0]);
  assert.deepEqual(reply[2].slice(0, 3), [written[1], written[2], service.nowMs + 60_000]);
  // The decoder of this test renames the dangerous key; the server did not.
  assert.deepEqual(reply[2][4], { all: bytes, __proto_: Buffer.from([1]) });
  assert.deepEqual(await client.ask([4, 2, "s-2"]), [4, 0, null]);
});

test("every verb answers in its form", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  const applied = async (message: unknown) => {
    const [, status, result] = (await client.ask(message)) as [number, number, unknown[]];
    return status === 0 && result[0];
  };
  assert.equal(await applied([2, 4, "s-1", { a: value(1) }, null, null]), true);
  assert.equal(await applied([3, 5, "s-1", { b: value(2) }, ["a"]]), true);
  assert.equal(await applied([4, 6, "s-1", 5_000]), true);
  assert.equal(await applied([5, 6, "s-2", null]), false);
  const page = [[["s-1", service.nowMs + 5_000]], ""];
  assert.deepEqual(await client.ask([6, 8, "s-", 10, ""]), [6, 0, page]);
  assert.deepEqual(await client.ask([7, 9]), [7, 0, 1]);
  const [, , stats] = (await client.ask([8, 10])) as [number, number, Buffer];
  assert.deepEqual(unpack(stats).peers, [{ name: "app-2" }]);
  assert.deepEqual(await client.ask([9, 11]), [9, 0, null]);
  assert.equal(await applied([10, 7, "s-1"]), true);
  assert.equal(await applied([11, 4, "s-1", {}, null, null]), false);
});

test("the replies to the requests of a turn leave in few writes", async (t) => {
  const { path, server } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  const write = t.mock.method(Socket.prototype, "write");
  const requests = Array.from({ length: 500 }, (_, index) => get(index + 2, "s-1"));
  client.send(...requests);
  for (let index = 0; index < 500; index++) {
    assert.deepEqual(await client.reply(), [index + 2, 0, null]);
  }
  const ofServer = write.mock.calls.filter((call) => isServerSide(call.this));
  const { localRequestsPerTurnMax: perTurn, localRepliesPerWrite: perWrite } = limits;
  assert.equal(ofServer.length, Math.ceil(500 / perTurn) * Math.ceil(perTurn / perWrite));
  assert.equal(server.counters.requests, 501);
});

test("a client with much to do does not keep one with little waiting", async (t) => {
  const { path, server } = await serveFake(t);
  const busy = await RawClient.greet(t, path);
  const neighbour = await RawClient.greet(t, path);
  const requests = 50_000;
  const many = Array.from({ length: requests }, (_, index) => get(index + 2, "s-1"));
  busy.send(Buffer.concat(many));
  await until(() => server.counters.requests > limits.localRequestsPerTurnMax);
  assert.deepEqual(await neighbour.ask([2, 11]), [2, 0, null]);
  assert.ok(server.counters.requests < requests, "its answer came before the others' last");
  for (let index = 0; index < requests; index++) await busy.reply();
});

test("two clients that pipeline get their own replies, in order", async (t) => {
  const { path, server } = await serveFake(t);
  const clients = [await RawClient.greet(t, path), await RawClient.greet(t, path)];
  assert.equal(server.clients, 2);
  for (const [index, client] of clients.entries()) {
    await client.ask([2, 3, `own-${index}`, { index: value(index) }, null, null]);
  }
  for (let requestId = 10; requestId < 200; requestId++) {
    for (const [index, client] of clients.entries()) client.send(get(requestId, `own-${index}`));
  }
  for (let requestId = 10; requestId < 200; requestId++) {
    for (const [index, client] of clients.entries()) {
      const reply = (await client.reply()) as [number, number, unknown[]];
      assert.equal(reply[0], requestId);
      assert.deepEqual(reply[2][4], { index: value(index) });
    }
  }
});

test("a request may come in single bytes", async (t) => {
  const { path } = await serveFake(t);
  const client = await RawClient.connect(t, path);
  client.socket.setNoDelay(true);
  for (const byte of helloFrame) {
    await new Promise((resolve) => client.socket.write(Buffer.from([byte]), resolve));
  }
  assert.equal(((await client.reply()) as unknown[])[1], 0);
});

const closing: [string, Buffer, number, string, "malformedFrame" | "oversizeFrame"][] = [
  ["garbage", frameOfBytes(Buffer.from("GET / HTTP")), 0, "PROTOCOL", "malformedFrame"],
  ["an empty frame", frameOfBytes(Buffer.alloc(0)), 0, "PROTOCOL", "malformedFrame"],
  ["a map", frameOf({ a: 1 }), 0, "PROTOCOL", "malformedFrame"],
  ["request id 0", frameOf([0, 11]), 0, "PROTOCOL", "malformedFrame"],
  ["a request id of text", frameOf(["a", 11]), 0, "PROTOCOL", "malformedFrame"],
  ["an argument too many", frameOf([5, 11, 1]), 5, "PROTOCOL", "malformedFrame"],
  ["an argument too few", frameOf([5, 2]), 5, "PROTOCOL", "malformedFrame"],
  ["a number for an id", frameOf([5, 2, 1]), 5, "PROTOCOL", "malformedFrame"],
  [
    "text for a value",
    frameOf([5, 3, "s", { a: "x" }, null, null]),
    5,
    "PROTOCOL",
    "malformedFrame",
  ],
  [
    "bytes after the request",
    frameOfBytes(Buffer.concat([pack([5, 11]), Buffer.from([0])])),
    5,
    "PROTOCOL",
    "malformedFrame",
  ],
  ["a frame of 1 GB", Buffer.from([0x40, 0, 0, 0, 1, 2]), 0, "PROTOCOL", "oversizeFrame"],
];

for (const [what, bytes, requestId, code, reason] of closing) {
  test(`${what} is answered and ends that connection only`, async (t) => {
    const { path, server } = await serveFake(t);
    const neighbour = await RawClient.greet(t, path);
    const client = await RawClient.greet(t, path);
    // The good request before is still served, the one after is not.
    client.send(get(2, "s-1"), bytes, get(3, "s-1"));
    assert.deepEqual(await client.reply(), [2, 0, null]);
    const refusal = (await client.reply()) as unknown[];
    assert.deepEqual(refusal.slice(0, 3), [requestId, 1, `SESSIONCAST_${code}`]);
    await client.closed;
    assert.deepEqual(await neighbour.ask([9, 11]), [9, 0, null]);
    assert.equal(server.counters.refusals[reason], 1);
    assert.equal(server.clients, 1);
  });
}

test("half a frame waits, and its connection ends without a word", async (t) => {
  const { path, server } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  client.send(get(2, "s-1").subarray(0, 6));
  client.socket.end();
  await client.closed;
  await until(() => server.clients === 0);
  assert.equal(server.counters.requests, 1);
});

test("the first request must be hello, of a version that is known", async (t) => {
  const { path, server, service } = await serveFake(t);
  const hasty = await RawClient.connect(t, path);
  hasty.send(frameOf([4, 7, "s-1"]), helloFrame);
  const refusal = (await hasty.reply()) as unknown[];
  assert.deepEqual(refusal.slice(0, 3), [4, 1, "SESSIONCAST_PROTOCOL"]);
  await hasty.closed;
  assert.deepEqual(service.calls, []);
  assert.equal(server.counters.refusals.helloMissing, 1);

  const newer = await RawClient.connect(t, path);
  const answer = (await newer.ask([1, 1, 3])) as unknown[];
  assert.deepEqual(answer.slice(0, 3), [1, 1, "SESSIONCAST_PROTOCOL"]);
  assert.match(String(answer[3]), /version 2 .*version 3: upgrade the sidecar/);
  await newer.closed;
  assert.equal(server.counters.refusals.versionUnknown, 1);
});

test("the sidecar chooses the highest version that both speak", async (t) => {
  const { path, server } = await serveFake(t, { versions: { lowest: 3, highest: 5 } });
  const chosen = async (...offered: number[]) => {
    const client = await RawClient.connect(t, path);
    const [, , report] = (await client.ask([1, 1, ...offered])) as [number, number, Buffer];
    return unpack(report).protocol;
  };
  const offers = [[3], [5], [1, 3], [1, 4], [5, 9], [2, 9], [4, 4]];
  const answers = await Promise.all(offers.map((offered) => chosen(...offered)));
  assert.deepEqual(answers, [3, 5, 3, 4, 5, 5, 4]);
  assert.equal(server.counters.refusals.versionUnknown, 0);
});

const mismatches: [number[], RegExp][] = [
  [[2], /sidecar speaks versions 3 to 5 .* client version 2: upgrade the client$/],
  [[1, 2], /sidecar speaks versions 3 to 5 .* client versions 1 to 2: upgrade the client$/],
  [[6, 7], /sidecar speaks versions 3 to 5 .* client versions 6 to 7: upgrade the sidecar$/],
];

for (const [offered, expected] of mismatches) {
  test(`who offers ${offered} of 3 to 5 is told which side to upgrade`, async (t) => {
    const { path, server } = await serveFake(t, { versions: { lowest: 3, highest: 5 } });
    const client = await RawClient.connect(t, path);
    client.send(frameOf([1, 1, ...offered]), frameOf([2, 11]));
    const [requestId, status, code, message] = (await client.reply()) as unknown[];
    assert.deepEqual([requestId, status, code], [1, 1, "SESSIONCAST_PROTOCOL"]);
    assert.match(String(message), expected);
    await client.closed;
    assert.equal(server.counters.refusals.versionUnknown, 1);
  });
}

test("what are no versions is a malformed hello", async (t) => {
  const { path, server } = await serveFake(t);
  const offers = [[], [0], [1.5], ["2"], [2, 1], [0, 2], [1, 2, 3], [1, Number.NaN]];
  for (const offered of offers) {
    const client = await RawClient.connect(t, path);
    const [, , code] = (await client.ask([1, 1, ...offered])) as unknown[];
    assert.equal(code, "SESSIONCAST_PROTOCOL");
    await client.closed;
  }
  assert.equal(server.counters.refusals.malformedFrame, offers.length);
});

const tooLong = "é".repeat(128);
const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, value(i)]));
const refused: [string, unknown[], string][] = [
  ["an unknown verb", [99, "x", { y: 1 }], "PROTOCOL"],
  ["an empty id", [2, ""], "INVALID"],
  ["an id of 256 bytes", [2, tooLong], "INVALID"],
  ["an empty name", [4, "s", { "": value(1) }, null, null], "INVALID"],
  ["a name of 256 bytes", [4, "s", { [tooLong]: value(1) }, null, null], "INVALID"],
  ["a negative time", [6, "s", -1], "INVALID"],
  ["half a millisecond", [6, "s", 0.5], "INVALID"],
  ["no number", [4, "s", {}, Number.NaN, null], "INVALID"],
  ["an endless time", [4, "s", {}, null, Number.POSITIVE_INFINITY], "INVALID"],
  ["a list of none", [8, "", 0, ""], "INVALID"],
  ["a list of too many", [8, "", 1_001, ""], "INVALID"],
  ["a name set and unset", [5, "s", { a: value(1) }, ["a"]], "INVALID"],
  ["a name unset twice", [5, "s", {}, ["a", "a"]], "INVALID"],
  ["257 attributes", [4, "s", many, null, null], "TOO_LARGE"],
  [
    "more than the service takes",
    [4, "s", { a: Buffer.alloc(1_048_577) }, null, null],
    "TOO_LARGE",
  ],
  ["a create of what exists", [3, "there", {}, null, null], "CONFLICT"],
];

test("what is well-formed but not allowed is refused, and the connection goes on", async (t) => {
  const { path } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  await client.ask([1, 3, "there", {}, null, null]);
  for (const [what, request, code] of refused) {
    const reply = (await client.ask([5, ...request])) as unknown[];
    assert.deepEqual(reply.slice(0, 3), [5, 1, `SESSIONCAST_${code}`], what);
    assert.deepEqual(await client.ask([6, 11]), [6, 0, null], what);
  }
});

test("names of the language are names like any other", async (t) => {
  const { path } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  const id = "__proto__";
  await client.ask([2, 4, id, { constructor: value(1), toString: value(2) }, null, null]);
  const reply = (await client.ask([3, 2, id])) as [number, number, unknown[]];
  assert.deepEqual(reply[2][4], { constructor: value(1), toString: value(2) });
  assert.deepEqual(await client.ask([4, 2, "constructor"]), [4, 0, null]);
});

test("a client that does not read is paused, then dropped, and others are served", async (t) => {
  const dropped: string[] = [];
  const { path, server } = await serveFake(t, {
    backlogBytesMax: 100_000,
    backlogMsMax: 20,
    log: (event) => dropped.push(event),
  });
  const reader = await RawClient.greet(t, path);
  await reader.ask([2, 3, "large", { a: Buffer.alloc(500_000) }, null, null]);
  const client = await RawClient.greet(t, path);
  client.socket.pause();
  client.send(...Array.from({ length: 100 }, (_, index) => get(index + 2, "large")));
  await until(() => server.counters.clientsDropped === 1);
  await until(() => server.clients === 1);
  assert.deepEqual(dropped, ["client_dropped"]);
  assert.equal(server.counters.clientsPaused, 1);
  // It stopped in the middle of the chunk instead of making 50 MB of replies.
  assert.ok(server.counters.requests < 20);
  assert.deepEqual(await reader.ask([9, 11]), [9, 0, null]);
});

test("a paused client that reads on gets everything, in order and unharmed", async (t) => {
  const { path, server } = await serveFake(t, { backlogBytesMax: 100_000 });
  const client = await RawClient.greet(t, path);
  const neighbour = await RawClient.greet(t, path);
  const large = Buffer.alloc(500_000, "a");
  await client.ask([2, 3, "large", { large }, null, null]);
  await client.ask([2, 3, "other", { other: Buffer.alloc(500_000, "b") }, null, null]);
  client.socket.pause();
  client.send(...Array.from({ length: 50 }, (_, index) => get(index + 2, "large")));
  await until(() => server.counters.clientsPaused === 1);
  // What the kernel has not taken yet must not be where the next replies are written.
  await neighbour.ask([2, 2, "other"]);
  client.socket.resume();
  for (let index = 0; index < 50; index++) {
    const reply = (await client.reply()) as [number, number, unknown[]];
    assert.equal(reply[0], index + 2);
    assert.deepEqual(reply[2][4], { large });
  }
  assert.equal(server.counters.clientsDropped, 0);
  assert.deepEqual(await client.ask([99, 11]), [99, 0, null]);
});

test("what comes after a refusal is not served", async (t) => {
  const { path, server, service } = await serveFake(t);
  const client = await RawClient.connect(t, path);
  client.send(frameOf([4, 11]));
  await client.reply();
  client.send(helloFrame, get(5, "s-1"));
  await client.closed;
  await until(() => server.clients === 0);
  assert.deepEqual(service.calls, []);
  assert.equal(server.counters.requests, 1);
});

test("a client too many is told so", async (t) => {
  const { path, server } = await serveFake(t, { clientsMax: 1 });
  const first = await RawClient.greet(t, path);
  const second = await RawClient.connect(t, path);
  const refusal = (await second.reply()) as unknown[];
  assert.deepEqual(refusal.slice(0, 3), [0, 1, "SESSIONCAST_UNAVAILABLE"]);
  await second.closed;
  assert.equal(server.counters.refusals.clientsTooMany, 1);
  assert.deepEqual(await first.ask([2, 11]), [2, 0, null]);
});

test("close ends all connections and is the same promise twice", async (t) => {
  const { path, server } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  assert.equal(server.close(), server.close());
  await server.close();
  await client.closed;
  assert.equal(server.clients, 0);
});

test("what came before a client stopped sending is served and answered", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await RawClient.connect(t, path);
  const count = 500;
  const requests = Array.from({ length: count }, (_, index) => frameOf([index + 2, 7, "s"]));
  client.send(Buffer.concat([helloFrame, ...requests]));
  client.socket.end();
  for (let replies = 0; replies <= count; replies++) await client.reply();
  await client.closed;
  assert.equal(service.calls.length, count);
});

test("what waits for a slow reader takes about the memory of its octets", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  await client.ask([2, 14, ""]);
  client.socket.pause();
  const before = process.memoryUsage().arrayBuffers;
  for (let turn = 0; turn < 2_000; turn++) {
    service.tell(`s-${turn}`, "changed");
    await nextTurn();
  }
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 20_000_000, `${grown} octets for 2000 small frames`);
});
