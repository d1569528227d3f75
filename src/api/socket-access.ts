import { OperatorError } from "../base/operator-error.ts";

/** Who may use a socket, and what else its operator decides about it. */
export interface SocketAccess {
  /** As chmod takes it. */
  readonly mode: number;
  /** Likewise, of directories that have to be made for it. */
  readonly directoryMode: number;
  /** Takes a directory in which anybody may put something else in place of the socket. */
  readonly insecureDirectory: boolean;
  /** The configuration key that names the path, for what errors advise. */
  readonly key: string;
}

export const ownerAndGroup: SocketAccess = {
  mode: 0o660,
  directoryMode: 0o750,
  insecureDirectory: false,
  key: "local.socket",
};

/**
 * What `make` makes has this mode from its first moment: a chmod afterwards would come too late,
 * and what the umask of this process happens to be must not matter.
 */
export function makeWithMode<T>(mode: number, make: () => T): T {
  const mask = process.umask(0o777 & ~mode);
  try {
    return make();
  } finally {
    process.umask(mask);
  }
}

/** Root could do as it likes anyway. */
export function isTrusted(userId: number): boolean {
  return userId === 0 || userId === (process.getuid?.() ?? userId);
}

export function isCode(cause: unknown, code: string): boolean {
  return cause instanceof Error && "code" in cause && cause.code === code;
}

/** `what`: as the operator shall read it. */
export function unusable(what: string, cause: unknown, { key }: SocketAccess): OperatorError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
  return new OperatorError(
    "E_SOCKET_UNUSABLE",
    `${what} cannot be used (${code})`,
    `Give this user write access to the directory, or set ${key} to another path`,
    { cause },
  );
}
