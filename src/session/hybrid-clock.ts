import { assert } from "../base/assert.ts";
import { stampsPerMs, stampTimeOf, stampWallMs } from "./stamp.ts";

/**
 * Issues stamp times that only ever grow, whatever the wall clock does, and that are later than
 * everything seen from peers. Physical time comes in as an argument.
 *
 * A peer whose clock runs ahead would drag everybody's clock with it and its writes would beat all
 * later ones. So `observe` refuses what is more than `driftMaxMs` ahead and leaves the clock as it
 * was: the caller drops that peer's writes and says that it is skewed. Only the future is checked:
 * an old stamp is merely an old write.
 */
export class HybridClock {
  #time = 0;
  /** Up to here stamps were issued before the clock was set back. */
  #usedTime = 0;
  readonly #driftMaxMs: number;

  constructor(driftMaxMs: number) {
    assert(driftMaxMs >= 0, "clock drift limit is not negative");
    this.#driftMaxMs = driftMaxMs;
  }

  /** The next stamp time: greater than every one issued or observed before. */
  issue(wallMs: number): number {
    this.#time = Math.max(this.#time + 1, stampTimeOf(wallMs));
    if (this.#time <= this.#usedTime) this.#time = inUpperHalf(this.#time);
    return this.#time;
  }

  /** Takes note of a peer's stamp time. False: it is too far ahead and was ignored. */
  observe(time: number, wallMs: number): boolean {
    if (this.isAhead(time, wallMs)) return false;
    if (time > this.#time) this.#time = time;
    return true;
  }

  isAhead(time: number, wallMs: number): boolean {
    return stampWallMs(time) > wallMs + this.#driftMaxMs;
  }

  /**
   * Goes back, for a node whose clock ran ahead and was set right. Times that were issued meanwhile
   * come once more, and are not issued again: nobody issues half of the stamps that a millisecond
   * has, so the other half was left. It may go on a little instead, where what was stamped in the
   * future had to stay behind what was not.
   */
  setRight(time: number): void {
    this.#usedTime = Math.max(this.#usedTime, this.#time);
    this.#time = time;
  }

  /** The last time issued or observed. */
  get time(): number {
    return this.#time;
  }
}

/** The first time not before this one whose counter is in the upper half of its millisecond. */
function inUpperHalf(time: number): number {
  const counter = time % stampsPerMs;
  return counter >= stampsPerMs / 2 ? time : time - counter + stampsPerMs / 2;
}
