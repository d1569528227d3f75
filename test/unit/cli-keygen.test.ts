import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runCommand } from "../support/command-line.ts";

function keyPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "sessioncast-keygen-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "key");
}

/** What the file holds: `[["identity", hex], ["use", hex], ...]`. */
function keysIn(path: string): string[][] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((l) => l.split(" "));
}

/** Runs `keygen`; whatever it says, no key is in it. */
async function keygen(path: string, ...words: readonly string[]) {
  const ending = await runCommand(["keygen", path, ...words]);
  for (const [, hex = ""] of keysIn(path)) {
    assert.ok(!`${ending.stdout}${ending.stderr}`.includes(hex.slice(0, 12)), ending.stdout);
  }
  return ending;
}

test("keygen makes a private file, and says what to do with it", async (t) => {
  const path = keyPath(t);
  const { code, stdout, stderr } = await keygen(path);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(
    keysIn(path).map(([word]) => word),
    ["identity", "use"],
  );
  assert.match(stdout, /^key [0-9a-f]{8} is in /);
  assert.ok(stdout.includes(`scp -p ${path} app-2:${path}`), stdout);
  assert.match(stdout, new RegExp(`sessioncast\\S* start --key-file ${path}`));
  const again = await keygen(path);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^sessioncast: .* exists.*\(E_KEY_EXISTS\)\n$/);
});

test("keygen changes a key step by step, and each step names the next", async (t) => {
  const path = keyPath(t);
  const made = await keygen(path);
  const [identity, old] = keysIn(path).map(([, hex]) => hex);
  const oldName = /^key (\w+)/.exec(made.stdout)?.[1] ?? "";
  const added = await keygen(path, "--add");
  assert.equal(added.code, 0, added.stderr);
  const [newName = "", young] = [/^key (\w+)/.exec(added.stdout)?.[1], keysIn(path)[2]?.[1]];
  const early = await keygen(path, "--retire", oldName);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /\(E_KEY_IN_USE\)\n$/);
  const used = await keygen(path, "--use", newName);
  assert.deepEqual(keysIn(path), [
    ["identity", identity],
    ["open", old],
    ["use", young],
  ]);
  const retired = await keygen(path, "--retire", oldName);
  assert.deepEqual(keysIn(path), [
    ["identity", identity],
    ["use", young],
  ]);
  for (const { code, stdout } of [added, used, retired]) {
    assert.equal(code, 0);
    assert.match(stdout, /^ {2}\S.* keys reload\n.*\n {2}\S.* keys\n$/m);
  }
});

test("a whole key in the place of its name is not repeated", async (t) => {
  const path = keyPath(t);
  await keygen(path);
  const [, [, hex = ""] = []] = keysIn(path);
  const { code, stderr } = await keygen(path, "--use", hex);
  assert.equal(code, 2);
  assert.match(stderr, /takes a fingerprint/);
});
