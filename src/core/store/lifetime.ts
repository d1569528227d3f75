import { limits } from "../../protocol/limits.ts";
import type { SessionState } from "../../session/record.ts";
import { stampWallMs } from "../../session/stamp.ts";

/**
 * When a session ends. A touch is replicated only when it moves the deadline by more than a window,
 * so a peer's copy of the deadline may lag by that much and peers grant it. A node that touched the
 * session itself uses its exact deadline; it does not see a later touch elsewhere that moved the
 * deadline by less than the window, and may then end the session for its clients that much early.
 */
export function touchWindowMs(idleMs: number): number {
  const window = Math.max(limits.touchWindowMsMin, idleMs / limits.touchWindowIdleDivisor);
  return Math.floor(Math.min(window, idleMs / limits.touchWindowIdleShare));
}

/** Milliseconds since 1970 from which the session is over for this node's clients; 0: never. */
export function visibleUntilMs(state: SessionState, exactDeadlineMs: number): number {
  const { idleMs, idleDeadlineMs } = state.expiry;
  const idleEnd =
    exactDeadlineMs > 0
      ? exactDeadlineMs
      : idleDeadlineMs > 0
        ? idleDeadlineMs + touchWindowMs(idleMs)
        : 0;
  return earlier(idleEnd, state.life.absoluteDeadlineMs);
}

export function isVisible(state: SessionState, exactDeadlineMs: number, wallMs: number): boolean {
  if (!state.life.alive) return false;
  const end = visibleUntilMs(state, exactDeadlineMs);
  return end === 0 || wallMs < end;
}

/**
 * Milliseconds since 1970 from which the record itself may be forgotten; 0: never. A function of
 * replicated fields only, so that all nodes forget together and their digests stay equal.
 */
export function forgetAtMs(state: SessionState, tombstoneRetentionMs: number): number {
  if (state.life.alive) return visibleUntilMs(state, 0);
  if (state.life.stamp.time > 0) return stampWallMs(state.life.stamp.time) + tombstoneRetentionMs;
  let newest = Math.max(state.floor.time, state.expiry.stamp.time);
  for (const attribute of state.attributes) newest = Math.max(newest, attribute.stamp.time);
  return stampWallMs(newest) + limits.unbornRetentionMs;
}

function earlier(left: number, right: number): number {
  if (left === 0) return right;
  return right === 0 ? left : Math.min(left, right);
}
