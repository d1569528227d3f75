import { ErrorCode } from "../api/messages.ts";
import { traceOf } from "../base/error-trace.ts";

/**
 * - `SESSIONCAST_INVALID`: an argument is not allowed, or a value cannot be packed or unpacked;
 * - `SESSIONCAST_CONFLICT`: `create` of a session that is alive, `rotate` to one, or `ifStamp` of a
 *   session that was written since;
 * - `SESSIONCAST_TOO_LARGE`: the session, or what was to be sent, is too large;
 * - `SESSIONCAST_BEHIND`: the write that `atLeast` names did not come in time;
 * - `SESSIONCAST_FORBIDDEN`: this is the stats socket, which tells of no sessions;
 * - `SESSIONCAST_KEYS`: the key file cannot be used, and the keys are as they were;
 * - `SESSIONCAST_PROTOCOL`: client and sidecar do not understand each other;
 * - `SESSIONCAST_UNAVAILABLE`: no sidecar, or the connection broke. A write may have been done;
 * - `SESSIONCAST_TIMEOUT`: no answer in time. A write may have been done, or be done yet;
 * - `SESSIONCAST_CLOSED`: `close()` was called.
 */
export type SessioncastErrorCode = ErrorCode | "SESSIONCAST_TIMEOUT" | "SESSIONCAST_CLOSED";

const codesOfSidecar: readonly string[] = Object.values(ErrorCode);

/** What every method of the client rejects with. Messages never hold session ids or values. */
export class SessioncastError extends Error {
  override name = "SessioncastError";
  readonly code: SessioncastErrorCode;

  constructor(code: SessioncastErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** From a reply. A later sidecar may know codes that this client does not. */
export function errorOfReply(reply: { code: string; message: string }): SessioncastError {
  const known = codesOfSidecar.includes(reply.code);
  return new SessioncastError(
    known ? (reply.code as ErrorCode) : ErrorCode.protocol,
    reply.message,
  );
}

/** Of the cause it tells the kind and the place: its words may quote the value that was wrong. */
export function invalid(message: string, cause?: unknown): SessioncastError {
  const options = cause === undefined ? undefined : { cause: traceOf(cause) };
  return new SessioncastError(ErrorCode.invalid, message, options);
}

export function unavailable(message: string, cause?: unknown): SessioncastError {
  return new SessioncastError(ErrorCode.unavailable, message, { cause });
}

export function timedOut(timeoutMs: number): SessioncastError {
  const message = `the sidecar has not answered within ${timeoutMs} ms`;
  return new SessioncastError("SESSIONCAST_TIMEOUT", message);
}

export function malformedReply(): SessioncastError {
  return new SessioncastError(ErrorCode.protocol, "the sidecar sent a reply that makes no sense");
}
