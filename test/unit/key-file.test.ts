import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { OperatorError } from "../../src/base/operator-error.ts";
import { createKeyFile, editKeyFile, readKeyFile } from "../../src/daemon/key-file.ts";
import { addKey } from "../../src/daemon/key-file-edit.ts";
import { nameOfKey } from "../../src/daemon/key-file-text.ts";
import { NodeKeys } from "../../src/daemon/node-keys.ts";
import { limits } from "../../src/protocol/limits.ts";
import { testKey } from "../support/test-keys.ts";

const directory = mkdtempSync(join(tmpdir(), "sessioncast-key-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const [identity = "", use = ""] = [1, 2].map((n) => testKey(n).toString("hex"));
const content = `identity ${identity}\nuse ${use}\n`;
const windows = process.platform === "win32" && "Windows has no modes";
const notRoot = process.getuid?.() !== 0 && "only root may give files away";

let files = 0;
function freshPath(): string {
  return join(directory, `key-${files++}`);
}

function fileOf(text: string, mode = 0o600): string {
  const path = freshPath();
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function refusal(work: () => unknown): OperatorError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof OperatorError, String(error));
    for (const secret of [identity, use]) assert.ok(!error.message.includes(secret.slice(0, 8)));
    return error;
  }
  return assert.fail("it was accepted");
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

/** As somebody has set it whose files nobody may read, not even the owner. */
function withUmask<T>(mask: number, work: () => T): T {
  const before = process.umask(mask);
  try {
    return work();
  } finally {
    process.umask(before);
  }
}

describe("reading", () => {
  test("a private file gives its keys, also by a link", () => {
    const path = fileOf(content);
    const link = freshPath();
    symlinkSync(path, link);
    for (const name of [path, link]) {
      const { identity, use, open } = readKeyFile(name);
      assert.deepEqual([identity, use, open], [testKey(1), testKey(2), []]);
    }
    chmodSync(path, 0o400);
    assert.deepEqual(readKeyFile(path).use, testKey(2));
  });

  for (const mode of [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601]) {
    const shown = mode.toString(8).padStart(4, "0");
    test(`mode ${shown} is refused with the remedy`, { skip: windows }, () => {
      const path = fileOf(content, mode);
      const error = refusal(() => readKeyFile(path));
      assert.equal(error.code, "E_KEY_MODE");
      assert.ok(error.fact.includes(path) && error.fact.endsWith(`(mode ${shown})`), error.fact);
      assert.ok(error.remedy.startsWith(`Run chmod 600 ${path},`), error.remedy);
      chmodSync(path, 0o600);
      assert.deepEqual(readKeyFile(path).use, testKey(2), "the remedy helps");
    });
  }

  test("a link does not hide the mode of what it leads to", { skip: windows }, () => {
    const link = freshPath();
    symlinkSync(fileOf(content, 0o644), link);
    assert.equal(refusal(() => readKeyFile(link)).code, "E_KEY_MODE");
  });

  test("a file of another user is refused", { skip: windows || notRoot }, () => {
    const path = fileOf(content);
    chownSync(path, 12_345, 12_345);
    const error = refusal(() => readKeyFile(path));
    assert.equal(error.code, "E_KEY_MODE");
    assert.match(error.fact, /belongs to another user \(12345\)$/);
    assert.ok(error.remedy.endsWith(`chown 0 ${path}`), error.remedy);
  });

  test("one that is missing is told with the command that makes it", () => {
    const path = join(directory, "not here", "key");
    const error = refusal(() => readKeyFile(path));
    assert.equal(error.code, "E_KEY_FILE");
    assert.ok(error.fact.endsWith("cannot be read (ENOENT)"), error.fact);
    assert.ok(error.remedy.endsWith(`sessioncast keygen '${path}'`), error.remedy);
  });

  test("a directory and a pipe are no key files, and nobody waits for the pipe", () => {
    const pipe = freshPath();
    execFileSync("mkfifo", ["-m", "600", pipe]);
    for (const path of [directory, pipe]) {
      const error = refusal(() => readKeyFile(path));
      assert.equal(error.code, "E_KEY_FILE");
      assert.ok(error.fact.endsWith("is not a regular file"), error.fact);
    }
  });

  test("a file is read up to its bound and not beyond", () => {
    const filled = content + "#".repeat(limits.keyFileBytesMax - content.length);
    assert.deepEqual(readKeyFile(fileOf(filled)).use, testKey(2));
    const error = refusal(() => readKeyFile(fileOf(`${filled}#`)));
    assert.equal(error.code, "E_KEY_FILE");
    assert.match(error.fact, /has more than 16384 bytes$/);
  });

  test("what is wrong in it is told with file and line", () => {
    const path = fileOf(`${content}${use}\n`);
    const { fact } = refusal(() => readKeyFile(path));
    assert.equal(fact, `line 3 of the key file ${path} is not understood`);
  });
});

test("root's credential is read although it seems open to the group", {
  skip: windows || notRoot,
}, () => {
  const credentials = mkdtempSync(join(directory, "credentials-"));
  const path = join(credentials, "key");
  writeFileSync(path, content);
  chmodSync(path, 0o440);
  assert.deepEqual(readKeyFile(path, credentials).use, testKey(2));
  assert.equal(refusal(() => readKeyFile(path)).code, "E_KEY_MODE");
  assert.equal(refusal(() => readKeyFile(path, directory)).code, "E_KEY_MODE");
  const elsewhere = fileOf(content, 0o440);
  symlinkSync(elsewhere, join(credentials, "link"));
  assert.equal(
    refusal(() => readKeyFile(join(credentials, "link"), credentials)).code,
    "E_KEY_MODE",
  );
  symlinkSync(path, `${elsewhere}-link`);
  assert.deepEqual(readKeyFile(`${elsewhere}-link`, credentials).use, testKey(2));
  assert.equal(refusal(() => editKeyFile(path, addKey)).code, "E_KEY_MODE");
  const keys = new NodeKeys(path, credentials);
  keys.reload();
  assert.deepEqual(keys.material.use, testKey(2));
});

describe("making", () => {
  for (const mask of [0o000, 0o022, 0o777]) {
    test(`the mode is 0600 under the umask ${mask.toString(8)}`, { skip: windows }, () => {
      const path = freshPath();
      const { fingerprint } = withUmask(mask, () => createKeyFile(path));
      assert.equal(modeOf(path), 0o600);
      assert.equal(nameOfKey(readKeyFile(path).use), fingerprint);
    });
  }

  test("a directory that is missing is made", () => {
    const path = join(directory, "a", "b", "key");
    createKeyFile(path);
    readKeyFile(path);
  });

  test("what exists is left alone, whatever it is", () => {
    const dangling = freshPath();
    symlinkSync(freshPath(), dangling);
    const path = fileOf("anything");
    for (const taken of [path, directory]) {
      assert.equal(refusal(() => createKeyFile(taken)).code, "E_KEY_EXISTS");
    }
    assert.equal(readFileSync(path, "utf8"), "anything");
    assert.equal(refusal(() => createKeyFile(dangling)).code, "E_KEY_EXISTS");
    assert.ok(lstatSync(dangling).isSymbolicLink());
  });

  test("where nothing can be written it says so", () => {
    const { code, fact } = refusal(() => createKeyFile(join(fileOf("a file"), "key")));
    assert.equal(code, "E_KEY_FILE");
    assert.match(fact, /cannot be written \((?:ENOTDIR|EEXIST)\)$/);
  });
});

const draw = () => testKey(3);

describe("changing", () => {
  test("the file is replaced at once, and nothing is left beside it", () => {
    const own = join(directory, "own");
    mkdirSync(own);
    const path = join(own, "key");
    writeFileSync(path, content, { mode: 0o600 });
    const before = statSync(path).ino;
    withUmask(0o777, () => editKeyFile(path, (text, file) => addKey(text, file, draw)));
    assert.deepEqual(readKeyFile(path).open, [testKey(3)]);
    assert.notEqual(statSync(path).ino, before, "a reader sees the old or the new, never half");
    assert.equal(modeOf(path), 0o600);
    assert.deepEqual(readdirSync(own), ["key"]);
  });

  test("behind a link, what it leads to is changed", () => {
    const path = fileOf(content);
    const link = freshPath();
    symlinkSync(path, link);
    editKeyFile(link, (text, file) => addKey(text, file, draw));
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.deepEqual(readKeyFile(path).open, [testKey(3)]);
  });

  test("what changes nothing writes nothing", () => {
    const path = fileOf(content);
    const before = statSync(path).ino;
    editKeyFile(path, (text) => ({ text, fingerprint: "" }));
    assert.equal(statSync(path).ino, before);
  });

  test("a file that others can read is refused here too", { skip: windows }, () => {
    const path = fileOf(content, 0o644);
    const error = refusal(() => editKeyFile(path, addKey));
    assert.equal(error.code, "E_KEY_MODE");
    assert.equal(readFileSync(path, "utf8"), content);
  });

  test("root may change a service's file, which stays the service's", {
    skip: windows || notRoot,
  }, () => {
    const path = fileOf(content);
    chownSync(path, 12_345, 54_321);
    editKeyFile(path, (text, file) => addKey(text, file, draw));
    const { uid, gid } = statSync(path);
    assert.deepEqual([uid, gid, modeOf(path)], [12_345, 54_321, 0o600]);
    assert.match(readFileSync(path, "utf8"), /^open /m);
  });
});

describe("a file that changes while keys are added to it", () => {
  const theirs = `identity ${identity}\nuse ${testKey(4).toString("hex")}\n`;

  function inside(): { place: string; path: string } {
    const place = mkdtempSync(join(directory, "place-"));
    const path = join(place, "key");
    writeFileSync(path, content, { mode: 0o600 });
    return { place, path };
  }

  function refusedAfter(path: string, meanwhile: () => void): void {
    const error = refusal(() =>
      editKeyFile(path, (text, file) => {
        meanwhile();
        return addKey(text, file, draw);
      }),
    );
    assert.equal(error.code, "E_KEY_CHANGED");
    assert.match(error.remedy, /run the command again$/);
  }

  test("what somebody has put in its place stays, and nothing is left beside it", () => {
    const { place, path } = inside();
    refusedAfter(path, () => renameSync(fileOf(theirs), path));
    assert.equal(readFileSync(path, "utf8"), theirs);
    assert.deepEqual(readdirSync(place), ["key"]);
  });

  test("what somebody has written into it stays", () => {
    const { path } = inside();
    refusedAfter(path, () => {
      writeFileSync(path, theirs);
      utimesSync(path, 1, 1);
    });
    assert.equal(readFileSync(path, "utf8"), theirs);
  });

  test("one that was removed is not made anew", () => {
    const { place, path } = inside();
    refusedAfter(path, () => rmSync(path));
    assert.deepEqual(readdirSync(place), []);
  });

  test("a link that leads elsewhere by then does not have the other file replaced", () => {
    const { path } = inside();
    const other = fileOf(theirs);
    const link = freshPath();
    symlinkSync(path, link);
    editKeyFile(link, (text, file) => {
      rmSync(link);
      symlinkSync(other, link);
      return addKey(text, file, draw);
    });
    assert.equal(readFileSync(other, "utf8"), theirs);
    assert.deepEqual(readKeyFile(path).open, [testKey(3)], "what was read is what is changed");
  });
});
