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
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { startServer } from "../../src/api/server.ts";
import { ownerAndGroup } from "../../src/api/socket-access.ts";
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

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o777;
}

function setUmask(t: TestContext, umask: number): void {
  const before = process.umask(umask);
  t.after(() => process.umask(before));
}

/** Has `act` call the next `listen` of a server. */
function aroundListen(
  t: TestContext,
  act: (server: Server, name: string, listen: () => void) => void,
): void {
  const prototype: Server = Object.getPrototypeOf(createServer());
  const mocked = t.mock.method(prototype, "listen", function (this: Server, name: string) {
    mocked.mock.restore();
    act(this, name, () => prototype.listen.call(this, name));
    return this;
  });
}

function code(expected: string, fact: RegExp, remedy = /./) {
  return (error: unknown) => {
    assert.ok(error instanceof Error && "code" in error && "fact" in error && "remedy" in error);
    assert.equal(error.code, expected);
    assert.match(String(error.fact), fact);
    assert.match(String(error.remedy), remedy);
    return true;
  };
}

test("the directory and the socket are made for owner and group", async (t) => {
  const path = join(dirname(socketPathFor(t)), "new", "directory", "s.sock");
  await serveFake(t, { path });
  assert.equal(modeOf(dirname(path)), 0o750);
  assert.equal(modeOf(dirname(dirname(path))), 0o750);
  assert.equal(modeOf(path), 0o660);
  assert.deepEqual(readdirSync(dirname(path)), ["s.sock"]);
});

for (const umask of [0, 0o022, 0o777]) {
  for (const [mode, directoryMode] of [
    [0o660, 0o750],
    [0o600, 0o700],
    [0o620, 0o770],
  ] as const) {
    const what = `${mode.toString(8)} in ${directoryMode.toString(8)}`;
    test(`modes are as chosen: ${what} under the umask ${umask.toString(8)}`, async (t) => {
      const path = join(dirname(socketPathFor(t)), "new", "s.sock");
      setUmask(t, umask);
      await serveFake(t, { path, access: { ...ownerAndGroup, mode, directoryMode } });
      assert.equal(modeOf(dirname(path)), directoryMode);
      assert.equal(modeOf(path), mode);
      assert.equal(process.umask(), umask);
    });
  }
}

test("the socket is never open to others, not even before it is at its path", async (t) => {
  const path = socketPathFor(t);
  const seen: number[] = [];
  setUmask(t, 0);
  aroundListen(t, (server, name, listen) => {
    server.once("listening", () => seen.push(modeOf(name)));
    seen.push(process.umask());
    listen();
    seen.push(modeOf(name));
  });
  await serveFake(t, { path });
  assert.deepEqual(seen, [0o117, 0o660, 0o660]);
});

test("a socket that became wider than chosen all the same is not served", async (t) => {
  const path = socketPathFor(t);
  // As a default access list of the directory does, which not every file system has.
  aroundListen(t, (_server, _name, listen) => {
    process.umask(0);
    listen();
  });
  const expected = code("E_SOCKET_MODE", /the mode 0777, wider than 0660/);
  await assert.rejects(startServer({ path, service }), expected);
  assert.deepEqual(readdirSync(dirname(path)), []);
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

test("a link to a socket is no socket, whether that is live, stale or not there", async (t) => {
  const { path } = await serveFake(t);
  const stale = `${path}.stale`;
  leaveStaleSocket(stale);
  for (const target of [path, stale, `${path}.nowhere`]) {
    const link = `${target}.link`;
    symlinkSync(target, link);
    const expected = code("E_SOCKET_FILE", /is a symbolic link/);
    await assert.rejects(startServer({ path: link, service }), expected);
    assert.ok(lstatSync(link).isSymbolicLink());
  }
  assert.ok(lstatSync(stale).isSocket());
  assert.equal(existsSync(`${path}.nowhere`), false);
});

test("a link that is put there at the last moment is not followed", async (t) => {
  const path = socketPathFor(t);
  aroundListen(t, (_server, _name, listen) => {
    listen();
    symlinkSync(`${path}.nowhere`, path);
  });
  await assert.rejects(startServer({ path, service }), code("E_SOCKET_BUSY", /serves/));
  assert.deepEqual(readdirSync(dirname(path)), ["s.sock"]);
  assert.ok(lstatSync(path).isSymbolicLink());
});

test("a socket of another user is left alone, though nobody listens", async (t) => {
  if (!isRoot) return t.skip("only root can give a file away");
  const path = socketPathFor(t);
  leaveStaleSocket(path);
  chownSync(path, 54_321, 54_321);
  const expected = code("E_SOCKET_FILE", /another user/);
  await assert.rejects(startServer({ path, service }), expected);
  assert.ok(lstatSync(path).isSocket());
});

test("errors name the key of the socket that they are about", async (t) => {
  const path = socketPathFor(t);
  const access = { ...ownerAndGroup, key: "local.statsSocket" };
  writeFileSync(path, "precious");
  const expected = code("E_SOCKET_FILE", /./, /set local\.statsSocket to/);
  await assert.rejects(startServer({ path, service, access }), expected);
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

test("a file where a directory should be is an error that says so", async (t) => {
  const file = socketPathFor(t);
  writeFileSync(file, "");
  const path = join(file, "s.sock");
  await assert.rejects(
    startServer({ path, service }),
    code("E_SOCKET_DIRECTORY", /not a directory/),
  );
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
