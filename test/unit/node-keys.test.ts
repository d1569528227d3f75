import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { nameOfKey } from "../../src/daemon/key-file-text.ts";
import { createLog } from "../../src/daemon/log.ts";
import { NodeKeys, reloadNodeKeys } from "../../src/daemon/node-keys.ts";
import type { KeyMaterial } from "../../src/wire/keyring.ts";
import { testKey } from "../support/test-keys.ts";

const directory = mkdtempSync(join(tmpdir(), "sessioncast-keys-"));
after(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function fileOf(...lines: readonly (readonly [string, number])[]): string {
  const file = join(directory, `key-${files++}`);
  writeFileSync(file, "", { mode: 0o600 });
  rewrite(file, ...lines);
  return file;
}

function rewrite(file: string, ...lines: readonly (readonly [string, number])[]): void {
  const texts = lines.map(([word, n]) => `${word} ${testKey(n).toString("hex")}\n`);
  writeFileSync(file, texts.join(""));
}

const name = (n: number) => nameOfKey(testKey(n));

test("keys are named by fingerprints, and those before the one in use are older", () => {
  const file = fileOf(["identity", 1], ["open", 3], ["use", 2], ["open", 4], ["open", 5]);
  const keys = new NodeKeys(file);
  assert.deepEqual(keys.names, { uses: name(2), opens: [name(3), name(4), name(5)] });
  assert.deepEqual(keys.older, [name(3)]);
});

test("a reload takes what the file holds now", () => {
  const file = fileOf(["identity", 1], ["use", 2]);
  const keys = new NodeKeys(file);
  rewrite(file, ["identity", 1], ["open", 2], ["use", 3]);
  assert.equal(keys.names.uses, name(2), "not before it is told to");
  keys.reload();
  assert.deepEqual(keys.names, { uses: name(3), opens: [name(2)] });
  assert.deepEqual(keys.material.use, testKey(3));
});

test("a file that cannot be used changes nothing", () => {
  const file = fileOf(["identity", 1], ["use", 2]);
  const keys = new NodeKeys(file);
  const before = keys.material;
  const faults: readonly (readonly [string, () => void])[] = [
    ["E_KEY_FILE", () => rewrite(file, ["identity", 1])],
    ["E_KEY_IDENTITY", () => rewrite(file, ["identity", 9], ["use", 2])],
    ["E_KEY_IDENTITY", () => rewrite(file, ["identity", 9], ["use", 3])],
    ["E_KEY_MODE", () => chmodSync(file, 0o644)],
    ["E_KEY_FILE", () => rmSync(file)],
  ];
  for (const [code, spoil] of faults) {
    spoil();
    assert.throws(() => keys.reload(), { code });
    assert.equal(keys.material, before);
  }
});

/** Reloads as a sidecar does; what was used, answered and logged. */
function reloading(keys: NodeKeys | undefined) {
  const lines: string[] = [];
  const log = createLog({ level: "info", write: (line) => lines.push(line), now: () => 0 });
  const used: KeyMaterial[] = [];
  const answer = reloadNodeKeys(keys, log, (material) => used.push(material));
  return { answer, used, line: lines.join("").replace("1970-01-01T00:00:00.000Z ", "") };
}

test("a reload has the keys used, answers with their names and logs them", () => {
  const file = fileOf(["identity", 1], ["use", 2]);
  const keys = new NodeKeys(file);
  rewrite(file, ["identity", 1], ["open", 2], ["use", 3]);
  const { answer, used, line } = reloading(keys);
  assert.deepEqual(answer, { uses: name(3), opens: [name(2)] });
  assert.deepEqual(
    used.map(({ use }) => use),
    [testKey(3)],
  );
  assert.equal(line, `info keys_reloaded uses=${name(3)} opens=${name(2)}\n`);
});

test("a reload that fails uses nothing, and answers and logs why, without any key", () => {
  const file = fileOf(["identity", 1], ["use", 2]);
  const keys = new NodeKeys(file);
  writeFileSync(file, `${testKey(3).toString("hex")}\n`);
  const { answer, used, line } = reloading(keys);
  assert.deepEqual(used, []);
  assert.match(String(answer), /^line 1 of the key file .* is not understood\. Write identity,/);
  assert.match(line, /^warn keys_not_reloaded code=E_KEY_FILE text="line 1 of/);
  assert.ok(!line.includes(testKey(3).toString("hex").slice(0, 8)), line);
});

test("who was started without keys cannot be given any", () => {
  const { answer, line } = reloading(undefined);
  assert.match(String(answer), /^this sidecar was started without a key file\. .*--key-file$/);
  assert.match(line, /code=E_KEY_NONE/);
});
