import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { startServer } from "../../src/api/server.ts";
import { FakeService } from "../support/fake-service.ts";
import { serveFake, socketPathFor } from "../support/local-server.ts";
import { RawClient } from "../support/raw-client.ts";

const service = new FakeService();
const isRoot = process.getuid?.() === 0;

/** A socket file whose server was killed. */
function leaveStaleSocket(path: string): void {
  const script = `require("node:net").createServer().listen(process.argv[1],
    () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script, path]);
  assert.ok(lstatSync(path).isSocket());
}

function code(expected: string, fact: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof Error && "code" in error && "fact" in error && "remedy" in error);
    assert.equal(error.code, expected);
    assert.match(String(error.fact), fact);
    assert.notEqual(error.remedy, "");
    return true;
  };
}

test("the directory is made for the owner only, the socket for owner and group", async (t) => {
  const path = join(dirname(socketPathFor(t)), "new", "directory", "s.sock");
  await serveFake(t, { path });
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  assert.equal(statSync(path).mode & 0o777, 0o660);
  assert.deepEqual(readdirSync(dirname(path)), ["s.sock"]);
});

test("the socket is never open to others, not even before it is at its path", async (t) => {
  const path = socketPathFor(t);
  const masks: number[] = [];
  const before = process.umask(0o022);
  t.after(() => process.umask(before));
  const prototype = Object.getPrototypeOf(createServer());
  const listen = t.mock.method(prototype, "listen", function (this: unknown, name: string) {
    masks.push(process.umask());
    Reflect.apply(listen.mock.restore, listen.mock, []);
    return Reflect.apply(prototype.listen, this, [name]);
  });
  await serveFake(t, { path });
  assert.deepEqual(masks, [0o117]);
  assert.equal(process.umask(), 0o022);
});

test("a stale socket is replaced", async (t) => {
  const path = socketPathFor(t);
  leaveStaleSocket(path);
  await serveFake(t, { path });
  const client = await RawClient.greet(t, path);
  assert.deepEqual(await client.ask([2, 11]), [2, 0, null]);
});

test("a live socket is left alone, and the error names its owner", async (t) => {
  const { path } = await serveFake(t);
  const named = new RegExp(`node "app-1" \\(sessioncast 0.1.0-test, pid ${process.pid}\\)`);
  await assert.rejects(startServer({ path, service }), code("E_SOCKET_BUSY", named));
  const client = await RawClient.greet(t, path);
  assert.deepEqual(await client.ask([2, 11]), [2, 0, null]);
});

test("a live socket of some other program is left alone as well", async (t) => {
  const path = socketPathFor(t);
  const other = createServer((socket) => socket.end("220 hello\r\n"));
  await new Promise<void>((resolve) => other.listen(path, resolve));
  t.after(() => other.close());
  const expected = code("E_SOCKET_BUSY", /another process/);
  await assert.rejects(startServer({ path, service }), expected);
  assert.ok(existsSync(path));
});

test("a live socket whose owner is silent is left alone as well", async (t) => {
  const path = socketPathFor(t);
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(path, resolve));
  t.after(() => silent.close());
  const expected = code("E_SOCKET_BUSY", /another process/);
  await assert.rejects(startServer({ path, service }), expected);
});

test("of two servers that start together one gets the path", async (t) => {
  const path = socketPathFor(t);
  leaveStaleSocket(path);
  const outcomes = await Promise.allSettled([
    startServer({ path, service }),
    startServer({ path, service }),
  ]);
  const started = outcomes.filter((outcome) => outcome.status === "fulfilled");
  t.after(() => Promise.all(started.map((outcome) => outcome.value.close())));
  assert.equal(started.length, 1);
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  assert.ok(code("E_SOCKET_BUSY", /serves/)(failed?.reason));
  await RawClient.greet(t, path);
});

test("what is no socket is never deleted", async (t) => {
  const path = socketPathFor(t);
  writeFileSync(path, "precious");
  const expected = code("E_SOCKET_FILE", /not a socket/);
  await assert.rejects(startServer({ path, service }), expected);
  assert.equal(readFileSync(path, "utf8"), "precious");

  const link = `${path}.link`;
  symlinkSync(path, link);
  await assert.rejects(startServer({ path: link, service }), expected);
  assert.ok(lstatSync(link).isSymbolicLink());
});

test("a directory in the temporary one that is a link is refused", async (t) => {
  const base = dirname(socketPathFor(t));
  mkdirSync(join(base, "real"));
  symlinkSync(join(base, "real"), join(base, "link"));
  const path = join(base, "link", "s.sock");
  const expected = code("E_SOCKET_DIRECTORY", /symbolic link/);
  await assert.rejects(startServer({ path, service }), expected);
  assert.deepEqual(readdirSync(join(base, "real")), []);
});

test("a directory in the temporary one of another user is refused", async (t) => {
  if (!isRoot) return t.skip("only root can give a directory away");
  const base = dirname(socketPathFor(t));
  mkdirSync(join(base, "theirs"));
  chownSync(join(base, "theirs"), 54_321, 54_321);
  const path = join(base, "theirs", "s.sock");
  const expected = code("E_SOCKET_DIRECTORY", /another user/);
  await assert.rejects(startServer({ path, service }), expected);
});

test("a path longer than the system takes is an error that says so", async (t) => {
  const directory = dirname(socketPathFor(t));
  const path = join(directory, "x".repeat(108 - directory.length - 1));
  assert.equal(Buffer.byteLength(path), 108);
  await assert.rejects(startServer({ path, service }), code("E_SOCKET_PATH", /108 bytes/));
  await serveFake(t, { path: path.slice(0, -1) });
});

test("a directory that cannot be made is an error that says so", async (t) => {
  const file = socketPathFor(t);
  writeFileSync(file, "");
  const path = join(file, "s.sock");
  await assert.rejects(startServer({ path, service }), code("E_SOCKET_UNUSABLE", /EEXIST|ENOTDIR/));
});

test("close removes the socket, but not one that has taken its place", async (t) => {
  const first = await serveFake(t);
  await first.server.close();
  assert.equal(existsSync(first.path), false);

  const moved = await serveFake(t);
  renameSync(moved.path, `${moved.path}.old`);
  const second = await serveFake(t, { path: moved.path });
  await moved.server.close();
  assert.ok(existsSync(second.path));
  await RawClient.greet(t, second.path);
  unlinkSync(second.path);
  await second.server.close();
});
