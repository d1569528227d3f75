/**
 * A stamp orders writes of the whole cluster. It is a hybrid logical clock (Kulkarni et al. 2014,
 * "Logical Physical Clocks") packed into one exact JavaScript number, plus the tag of the writer's
 * boot, which breaks ties:
 *
 *     time = (milliseconds since 2020-01-01 UTC) * 4096 + counter     exact until 2089
 *
 * The tag is drawn anew at each start, so a node that restarts with a clock set back can never
 * issue one stamp twice.
 */
export interface Stamp {
  readonly time: number;
  readonly tag: number;
}

/** The tag of a boot: half of its random part; 31 bits stay an unboxed number in memory. */
export function tagOf(boot: string): number {
  return Number.parseInt(boot.slice(-8), 16) >>> 1;
}

/** 2020-01-01T00:00:00Z in milliseconds since 1970. */
export const stampEpochMs = 1_577_836_800_000;
export const stampsPerMs = 4096;

/** Below every stamp that a node issues: "never written". */
export const zeroStamp: Stamp = Object.freeze({ time: 0, tag: 0 });

/** Negative when `left` is earlier, positive when later, 0 when they are the same write. */
export function compareStamps(left: Stamp, right: Stamp): number {
  return left.time - right.time || left.tag - right.tag;
}

export function laterStamp(left: Stamp, right: Stamp): Stamp {
  return compareStamps(left, right) >= 0 ? left : right;
}

/** The physical part of a stamp, in milliseconds since 1970. */
export function stampWallMs(time: number): number {
  return Math.floor(time / stampsPerMs) + stampEpochMs;
}

/** The smallest stamp time that a clock showing `wallMs` may issue. */
export function stampTimeOf(wallMs: number): number {
  return (Math.floor(wallMs) - stampEpochMs) * stampsPerMs;
}
