import type { Attribute, SessionState } from "./record.ts";
import { compareStamps, type Stamp, stampsPerMs, stampWallMs } from "./stamp.ts";

/** A prime, so that stamps of a clock and its counter spread; in the half that nodes issue from. */
const placesPerMs = 2_039;

/** What stamps a state may keep, and by how much the clock was wrong that issued the others. */
export interface Correction {
  /** The latest stamp time that others accept. */
  readonly acceptedTime: number;
  /** By how much the wrong clock was ahead, in milliseconds. */
  readonly aheadMs: number;
}

/**
 * Gives what was stamped by a clock that ran ahead the stamps that a right clock would have given
 * it. Their order within the session stays, and none gets before what keeps its stamp: what was
 * destroyed stays destroyed, and what was replaced stays replaced. Deadlines move with the stamps.
 * In place. Returns whether there was anything to do.
 */
export function restamp(state: SessionState, correction: Correction): boolean {
  const moves = movesOf(state, correction);
  if (moves.size === 0) return false;
  const moved = (stamp: Stamp): Stamp => moves.get(keyOf(stamp)) ?? stamp;
  const earlier = (deadlineMs: number, stamp: Stamp): number => {
    if (deadlineMs === 0) return 0;
    const byMs = stampWallMs(stamp.time) - stampWallMs(moved(stamp).time);
    return Math.max(1, deadlineMs - byMs);
  };
  const { life, expiry } = state;
  const absoluteDeadlineMs = earlier(life.absoluteDeadlineMs, life.stamp);
  state.life = { stamp: moved(life.stamp), alive: life.alive, absoluteDeadlineMs };
  const idleDeadlineMs = earlier(expiry.idleDeadlineMs, expiry.stamp);
  state.expiry = { stamp: moved(expiry.stamp), idleMs: expiry.idleMs, idleDeadlineMs };
  state.floor = moved(state.floor);
  state.attributes = state.attributes.map(
    ({ name, stamp, value }): Attribute => ({ name, stamp: moved(stamp), value }),
  );
  return true;
}

/** For each stamp that is too late the one that takes its place. */
function movesOf(state: SessionState, correction: Correction): Map<string, Stamp> {
  const { acceptedTime, aheadMs } = correction;
  const late: Stamp[] = [];
  let last = 0;
  for (const stamp of stampsOf(state)) {
    if (stamp.time > acceptedTime) late.push(stamp);
    else last = Math.max(last, stamp.time);
  }
  late.sort(compareStamps);
  const moves = new Map<string, Stamp>();
  for (const stamp of late) {
    if (moves.has(keyOf(stamp))) continue;
    last = Math.max(afterwards(last, stamp), stamp.time - aheadMs * stampsPerMs);
    moves.set(keyOf(stamp), { time: last, tag: stamp.tag });
  }
  return moves;
}

/**
 * The next millisecond, at a place in it that depends on the stamp. Another node that moves another
 * late write behind the same one must not give it the same stamp: no merge could tell them apart.
 */
function afterwards(last: number, { time }: Stamp): number {
  return (Math.floor(last / stampsPerMs) + 1) * stampsPerMs + (time % placesPerMs);
}

/** The earliest of all stamps that the state has. */
export function earliestTime(state: SessionState): number {
  let earliest = Number.POSITIVE_INFINITY;
  for (const { time } of stampsOf(state)) if (time > 0) earliest = Math.min(earliest, time);
  return earliest;
}

function stampsOf({ life, floor, expiry, attributes }: SessionState): Stamp[] {
  return [life.stamp, floor, expiry.stamp, ...attributes.map(({ stamp }) => stamp)];
}

function keyOf({ time, tag }: Stamp): string {
  return `${time}:${tag}`;
}
