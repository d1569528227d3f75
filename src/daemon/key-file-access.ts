import { realpathSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { OperatorError } from "../base/operator-error.ts";
import { shellWord } from "../base/shell-word.ts";

/** Windows has other means than modes and owners; there the checks of both do not apply. */
const hasModes = process.platform !== "win32";
const othersMask = 0o077;
const groupRead = 0o040;

/** What was opened, and what it was named by. */
export interface OpenedKeyFile {
  readonly path: string;
  readonly found: Pick<Stats, "isFile" | "mode" | "uid">;
  /** Whether it lies where the service manager puts credentials; see `isCredential`. */
  readonly credential: boolean;
}

/** Throws OperatorError: E_KEY_FILE (no file), E_KEY_MODE (not private). */
export function requirePrivate(file: OpenedKeyFile, accepts: (owner: number) => boolean): void {
  const { path, found } = file;
  if (!found.isFile()) {
    throw new OperatorError("E_KEY_FILE", `${path} is not a regular file`, "Name a key file");
  }
  if (!hasModes) return;
  if (!accepts(found.uid)) {
    throw new OperatorError(
      "E_KEY_MODE",
      `the key file ${path} belongs to another user (${found.uid})`,
      `Give it to the user that runs the sidecar: chown ${userId()} ${shellWord(path)}`,
    );
  }
  if ((found.mode & othersMask & ~maskOfList(file)) === 0) return;
  const mode = (found.mode & 0o777).toString(8).padStart(4, "0");
  throw new OperatorError(
    "E_KEY_MODE",
    `the key file ${path} is open to others than its owner (mode ${mode})`,
    `Run chmod 600 ${shellWord(path)}, and change the keys if somebody may have read them`,
  );
}

/**
 * systemd lets the user of a service read root's credential by an access control list. Its mask
 * shows as a right of the group, which has none, and nobody can take it away.
 */
function maskOfList({ found, credential }: OpenedKeyFile): number {
  return credential && found.uid === 0 ? groupRead : 0;
}

/**
 * Whether a file is directly in the directory that CREDENTIALS_DIRECTORY names. `real` is where the
 * file is without links: one in there may lead anywhere.
 */
export function isCredential(real: string, directory: string | undefined): boolean {
  if (directory === undefined) return false;
  try {
    return dirname(real) === realpathSync(directory);
  } catch {
    return false;
  }
}

/** Who else owns the file could change it, and its mode, at any time. */
export function isTrusted(owner: number): boolean {
  return owner === 0 || owner === userId();
}

/** Root gives the file back to its owner, so it may work on everybody's. */
export function mayEdit(owner: number): boolean {
  return isTrusted(owner) || userId() === 0;
}

export function userId(): number {
  return process.getuid?.() ?? 0;
}
