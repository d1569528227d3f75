import { existsSync, lstatSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** What the choice of a path depends on; by default that of this process. */
export interface SocketSurroundings {
  readonly environment: {
    readonly SESSIONCAST_SOCKET?: string | undefined;
    readonly XDG_RUNTIME_DIR?: string | undefined;
  };
  /** Of the user; undefined where the system has no such thing. */
  readonly userId: number | undefined;
  readonly temporaryDirectory: string;
}

const systemDirectory = "/run/sessioncast";
const fileName = "sessioncast.sock";

/**
 * Where a sidecar listens when nothing is configured: the first of the candidates whose directory
 * this user can own.
 */
export function daemonSocketPath(surroundings = ownSurroundings()): string {
  const { environment, userId } = surroundings;
  const explicit = environment.SESSIONCAST_SOCKET;
  if (explicit) return explicit;
  const ofSystem = join(systemDirectory, fileName);
  if (userId === 0) return ofSystem;
  const ofSession = sessionPath(environment);
  if (ofSession !== undefined) return ofSession;
  // A service manager may have made the directory for a user of the service's own.
  const ownsSystem = userId !== undefined && ownerOf(systemDirectory) === userId;
  return ownsSystem ? ofSystem : temporaryPath(surroundings);
}

/**
 * Where an app looks for its sidecar: the first candidate that exists, and when none does, where
 * a sidecar of the same user would listen. Worth asking again before each attempt to connect.
 */
export function clientSocketPath(surroundings = ownSurroundings()): string {
  const explicit = surroundings.environment.SESSIONCAST_SOCKET;
  if (explicit) return explicit;
  const path = socketCandidates(surroundings).find(existsSync) ?? daemonSocketPath(surroundings);
  if (path !== temporaryPath(surroundings) || isOwn(dirname(path), surroundings)) return path;
  // Where anybody may make names, somebody else may have made this one, or may be about to, in
  // order to be given sessions. In the system's directory only root can.
  return join(systemDirectory, fileName);
}

export function socketCandidates(surroundings = ownSurroundings()): string[] {
  const ofSession = sessionPath(surroundings.environment);
  const others = [join(systemDirectory, fileName), temporaryPath(surroundings)];
  return ofSession === undefined ? others : [ofSession, ...others];
}

function sessionPath(environment: SocketSurroundings["environment"]): string | undefined {
  const directory = environment.XDG_RUNTIME_DIR;
  return directory ? join(directory, "sessioncast", fileName) : undefined;
}

function temporaryPath({ temporaryDirectory, userId }: SocketSurroundings): string {
  return join(temporaryDirectory, `sessioncast-${userId ?? "user"}`, fileName);
}

function isOwn(directory: string, { userId }: SocketSurroundings): boolean {
  if (userId === undefined) return true;
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory()) return false;
  return (found.uid === userId || found.uid === 0) && (found.mode & 0o002) === 0;
}

function ownerOf(directory: string): number | undefined {
  return statSync(directory, { throwIfNoEntry: false })?.uid;
}

function ownSurroundings(): SocketSurroundings {
  return {
    environment: process.env,
    userId: process.getuid?.(),
    temporaryDirectory: tmpdir(),
  };
}
