import assert from "node:assert/strict";
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { ownerAndGroup, type SocketAccess } from "../../src/api/socket-access.ts";
import { prepareDirectory } from "../../src/api/socket-directory.ts";
import { OperatorError } from "../../src/base/operator-error.ts";

const isRoot = process.getuid?.() === 0;
const stranger = 54_321;

/** Whether this user can make a folder there that no stranger could exchange. */
function isPrivate(folder: string): boolean {
  if (!isWritable(folder)) return false;
  for (let at = realpathSync(folder); ; at = dirname(at)) {
    if (at === realpathSync(tmpdir()) || (lstatSync(at).mode & 0o002) !== 0) return false;
    if (at === dirname(at)) return true;
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Below the temporary directory stricter rules hold, so these tests need a place elsewhere. */
const privatePlace = [import.meta.dirname, homedir()].find(isPrivate);
const skip = privatePlace === undefined && "only shared directories can be written to here";

function folder(t: TestContext): string {
  const made = mkdtempSync(join(privatePlace ?? "", ".sessioncast-test-"));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function prepare(directory: string, access: Partial<SocketAccess> = {}): void {
  prepareDirectory(directory, { ...ownerAndGroup, ...access });
}

function refusal(directory: string): OperatorError {
  try {
    prepare(directory);
  } catch (error) {
    assert.ok(error instanceof OperatorError, String(error));
    assert.equal(error.code, "E_SOCKET_DIRECTORY");
    return error;
  }
  return assert.fail("it was accepted");
}

function makeOpen(directory: string, mode: number): string {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, mode);
  return directory;
}

test("a directory that everybody may write to is refused, on the whole way", { skip }, (t) => {
  const open = makeOpen(join(folder(t), "open"), 0o777);
  const { fact, remedy } = refusal(open);
  assert.ok(fact.includes(`in ${open},`), fact);
  assert.match(remedy, /chmod o-w.*local\.socket.*local\.insecureDirectory/);
  assert.ok(refusal(join(open, "own")).fact.includes(`in ${open},`));
  assert.equal(existsSync(join(open, "own")), false);
  makeOpen(open, 0o773);
  assert.match(refusal(open).fact, /everybody/);
});

test("it is taken by who says so, when sticky, and when only the group may write", {
  skip,
}, (t) => {
  const open = makeOpen(join(folder(t), "open"), 0o777);
  prepare(join(open, "own"), { insecureDirectory: true });
  assert.equal(lstatSync(join(open, "own")).mode & 0o777, 0o750);
  for (const mode of [0o1777, 0o775, 0o770]) prepare(makeOpen(open, mode));
});

test("a link of ours is followed, and what it leads to is looked at", { skip }, (t) => {
  const base = folder(t);
  mkdirSync(join(base, "a/real"), { recursive: true });
  symlinkSync("a/./real/../real", join(base, "relative"));
  symlinkSync(join(base, "relative"), join(base, "absolute"));
  prepare(join(base, "absolute", "made"));
  assert.ok(lstatSync(join(base, "a/real/made")).isDirectory());
  chmodSync(join(base, "a"), 0o777);
  const { fact } = refusal(join(base, "absolute"));
  assert.ok(fact.includes(`in ${realpathSync(join(base, "a"))},`), fact);
});

test("a link of somebody else is not followed", { skip }, (t) => {
  if (!isRoot) return t.skip("only root can give a link away");
  const base = folder(t);
  mkdirSync(join(base, "real"));
  symlinkSync(join(base, "real"), join(base, "link"));
  lchownSync(join(base, "link"), stranger, stranger);
  assert.match(refusal(join(base, "link", "new")).fact, /link of another user/);
  assert.equal(existsSync(join(base, "real", "new")), false);
});

test("a loop of links ends in an error", { skip }, (t) => {
  const base = folder(t);
  symlinkSync("loop", join(base, "loop"));
  assert.match(refusal(join(base, "loop")).fact, /loop/);
});

test("below a sticky directory nothing is taken that is a link", { skip }, (t) => {
  const base = folder(t);
  const sticky = makeOpen(join(base, "sticky"), 0o1777);
  mkdirSync(join(base, "real"));
  symlinkSync(join(base, "real"), join(sticky, "link"));
  assert.match(refusal(join(sticky, "link")).fact, /is a symbolic link$/);
  mkdirSync(join(sticky, "own"));
  symlinkSync(join(base, "real"), join(sticky, "own", "link"));
  assert.match(refusal(join(sticky, "own", "link", "new")).fact, /is a symbolic link$/);
  assert.equal(existsSync(join(base, "real", "new")), false);
});

test("nor what belongs to somebody else; elsewhere that is the operator's choice", {
  skip,
}, (t) => {
  if (!isRoot) return t.skip("only root can give a directory away");
  const base = folder(t);
  const theirs = join(makeOpen(join(base, "sticky"), 0o1777), "theirs");
  for (const directory of [theirs, join(base, "theirs")]) {
    mkdirSync(directory);
    chownSync(directory, stranger, stranger);
  }
  assert.match(refusal(theirs).fact, /another user/);
  prepare(join(base, "theirs"));
});

test("the temporary directory counts as shared, however it is closed", { skip }, (t) => {
  const base = folder(t);
  const before = process.env.TMPDIR;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  mkdirSync(join(base, "closed"));
  symlinkSync("closed", join(base, "tmp"));
  process.env.TMPDIR = join(base, "tmp");
  symlinkSync(base, join(base, "closed", "link"));
  for (const name of ["tmp", "closed"]) {
    assert.match(refusal(join(base, name, "link")).fact, /is a symbolic link$/);
  }
  prepare(join(base, "tmp", "own"));
});
