import { lstatSync, mkdirSync, readlinkSync, realpathSync, type Stats } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join, resolve, sep } from "node:path";
import { OperatorError } from "../base/operator-error.ts";
import { limits } from "../protocol/limits.ts";
import { isCode, isTrusted, makeWithMode, type SocketAccess, unusable } from "./socket-access.ts";

/**
 * Goes to the directory of a socket as the kernel does, name by name, and makes what is missing.
 * An OperatorError when a stranger could make this way lead elsewhere: apps would then connect to
 * whatever they find there.
 *
 * The kernel goes the same way again later, and finds the same: a name in a directory can be
 * changed only by who may write to the directory, and in a sticky one only by who owns the name
 * or the directory. Here each directory is closed to others, or sticky with the next name ours or
 * root's. That leaves root, this user, and the owners and groups of the directories, whom the
 * operator trusts by naming the path.
 */
export function prepareDirectory(directory: string, access: SocketAccess): void {
  const names = namesOf(resolve(directory));
  const temporary = temporaryDirectory();
  let at: string = sep;
  let links = 0;
  /** Anybody may make names in some directory that we came through. */
  let shared = false;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const part = join(at, name);
    const found = findOrMake(part, access);
    requireOurs(part, found, shared || part.startsWith(temporary), access);
    if (found.isSymbolicLink()) {
      links += 1;
      if (links > limits.localSocketLinksMax) throw refused(part, "is a loop of links", access);
      const target = readlinkSync(part);
      if (isAbsolute(target)) at = sep;
      names.unshift(...namesOf(target));
      continue;
    }
    shared ||= isOpen(found);
    at = part;
  }
}

function namesOf(path: string): string[] {
  return path.split(sep).filter((name) => name !== "" && name !== ".");
}

/** With the closing separator. Shared, whatever its mode: programs of all kinds put names there. */
function temporaryDirectory(): string {
  try {
    return join(realpathSync(tmpdir()), sep);
  } catch {
    return join(resolve(tmpdir()), sep);
  }
}

function findOrMake(part: string, access: SocketAccess): Stats {
  try {
    const found = lstatSync(part, { throwIfNoEntry: false });
    if (found !== undefined) return found;
    make(part, access.directoryMode);
    return lstatSync(part);
  } catch (cause) {
    throw unusable(part, cause, access);
  }
}

function make(part: string, mode: number): void {
  try {
    makeWithMode(mode, () => mkdirSync(part));
  } catch (cause) {
    // A server that starts at the same moment may have made it; what it is, the caller looks at.
    if (!isCode(cause, "EEXIST")) throw cause;
  }
}

/** `shared`: strangers may have put it there. */
function requireOurs(part: string, found: Stats, shared: boolean, access: SocketAccess): void {
  const ours = isTrusted(found.uid);
  if (found.isSymbolicLink()) {
    // Elsewhere a link is the operator's or the system's way to arrange directories.
    if (shared) throw refused(part, "is a symbolic link", access);
    if (!ours) throw refused(part, "is a symbolic link of another user", access);
  } else if (!found.isDirectory()) throw refused(part, "is not a directory", access);
  else if (shared && !ours) throw refused(part, "belongs to another user", access);
  else if (isOpen(found) && !isSticky(found) && !access.insecureDirectory) {
    throw new OperatorError(
      "E_SOCKET_DIRECTORY",
      `everybody may replace what is in ${part}, and so the socket`,
      `Take that right away (chmod o-w), or set ${access.key} to a path in a directory of your ` +
        "own, or local.insecureDirectory where all who could do it may use the socket anyway",
    );
  }
}

function isOpen({ mode }: Stats): boolean {
  return (mode & 0o002) !== 0;
}

function isSticky({ mode }: Stats): boolean {
  return (mode & 0o1000) !== 0;
}

function refused(part: string, fault: string, { key }: SocketAccess): OperatorError {
  return new OperatorError(
    "E_SOCKET_DIRECTORY",
    `${part}, which is to hold the socket, ${fault}`,
    `Remove it, or set ${key} to a path in a directory of your own`,
  );
}
