import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { startServer } from "../../src/api/server.ts";
import { localVersions, type Versions } from "../../src/api/versions.ts";
import { reportError } from "../../src/cli/report-error.ts";
import { type Client, connect, createClient, SessioncastError } from "../../src/client/connect.ts";
import { PendingRequests } from "../../src/client/pending-requests.ts";
import { limits } from "../../src/protocol/limits.ts";
import { catchThrown } from "../support/catch-thrown.ts";
import { FakeService } from "../support/fake-service.ts";
import { serveFake, socketPathFor } from "../support/local-server.ts";
import { frameOf, greetingFrame } from "../support/raw-client.ts";

const hour = 3_600_000;

function refusal(code: string) {
  return (error: unknown) => error instanceof SessioncastError && error.code === code;
}

const unavailable = refusal("SESSIONCAST_UNAVAILABLE");

/** A sidecar that answers as the test says, or not at all. */
async function serveRaw(t: TestContext, onChunk: (socket: Socket) => void) {
  const path = socketPathFor(t);
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => onChunk(socket));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { path, sockets };
}

function isServerSide(socket: Socket): boolean {
  return "server" in socket && socket.server !== null;
}

/** An idle client does not keep the process alive, which is too early for a test that listens. */
function stayAlive(t: TestContext): void {
  const timer = setInterval(() => {}, hour);
  t.after(() => clearInterval(timer));
}

function clientFor(t: TestContext, socket: string, timeoutMs = hour): Client {
  const client = createClient({ socket, timeoutMs });
  t.after(() => client.close());
  return client;
}

test("a socket that this user may not use is not said to be without a sidecar", async (t) => {
  const { path } = await serveFake(t);
  chmodSync(path, 0);
  // Root may use whatever there is.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(54_321);
  const error = await connect({ socket: path, timeoutMs: 1_000 }).catch((reason) => reason);
  if (isRoot) process.seteuid?.(0);
  assert.ok(unavailable(error), String(error));
  assert.equal(error.message, `this user may not use the socket ${path}`);
  const written = t.mock.method(process.stderr, "write", () => true);
  assert.equal(reportError(error), 1);
  written.mock.restore();
  const [text] = written.mock.calls[0]?.arguments ?? [];
  assert.match(String(text), /socket \S+\. Run this as .*group.* \(SESSIONCAST_UNAVAILABLE\)/);
});

test("without a sidecar everything rejects at once, long before the timeout", async (t) => {
  const path = socketPathFor(t);
  await assert.rejects(connect({ socket: path, timeoutMs: hour }), unavailable);
  const client = clientFor(t, path);
  await assert.rejects(client.get("s-1"), unavailable);
  await assert.rejects(client.create("s-1", {}), unavailable);
  await assert.rejects(client.ping(), unavailable);
});

test("a sidecar that does not greet counts as none when the time is over", async (t) => {
  const { path } = await serveRaw(t, () => {});
  await assert.rejects(connect({ socket: path, timeoutMs: 20 }), unavailable);
  await assert.rejects(clientFor(t, path, 20).get("s-1"), (error: unknown) => {
    return unavailable(error) || refusal("SESSIONCAST_TIMEOUT")(error);
  });
});

test("a request without an answer times out, and the connection goes on", async (t) => {
  let chunks = 0;
  const { path } = await serveRaw(t, (socket) => {
    chunks += 1;
    if (chunks === 1) socket.write(greetingFrame());
    // The late answer to the request that timed out comes with that to the next.
    if (chunks === 3) socket.write(Buffer.concat([frameOf([3, 0, 1]), frameOf([4, 0, 2])]));
  });
  const client = await connect({ socket: path, timeoutMs: 500 });
  t.after(() => client.close());
  await assert.rejects(client.count(), refusal("SESSIONCAST_TIMEOUT"));
  assert.equal(await client.count(), 2);
});

test("a request that timed out is forgotten", async () => {
  let emptied = 0;
  const pending = new PendingRequests(
    1,
    () => {
      emptied += 1;
    },
    () => {},
  );
  const ids: number[] = [];
  const outcomes = [1, 2, 3].map(() => {
    return new Promise((_, reject) => {
      ids.push(
        pending.add(
          () => assert.fail(),
          () => assert.fail(),
          reject,
        ),
      );
    });
  });
  const keepAlive = setInterval(() => {}, hour);
  for (const outcome of outcomes) await assert.rejects(outcome, refusal("SESSIONCAST_TIMEOUT"));
  clearInterval(keepAlive);
  assert.equal(new Set(ids).size, 3);
  assert.equal(pending.size, 0);
  assert.equal(emptied, 1);
  for (const id of ids) assert.equal(pending.take(id), undefined);
});

