import { traceOf } from "../base/error-trace.ts";
import { OperatorError } from "../base/operator-error.ts";
import { printable } from "./format.ts";
import { printError } from "./output.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Says on stderr what is wrong and returns the exit code. A stack is shown only for our bugs, and
 * without the message: it may quote a session.
 */
export function reportError(error: unknown): number {
  if (error instanceof UsageError) {
    const fact = sentences(error.message.replaceAll("\0", ""));
    printError(`sessioncast: ${fact}. See sessioncast --help (E_USAGE)`);
    return 2;
  }
  if (error instanceof OperatorError) {
    printError(`sessioncast: ${sentences(error.fact, error.remedy)} (${error.code})`);
    return 1;
  }
  if (isSessioncastError(error)) {
    const remedy = remedyOf(error);
    printError(`sessioncast: ${sentences(error.message, remedy)} (${error.code})`);
    return 1;
  }
  printError(`sessioncast: this is a bug in sessioncast (E_UNEXPECTED)\n${traceOf(error)}`);
  return 1;
}

/** What Node prints of an error that nobody caught has its message and all of its properties. */
export function reportCrashes(): void {
  process.on("uncaughtException", (error) => process.exit(reportError(error)));
}

/** The library says what is the case; what to do about it differs for apps and for a command. */
const remedies: ReadonlyMap<string, string> = new Map([
  ["SESSIONCAST_UNAVAILABLE", "Run sessioncast start, or name its socket with --socket"],
  ["SESSIONCAST_TIMEOUT", "Try again; if it stays so, look at the log of the sidecar"],
  ["SESSIONCAST_FORBIDDEN", "Name the socket that apps use with --socket (local.socket)"],
  ["SESSIONCAST_PROTOCOL", "Use the same version of sessioncast for the sidecar and this command"],
]);

function remedyOf(error: CodedError): string | undefined {
  if (isDenied(error.cause)) return remedyOfDenied;
  return error.message.includes("just started") ? remedyOfStarted : remedies.get(error.code);
}

const remedyOfStarted = "Try again in a moment; sessioncast stats shows when its state is ready";
const remedyOfDenied = "Run this as a user who is in the group of the socket and its directory";

/** The sidecar may well run; see `local.socketMode`. */
function isDenied(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "EACCES";
}

function sentences(...parts: readonly (string | undefined)[]): string {
  const known = parts.filter((part) => part !== undefined);
  return known.map((part) => printable(part).replace(/\.$/, "")).join(". ");
}

interface CodedError extends Error {
  readonly code: string;
}

/** By its name: importing the client library only to compare classes would slow every command. */
function isSessioncastError(error: unknown): error is CodedError {
  return (
    error instanceof Error &&
    error.name === "SessioncastError" &&
    "code" in error &&
    typeof error.code === "string"
  );
}
