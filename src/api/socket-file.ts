import { linkSync, lstatSync, mkdirSync, type Stats, unlinkSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { OperatorError } from "../base/operator-error.ts";
import { limits } from "../protocol/limits.ts";
import { probeSocket } from "./socket-probe.ts";

export interface SocketPath {
  /** Removes the file, unless it is another server's by now. Once is enough; more does no harm. */
  release(): void;
}

/** Tells apart the names that servers of one process listen under at first. */
let attempts = 0;

/**
 * Has the server listen on a Unix socket of mode 0660. What a dead server left there is replaced;
 * a live one's socket, and anything that is no socket, is left alone and reported.
 */
export async function takeSocketPath(server: Server, path: string): Promise<SocketPath> {
  const directory = dirname(resolve(path));
  // Listening makes the file under a name of its own and then links it to the path. A link never
  // replaces anything, so of two servers that start together one gets an error instead of both
  // believing that the path is theirs. And libuv removes the name that it was given when the
  // server closes, whoever owns that by then: this way it can only be a name that nobody uses.
  const ownName = join(directory, `.${process.pid.toString(36)}-${attempts++}`);
  requireShort(path, resolve(path), ownName);
  prepareDirectory(directory);
  await clearPath(path);
  removeIfPresent(ownName);
  await listen(server, ownName);
  try {
    linkSync(ownName, path);
  } catch (cause) {
    server.close();
    if (!isCode(cause, "EEXIST")) throw unusable(path, cause);
    throw busy(path, "a process that started at the same moment", cause);
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

function requireShort(path: string, ...names: readonly string[]): void {
  const bytes = Math.max(...names.map((name) => Buffer.byteLength(name)));
  if (bytes <= limits.localSocketPathBytesMax) return;
  throw new OperatorError(
    "E_SOCKET_PATH",
    `the socket path ${path} needs ${bytes} bytes; the system takes at most ` +
      `${limits.localSocketPathBytesMax}`,
    "Set local.socket to a shorter path",
  );
}

/**
 * In a directory that anybody may write to, somebody else could have put ours there first and
 * would then decide what apps connect to.
 */
function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(directory, cause);
  }
  const shared = resolve(tmpdir());
  const below = relative(shared, directory);
  if (below === "" || below.startsWith("..")) return;
  let part = shared;
  for (const name of below.split(sep)) {
    part = join(part, name);
    const fault = directoryFault(lstatSync(part));
    if (fault === undefined) continue;
    throw new OperatorError(
      "E_SOCKET_DIRECTORY",
      `${part}, which is to hold the socket, ${fault}`,
      "Remove it, or set local.socket to a path in a directory of your own",
    );
  }
}

function directoryFault(found: Stats): string | undefined {
  if (found.isSymbolicLink()) return "is a symbolic link";
  if (!found.isDirectory()) return "is not a directory";
  const owner = process.getuid?.() ?? found.uid;
  return found.uid === owner || found.uid === 0 ? undefined : "belongs to another user";
}

async function clearPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new OperatorError(
      "E_SOCKET_FILE",
      `${path} exists and is not a socket`,
      "Move it away, or set local.socket to another path",
    );
  }
  const use = await probeSocket(path);
  switch (use.kind) {
    case "live":
      throw busy(path, use.owner);
    case "unknown":
      throw unusable(path, use.cause);
    case "gone":
      return;
    case "stale": {
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

function listen(server: Server, path: string): Promise<void> {
  return new Promise((done, failed) => {
    const onError = (cause: Error) => failed(unusable(path, cause));
    server.once("error", onError);
    server.once("listening", () => {
      server.off("error", onError);
      done();
    });
    // The file is made within `listen`; changing its mode afterwards would leave it open to
    // everybody for a moment.
    const mask = process.umask(0o117);
    try {
      server.listen(path);
    } finally {
      process.umask(mask);
    }
  });
}

function busy(path: string, owner: string, cause?: unknown): OperatorError {
  return new OperatorError(
    "E_SOCKET_BUSY",
    `${owner} already serves ${path}`,
    "Stop it, or set local.socket to another path",
    { cause },
  );
}

function unusable(path: string, cause: unknown): OperatorError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
  return new OperatorError(
    "E_SOCKET_UNUSABLE",
    `${basename(path)} in ${dirname(path)} cannot be used (${code})`,
    "Give this user write access to the directory, or set local.socket to another path",
    { cause },
  );
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

function isCode(cause: unknown, code: string): boolean {
  return cause instanceof Error && "code" in cause && cause.code === code;
}
