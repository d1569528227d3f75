import { assert } from "../base/assert.ts";
import { stampTimeOf, stampWallMs } from "./stamp.ts";

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
  readonly #driftMaxMs: number;

  constructor(driftMaxMs: number) {
    assert(driftMaxMs >= 0, "clock drift limit is not negative");
    this.#driftMaxMs = driftMaxMs;
  }

  /** The next stamp time: greater than every one issued or observed before. */
  issue(wallMs: number): number {
    this.#time = Math.max(this.#time + 1, stampTimeOf(wallMs));
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

  /** The last time issued or observed. */
  get time(): number {
    return this.#time;
  }
}
