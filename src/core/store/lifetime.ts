import { limits } from "../../protocol/limits.ts";
import type { Expiry, SessionDelta, SessionState } from "../../session/record.ts";
import { stampWallMs } from "../../session/stamp.ts";

/**
 * When a session ends. A touch is replicated only when it moves the deadline by more than a window,
 * so every copy of the deadline, also that of the node which was used, may lag by that much behind
 * uses elsewhere, and every node grants it: none ends a session before idle time has passed since
 * its last use anywhere.
 */
export function touchWindowMs(idleMs: number): number {
  const window = Math.max(limits.touchWindowMsMin, idleMs / limits.touchWindowIdleDivisor);
  return Math.floor(Math.min(window, idleMs / limits.touchWindowIdleShare));
}

/** Milliseconds since 1970 from which the session is over; 0: never. */
export function visibleUntilMs(state: SessionState): number {
  return earlier(idleEndMs(state.expiry), state.life.absoluteDeadlineMs);
}

/**
 * What clients are told: idle time after the latest use that this node knows of, replicated or its
 * own. The session ends then or, because of the window, a little later. 0: never.
 */
export function expiresAtMs(state: SessionState, ownDeadlineMs: number | undefined): number {
  const idleEnd = Math.max(state.expiry.idleDeadlineMs, ownDeadlineMs ?? 0);
  return earlier(idleEnd, state.life.absoluteDeadlineMs);
}

export function isVisible(state: SessionState, wallMs: number): boolean {
  if (!state.life.alive) return false;
  const end = visibleUntilMs(state);
  return end === 0 || wallMs < end;
}

/**
 * Milliseconds since 1970 from which the record itself may be forgotten; 0: never. A function of
 * replicated fields only, so that all nodes forget together and their digests stay equal.
 */
export function forgetAtMs(state: SessionState, tombstoneRetentionMs: number): number {
  if (state.life.alive) return visibleUntilMs(state);
  if (state.life.stamp.time > 0) return stampWallMs(state.life.stamp.time) + tombstoneRetentionMs;
  let newest = Math.max(state.floor.time, state.expiry.stamp.time);
  for (const attribute of state.attributes) newest = Math.max(newest, attribute.stamp.time);
  return stampWallMs(newest) + limits.unbornRetentionMs;
}

/**
 * As above, at the latest, of any live record that this became part of; 0: never; undefined: the
 * delta does not tell, since it does not move the end.
 */
export function latestEndMs({ expiry }: SessionDelta): number | undefined {
  return expiry === undefined ? undefined : idleEndMs(expiry);
}

function idleEndMs({ idleMs, idleDeadlineMs }: Expiry): number {
  return idleDeadlineMs > 0 ? idleDeadlineMs + touchWindowMs(idleMs) : 0;
}

function earlier(left: number, right: number): number {
  if (left === 0) return right;
  return right === 0 ? left : Math.min(left, right);
}
