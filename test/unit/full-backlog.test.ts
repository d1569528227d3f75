import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { probeSocket } from "../../src/api/socket-probe.ts";
import { connect } from "../../src/client/connect.ts";
import { socketPathFor } from "../support/local-server.ts";
import { greetingFrame } from "../support/raw-client.ts";

const greeting = greetingFrame().toString("hex");

/** Listens with the shortest backlog, and accepts nobody until its input says so. */
async function startBusySidecar(t: TestContext, path: string) {
  const source = `
    const server = require("node:net").createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.write(Buffer.from("${greeting}", "hex")));
    });
    server.listen({ path: ${JSON.stringify(path)}, backlog: 1 }, () => {
      const { readSync, writeSync } = require("node:fs");
      writeSync(1, "listening");
      readSync(0, Buffer.alloc(1));
    });`;
  const child = spawn(process.execPath, ["-e", source], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return { accept: () => child.stdin.write("x") };
}

/** Undefined when it is connected, else the code of the error. */
function outcomeOf(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    socket.on("error", (cause: NodeJS.ErrnoException) => resolve(cause.code));
    socket.on("connect", () => resolve(undefined));
  });
}

async function fill(t: TestContext, path: string): Promise<void> {
  for (;;) {
    const socket = connectSocket(path);
    t.after(() => socket.destroy());
    const outcome = await outcomeOf(socket);
    if (outcome === undefined) continue;
    assert.equal(outcome, "EAGAIN");
    return;
  }
}

test("a sidecar that is slow to accept is waited for, and counts as one", async (t) => {
  const path = socketPathFor(t);
  const sidecar = await startBusySidecar(t, path);
  await fill(t, path);
  assert.deepEqual(await probeSocket(path), { kind: "live", owner: "another process" });
  const connecting = connect({ socket: path, timeoutMs: 60_000 });
  // What was tried after it was turned away, so it was too.
  await fill(t, path);
  sidecar.accept();
  const client = await connecting;
  await client.close();
});

test("no longer than the client's timeout", async (t) => {
  const path = socketPathFor(t);
  await startBusySidecar(t, path);
  await fill(t, path);
  const failure = { code: "SESSIONCAST_UNAVAILABLE", message: `no sidecar answers at ${path}` };
  const started = performance.now();
  await assert.rejects(connect({ socket: path, timeoutMs: 60 }), failure);
  assert.ok(performance.now() - started >= 50, "it was tried more than once");
});
