import { randomBytes } from "node:crypto";
import { linkSync, lstatSync, type Stats, unlinkSync } from "node:fs";
import type { Server } from "node:net";
import { basename, dirname, join, resolve } from "node:path";
import { OperatorError } from "../base/operator-error.ts";
import { limits } from "../protocol/limits.ts";
import {
  isCode,
  isTrusted,
  makeWithMode,
  ownerAndGroup,
  type SocketAccess,
  unusable,
} from "./socket-access.ts";
import { prepareDirectory } from "./socket-directory.ts";
import { probeSocket } from "./socket-probe.ts";

export interface SocketPath {
  /** Removes the file, unless it is another server's by now. Once is enough; more does no harm. */
  release(): void;
}

/**
 * Has the server listen on a Unix socket that is open to whom `access` says and, from its first
 * moment, to nobody else. What a dead server left there is replaced; a live one's socket, anybody
 * else's, and anything that is no socket, is left alone and reported.
 *
 * What is looked at may be another file by the time that it is acted on. So looking only makes
 * better errors: binding and linking fail where there is a name already, also a link to nowhere,
 * and unlinking removes a link instead of what it leads to. One act does rely on a look, of the
 * line before: removing what is stale. Who could exchange it, or the directories, is said at
 * `prepareDirectory`.
 */
export async function takeSocketPath(
  server: Server,
  path: string,
  access: SocketAccess = ownerAndGroup,
): Promise<SocketPath> {
  const directory = dirname(resolve(path));
  // Listening makes the file under a name of its own and then links it to the path. A link never
  // replaces anything, so of two servers that start together one gets an error instead of both
  // believing that the path is theirs. And libuv removes the name that it was given when the
  // server closes, whoever owns that by then: this way it can only be a name that nobody uses.
  // Nobody can take it first either, where others may make names.
  const ownName = join(directory, `.${randomBytes(4).toString("base64url")}`);
  requireShort(access, path, resolve(path), ownName);
  prepareDirectory(directory, access);
  await clearPath(path, access);
  await listen(server, ownName, path, access);
  try {
    requireMode(path, lstatSync(ownName), access);
    linkSync(ownName, path);
  } catch (cause) {
    server.close();
    if (cause instanceof OperatorError) throw cause;
    if (!isCode(cause, "EEXIST")) throw unusableFile(path, cause, access);
    throw busy(path, "a process that started at the same moment", access, cause);
  }
  const own = lstatSync(path);
  unlinkSync(ownName);
  return {
    release() {
      const present = lstatSync(path, { throwIfNoEntry: false });
      if (present !== undefined && isSameFile(present, own)) removeIfPresent(path);
    },
  };
}

/**
 * A default access list of the directory takes the place of the umask. Nobody has been accepted
 * yet: that takes a turn of the event loop.
 */
function requireMode(path: string, { mode }: Stats, access: SocketAccess): void {
  const wider = mode & 0o777 & ~access.mode;
  if (wider === 0) return;
  throw new OperatorError(
    "E_SOCKET_MODE",
    `${dirname(path)} gives what is made in it the mode ${octal(mode & 0o777)}, ` +
      `wider than ${octal(access.mode)}`,
    `Remove its default access list (setfacl -k), or set ${access.key} to another path`,
  );
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function requireShort({ key }: SocketAccess, path: string, ...names: readonly string[]): void {
  const bytes = Math.max(...names.map((name) => Buffer.byteLength(name)));
  if (bytes <= limits.localSocketPathBytesMax) return;
  throw new OperatorError(
    "E_SOCKET_PATH",
    `the socket path ${path} needs ${bytes} bytes; the system takes at most ` +
      `${limits.localSocketPathBytesMax}`,
    `Set ${key} to a shorter path`,
  );
}

async function clearPath(path: string, access: SocketAccess): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isSymbolicLink()) throw inTheWay(path, "is a symbolic link, not a socket", access);
  if (!found.isSocket()) throw inTheWay(path, "exists and is not a socket", access);
  const use = await probeSocket(path);
  switch (use.kind) {
    case "live":
      throw busy(path, use.owner, access);
    case "unknown":
      throw unusableFile(path, use.cause, access);
    case "gone":
      return;
    case "stale": {
      // It may as well be about to listen.
      if (!isTrusted(found.uid)) throw inTheWay(path, "is a socket of another user", access);
      // Somebody may have replaced it since it was probed; theirs is not ours to remove. Theirs
      // may even have the number of the inode that was freed, but not its time of change.
      const now = lstatSync(path, { throwIfNoEntry: false });
      if (now !== undefined && isSameFile(now, found) && now.ctimeMs === found.ctimeMs) {
        removeIfPresent(path);
      }
      return;
    }
    default:
      return use satisfies never;
  }
}

/** `path`: where it is going to be, for what errors say. */
function listen(
  server: Server,
  ownName: string,
  path: string,
  access: SocketAccess,
): Promise<void> {
  return new Promise((done, failed) => {
    const onError = (cause: Error) => failed(unusableFile(path, cause, access));
    server.once("error", onError);
    server.once("listening", () => {
      server.off("error", onError);
      done();
    });
    // The file is made within `listen`.
    makeWithMode(access.mode, () => server.listen(ownName, limits.localBacklogMax));
  });
}

function inTheWay(path: string, fault: string, { key }: SocketAccess): OperatorError {
  return new OperatorError(
    "E_SOCKET_FILE",
    `${path} ${fault}`,
    `Move it away, or set ${key} to another path`,
  );
}

function busy(path: string, owner: string, { key }: SocketAccess, cause?: unknown): OperatorError {
  return new OperatorError(
    "E_SOCKET_BUSY",
    `${owner} already serves ${path}`,
    `Stop it, or set ${key} to another path`,
    { cause },
  );
}

function unusableFile(path: string, cause: unknown, access: SocketAccess): OperatorError {
  return unusable(`${basename(path)} in ${dirname(path)}`, cause, access);
}

function removeIfPresent(path: string): void {
  try {
    unlinkSync(path);
  } catch (cause) {
    if (!isCode(cause, "ENOENT")) throw cause;
  }
}

function isSameFile(left: Stats, right: Stats): boolean {
  return left.ino === right.ino && left.dev === right.dev;
}
