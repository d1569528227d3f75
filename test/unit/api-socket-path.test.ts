import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { clientSocketPath, daemonSocketPath, socketCandidates } from "../../src/api/socket-path.ts";
import { socketPathFor } from "../support/local-server.ts";

const ofSystem = "/run/sessioncast/sessioncast.sock";
const user = { environment: {}, userId: 54_321, temporaryDirectory: "/nowhere" };
const ofUser = "/nowhere/sessioncast-54321/sessioncast.sock";

test("the environment decides when it says so, and only then", () => {
  const environment = { SESSIONCAST_SOCKET: "/x/y.sock", XDG_RUNTIME_DIR: "/x/run" };
  assert.equal(daemonSocketPath({ ...user, environment }), "/x/y.sock");
  assert.equal(clientSocketPath({ ...user, environment }), "/x/y.sock");
  const empty = { SESSIONCAST_SOCKET: "", XDG_RUNTIME_DIR: "" };
  assert.equal(daemonSocketPath({ ...user, environment: empty }), ofUser);
});

test("a daemon takes the first directory that its user can own", () => {
  const environment = { XDG_RUNTIME_DIR: "/x/run" };
  assert.equal(daemonSocketPath({ ...user, userId: 0, environment }), ofSystem);
  assert.equal(daemonSocketPath({ ...user, environment }), "/x/run/sessioncast/sessioncast.sock");
  assert.equal(daemonSocketPath(user), ofUser);
});

/** Whom directories belong to that the test makes; root's are trusted by all. */
const userId = process.getuid?.() || user.userId;

test("a client takes the first candidate that exists", (t) => {
  const base = dirname(socketPathFor(t));
  const surroundings = {
    userId,
    environment: { XDG_RUNTIME_DIR: join(base, "run") },
    temporaryDirectory: base,
  };
  const [first, system, last] = socketCandidates(surroundings);
  assert.equal(system, ofSystem);
  assert.equal(clientSocketPath(surroundings), first);
  mkdirSync(dirname(String(last)));
  writeFileSync(String(last), "");
  assert.equal(clientSocketPath(surroundings), last);
  mkdirSync(dirname(String(first)), { recursive: true });
  writeFileSync(String(first), "");
  assert.equal(clientSocketPath(surroundings), first);
});

test("in the temporary directory a client takes only what nobody else can have made", (t) => {
  const temporaryDirectory = dirname(socketPathFor(t));
  const surroundings = { ...user, userId, temporaryDirectory };
  const path = String(socketCandidates(surroundings).at(-1));
  const directory = dirname(path);
  const found = () => clientSocketPath(surroundings);
  assert.equal(found(), ofSystem, "not there yet");
  mkdirSync(directory);
  writeFileSync(path, "");
  assert.equal(found(), path);
  chmodSync(directory, 0o777);
  assert.equal(found(), ofSystem, "open to others");
  chmodSync(directory, 0o755);
  renameSync(directory, `${directory}.real`);
  symlinkSync(`${directory}.real`, directory);
  assert.equal(found(), ofSystem, "a link");
});

test("nor what somebody else has made there", (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root can give a directory away");
  const temporaryDirectory = dirname(socketPathFor(t));
  const surroundings = { ...user, temporaryDirectory };
  const path = String(socketCandidates(surroundings).at(-1));
  mkdirSync(dirname(path));
  writeFileSync(path, "");
  chownSync(dirname(path), user.userId + 1, user.userId + 1);
  assert.equal(clientSocketPath(surroundings), ofSystem);
  chownSync(dirname(path), user.userId, user.userId);
  assert.equal(clientSocketPath(surroundings), path);
});
