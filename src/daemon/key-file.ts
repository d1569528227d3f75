import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { OperatorError } from "../base/operator-error.ts";
import { shellWord } from "../base/shell-word.ts";
import { limits } from "../protocol/limits.ts";
import { isCredential, isTrusted, mayEdit, requirePrivate, userId } from "./key-file-access.ts";
import { type Edited, newKeyFile } from "./key-file-edit.ts";
import { type KeyFileContent, parseKeyFile } from "./key-file-text.ts";

const ownMode = 0o600;

/** Where `sessioncast keygen` writes unless told otherwise. */
export const defaultKeyFile = "/etc/sessioncast/key";

/**
 * In the directory of credentials, what looks like a right of the group may be none.
 * Throws OperatorError: E_KEY_FILE (missing, unreadable, malformed), E_KEY_MODE (not private).
 */
export function readKeyFile(path: string, credentialsDirectory?: string): KeyFileContent {
  return parseKeyFile(readSecret(path, isTrusted, credentialsDirectory).text, path);
}

/**
 * Makes a file of mode 0600 with new keys, and its directory if there is none. Throws
 * OperatorError: E_KEY_EXISTS, E_KEY_FILE.
 */
export function createKeyFile(path: string): Edited {
  const made = newKeyFile();
  try {
    mkdirSync(dirname(resolve(path)), { recursive: true });
  } catch (cause) {
    throw unwritable(path, cause);
  }
  try {
    writePrivate(path, made.text);
  } catch (cause) {
    throw codeOf(cause) === "EEXIST" ? exists(path, cause) : unwritable(path, cause);
  }
  return made;
}

/**
 * Puts the edited text in the place of the file at once; it keeps its owner. Where the path is a
 * link, what it leads to is replaced, and not the link. Throws OperatorError: as `readKeyFile`, and
 * E_KEY_CHANGED (another file has taken its place since it was read).
 */
export function editKeyFile(path: string, edit: (text: string, file: string) => Edited): Edited {
  const secret = readSecret(path, mayEdit);
  const edited = edit(secret.text, path);
  if (edited.text === secret.text) return edited;
  try {
    replaceFile(secret, edited.text);
  } catch (cause) {
    throw cause instanceof OperatorError ? cause : unwritable(path, cause);
  }
  return edited;
}

/** A file as it was read, and where it is, without links, whatever becomes of the path. */
interface Secret {
  readonly path: string;
  readonly real: string;
  readonly text: string;
  readonly found: Stats;
}

/** Looks at what was opened, not at the path: another file could take its place in between. */
function readSecret(
  path: string,
  accepts: (owner: number) => boolean,
  credentialsDirectory?: string,
): Secret {
  const { real, descriptor } = openToRead(path);
  try {
    const found = fstatSync(descriptor);
    const credential = isCredential(real, credentialsDirectory);
    requirePrivate({ path, found, credential }, accepts);
    return { path, real, text: readText(path, descriptor), found };
  } finally {
    closeSync(descriptor);
  }
}

function openToRead(path: string): { real: string; descriptor: number } {
  try {
    const real = realpathSync(path);
    // Without O_NONBLOCK a named pipe would stop the start until somebody writes to it.
    const descriptor = openSync(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    return { real, descriptor };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function readText(path: string, descriptor: number): string {
  const buffer = Buffer.alloc(limits.keyFileBytesMax + 1);
  let length = 0;
  try {
    for (;;) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += read;
      if (read === 0 || length === buffer.length) break;
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (length <= limits.keyFileBytesMax) return buffer.toString("utf8", 0, length);
  throw new OperatorError(
    "E_KEY_FILE",
    `the key file ${path} has more than ${limits.keyFileBytesMax} bytes`,
    "Name a key file; shorten its comments",
  );
}

/** Fails with EEXIST rather than write where anything is, be it a link that leads elsewhere. */
function writePrivate(path: string, text: string, owner?: Stats): void {
  const descriptor = openSync(path, "wx", ownMode);
  try {
    // The umask may have taken even the owner's permissions.
    fchmodSync(descriptor, ownMode);
    if (owner !== undefined && owner.uid !== fstatSync(descriptor).uid) {
      fchownSync(descriptor, owner.uid, owner.gid);
    }
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } catch (cause) {
    unlinkSync(path);
    throw cause;
  } finally {
    closeSync(descriptor);
  }
}

function replaceFile(secret: Secret, text: string): void {
  const { real, found } = secret;
  const suffix = randomBytes(4).toString("hex");
  const temporary = join(dirname(real), `.${basename(real)}-${suffix}`);
  writePrivate(temporary, text, found);
  try {
    requireUnchanged(secret);
    renameSync(temporary, real);
  } catch (cause) {
    unlinkSync(temporary);
    throw cause;
  }
}

/** What somebody else has put there meanwhile was not read, and would be lost. */
function requireUnchanged({ path, real, found }: Secret): void {
  const present = lstatSync(real, { throwIfNoEntry: false });
  // A file may get the number of one that was removed, but not its time as well.
  const isSame =
    present !== undefined &&
    present.dev === found.dev &&
    present.ino === found.ino &&
    present.mtimeMs === found.mtimeMs;
  if (isSame) return;
  throw new OperatorError(
    "E_KEY_CHANGED",
    `the key file ${path} was changed or replaced by somebody else meanwhile`,
    "Nothing was written; see who else works on it, and run the command again",
  );
}

function unreadable(path: string, cause: unknown): OperatorError {
  const code = codeOf(cause);
  const word = shellWord(path);
  const remedy =
    code === "ENOENT"
      ? `Copy it from a node that has it, or make a new one: sessioncast keygen ${word}`
      : `Give it to the user that runs the sidecar: chown ${userId()} ${word}`;
  const fact = `the key file ${path} cannot be read (${code})`;
  return new OperatorError("E_KEY_FILE", fact, remedy, { cause });
}

function exists(path: string, cause: unknown): OperatorError {
  return new OperatorError(
    "E_KEY_EXISTS",
    `${path} exists, and keys that are lost cannot be had again`,
    "Name another file, or add a key to this one: sessioncast keygen --add",
    { cause },
  );
}

function unwritable(path: string, cause: unknown): OperatorError {
  return new OperatorError(
    "E_KEY_FILE",
    `the key file ${path} cannot be written (${codeOf(cause)})`,
    "Name a file in a directory that this user may write to, or run the command as root",
    { cause },
  );
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
}