test("a break rejects what is in flight, and is told to listeners", async (t) => {
  stayAlive(t);
  const { path, sockets } = await serveRaw(t, (socket) => {
    if (socket.bytesWritten === 0) socket.write(greetingFrame());
    else socket.destroy();
  });
  const client = await connect({ socket: path, timeoutMs: hour });
  t.after(() => client.close());
  const disconnected = once(client, "disconnect");
  const requests = await Promise.allSettled([client.get("s-1"), client.ping(), client.count()]);
  for (const request of requests) {
    assert.ok(request.status === "rejected" && unavailable(request.reason));
  }
  await disconnected;
  assert.ok(sockets.size >= 1);
});

test("after a break the client comes back by itself", async (t) => {
  stayAlive(t);
  const first = await serveFake(t);
  const client = await connect({ socket: first.path, timeoutMs: hour });
  t.after(() => client.close());
  const disconnected = once(client, "disconnect");
  await first.server.close();
  await disconnected;
  await assert.rejects(client.ping(), unavailable);
  const connected = once(client, "connect");
  await serveFake(t, { path: first.path });
  await connected;
  await client.ping();
});

test("a request does not wait for the back-off", async (t) => {
  const path = socketPathFor(t);
  const client = clientFor(t, path);
  for (let attempt = 0; attempt < 10; attempt++) await assert.rejects(client.ping(), unavailable);
  await serveFake(t, { path });
  await client.ping();
});

test("a lazy client tells nothing before it has tried, and then the truth", async (t) => {
  const path = socketPathFor(t);
  const client = clientFor(t, path);
  const events: string[] = [];
  client.on("connect", () => events.push("connect"));
  client.on("disconnect", () => events.push("disconnect"));
  await assert.rejects(client.ping(), unavailable);
  await assert.rejects(client.ping(), unavailable);
  assert.deepEqual(events, ["disconnect"]);
  await serveFake(t, { path });
  await client.ping();
  assert.deepEqual(events, ["disconnect", "connect"]);
  await client.close();
  assert.deepEqual(events, ["disconnect", "connect", "disconnect"]);
});

test("what a listener throws does not harm the connection", async (t) => {
  const { path, server } = await serveFake(t);
  const client = clientFor(t, path);
  const { thrown, restore } = catchThrown();
  t.after(restore);
  const fail = (text: string) => () => {
    throw new Error(text);
  };
  client.on("connect", fail("connect"));
  client.on("disconnect", fail("disconnect"));
  // In the same read as the answer to the greeting come those to the requests.
  await Promise.all(Array.from({ length: 20 }, () => client.ping()));
  assert.equal(server.counters.connections, 1);
  await client.close();
  assert.deepEqual(thrown.map(String), ["Error: connect", "Error: disconnect"]);
});

test("close rejects what is in flight and what comes later, and may be repeated", async (t) => {
  const { path } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs: hour });
  const inFlight = client.get("s-1");
  assert.equal(client.close(), client.close());
  await assert.rejects(inFlight, refusal("SESSIONCAST_CLOSED"));
  await assert.rejects(client.get("s-1"), refusal("SESSIONCAST_CLOSED"));
  await assert.rejects(client.ready(), refusal("SESSIONCAST_CLOSED"));
  await client.close();
});

test("requests of one turn leave in one write, also before there is a connection", async (t) => {
  const { path } = await serveFake(t);
  const client = clientFor(t, path);
  const write = t.mock.method(Socket.prototype, "write");
  // The reports of the test runner leave through a socket as well, and so do the replies.
  const writes = () =>
    write.mock.calls.filter(({ this: socket }) => {
      return socket !== process.stdout && socket instanceof Socket && !isServerSide(socket);
    }).length;
  await Promise.all(Array.from({ length: 20 }, () => client.ping()));
  // The greeting, and right behind it all the rest.
  assert.equal(writes(), 2);
  // The first of all leaves at once, and the others follow it.
  const { clientRequestsPerWrite } = limits;
  await Promise.all(Array.from({ length: clientRequestsPerWrite }, () => client.ping()));
  assert.equal(writes(), 4);
  await Promise.all(Array.from({ length: clientRequestsPerWrite + 2 }, () => client.ping()));
  assert.equal(writes(), 7);
  const both = [client.ping(), client.ping()];
  assert.equal(writes(), 8);
  await Promise.all(both);
  assert.equal(writes(), 9);
});

test("a sidecar of another protocol is told apart from none", async (t) => {
  const refusing = await serveRaw(t, (socket) => {
    socket.end(frameOf([1, 1, "SESSIONCAST_PROTOCOL", "this sidecar speaks version 2"]));
  });
  const expected = refusal("SESSIONCAST_PROTOCOL");
  await assert.rejects(connect({ socket: refusing.path, timeoutMs: hour }), expected);
  await assert.rejects(clientFor(t, refusing.path).get("s-1"), expected);
  const babbling = await serveRaw(t, (socket) => socket.write("220 smtp.example.org ESMTP\r\n"));
  await assert.rejects(connect({ socket: babbling.path, timeoutMs: hour }), expected);
});

