import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isCredential, requirePrivate } from "../../src/daemon/key-file-access.ts";

const windows = process.platform === "win32" && "Windows has no modes";
const service = 12_345;

/** Judges a file as if it were there: only root could give one away. */
function judge({ mode, uid, credential }: { mode: number; uid: number; credential: boolean }) {
  const found = { isFile: () => true, mode: 0o100_000 | mode, uid };
  requirePrivate({ path: "/run/key", found, credential }, (owner) => [0, service].includes(owner));
}

describe("what systemd shows of a credential", { skip: windows }, () => {
  for (const mode of [0o440, 0o640, 0o400, 0o600]) {
    test(`mode ${mode.toString(8)} of root is accepted`, () => {
      judge({ mode, uid: 0, credential: true });
    });
  }

  const refused = [
    { mode: 0o440, uid: 0, credential: false },
    { mode: 0o440, uid: service, credential: true },
    ...[0o460, 0o420, 0o450, 0o444, 0o442, 0o441, 0o404].map((mode) => ({
      mode,
      uid: 0,
      credential: true,
    })),
  ];
  for (const { mode, uid, credential } of refused) {
    const place = credential ? "among credentials" : "elsewhere";
    test(`mode ${mode.toString(8)} of user ${uid} ${place} is refused`, () => {
      assert.throws(() => judge({ mode, uid, credential }), { code: "E_KEY_MODE" });
    });
  }

  test("one of a stranger is refused", () => {
    const stranger = { mode: 0o440, uid: service + 1, credential: true };
    assert.throws(() => judge(stranger), { code: "E_KEY_MODE" });
  });
});

test("a credential is itself in the directory that the environment names", () => {
  const root = mkdtempSync(join(tmpdir(), "sessioncast-credentials-"));
  after(() => rmSync(root, { recursive: true, force: true }));
  const [directory, deeper, other] = ["d", "d/deeper", "other"].map((name) => join(root, name));
  assert(directory !== undefined && deeper !== undefined && other !== undefined);
  for (const name of [directory, deeper, other]) {
    mkdirSync(name);
    writeFileSync(join(name, "key"), "");
  }
  symlinkSync(directory, join(root, "alias"));
  const key = join(directory, "key");
  assert.equal(isCredential(key, directory), true);
  assert.equal(isCredential(key, `${directory}/`), true);
  assert.equal(isCredential(key, join(root, "alias")), true);
  assert.equal(isCredential(key, undefined), false);
  assert.equal(isCredential(key, join(root, "missing")), false);
  assert.equal(isCredential(key, other), false);
  assert.equal(isCredential(join(deeper, "key"), directory), false);
});