test("client and sidecar speak a version that both know", async (t) => {
  const { highest } = localVersions;
  const { path } = await serveFake(t, { versions: { lowest: 1, highest: highest + 3 } });
  const client = await connect({ socket: path, timeoutMs: hour });
  t.after(() => client.close());
  assert.equal((await client.hello()).protocol, highest);
});

const strangers: [string, (own: Versions) => Versions, string][] = [
  ["newer", ({ highest }) => ({ lowest: highest + 1, highest: highest + 2 }), "client"],
  ["older", ({ lowest }) => ({ lowest: 1, highest: lowest - 1 }), "sidecar"],
];

for (const [what, versionsOf, side] of strangers) {
  test(`of a sidecar that is only ${what} a client says what to do about it`, async (t) => {
    const { path } = await serveFake(t, { versions: versionsOf(localVersions) });
    const refused = (error: unknown) =>
      refusal("SESSIONCAST_PROTOCOL")(error) &&
      /the sidecar speaks .+, the client .+: /.test(String(error)) &&
      String(error).endsWith(`upgrade the ${side}`);
    await assert.rejects(connect({ socket: path, timeoutMs: hour }), refused);
    await assert.rejects(clientFor(t, path).get("s-1"), refused);
  });
}

test("a sidecar that chooses what it was not offered is not spoken to", async (t) => {
  const { lowest, highest } = localVersions;
  for (const chosen of [lowest - 1, highest + 1, "2", undefined]) {
    const { path } = await serveRaw(t, (socket) => {
      if (socket.bytesWritten === 0) socket.write(greetingFrame(chosen ?? null));
      else assert.fail("a request was sent");
    });
    await assert.rejects(clientFor(t, path).count(), refusal("SESSIONCAST_PROTOCOL"));
  }
});

test("a reply that makes no sense rejects its request", async (t) => {
  const { path } = await serveRaw(t, (socket) => {
    if (socket.bytesWritten === 0) socket.write(greetingFrame());
    else socket.write(frameOf([3, 0, "twelve"]));
  });
  const client = await connect({ socket: path, timeoutMs: hour });
  t.after(() => client.close());
  await assert.rejects(client.count(), refusal("SESSIONCAST_PROTOCOL"));
});

test("a client too many is told why", async (t) => {
  const { path } = await serveFake(t, { clientsMax: 0 });
  await assert.rejects(connect({ socket: path, timeoutMs: hour }), /as many clients/);
});

test("what a sidecar does not take is bounded", async (t) => {
  const { path } = await serveRaw(t, (socket) => {
    socket.pause();
    socket.write(greetingFrame());
  });
  const client = await connect({ socket: path, timeoutMs: hour });
  const large = Buffer.alloc(1_000_000);
  const writes = Array.from({ length: 100 }, (_, index) => client.set(`s-${index}`, { large }));
  const rejected = await Promise.any(
    writes.map((write) => write.then(() => assert.fail(), String)),
  );
  assert.match(rejected, /does not keep up/);
  await client.close();
  const outcomes = await Promise.allSettled(writes);
  assert.ok(outcomes.every((outcome) => outcome.status === "rejected"));
});

test("a timeout that is no time is refused at once", () => {
  for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => createClient({ timeoutMs }), refusal("SESSIONCAST_INVALID"));
  }
});

const endings: [string, string][] = [
  ["with an open connection", `await (await connect({ socket })).ping();`],
  [
    "while it tries to reconnect",
    `await createClient({ socket: socket + "x" }).ping().catch(() => {});`,
  ],
  ["without ever using its client", `createClient({ socket });`],
];

for (const [what, script] of endings) {
  test(`a process ends by itself ${what}`, async (t) => {
    const { path } = await serveFake(t);
    const module = new URL("../../src/client/connect.js", import.meta.url).href;
    const source = `
      import { connect, createClient } from ${JSON.stringify(module)};
      const socket = ${JSON.stringify(path)};
      ${script}
      process.stdout.write("done");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source]);
    t.after(() => child.kill("SIGKILL"));
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const [exitCode] = await once(child, "exit");
    assert.deepEqual([exitCode, output], [0, "done"]);
  });
}

test("a process waits for the answers that it asked for", async (t) => {
  const path = socketPathFor(t);
  const service = new FakeService();
  const server = await startServer({ path, service });
  t.after(() => server.close());
  const module = new URL("../../src/client/connect.js", import.meta.url).href;
  const source = `
    import { createClient } from ${JSON.stringify(module)};
    void createClient({ socket: ${JSON.stringify(path)} }).create("s-1", { a: 1 });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source]);
  const [exitCode] = await once(child, "exit");
  assert.equal(exitCode, 0);
  assert.deepEqual(service.calls, ["create"]);
});
