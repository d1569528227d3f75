import { limits } from "../protocol/limits.ts";

/**
 * The last octets of the datagrams that were sent lately, by counter: with a seal they are part of
 * its tag, which no other content under the same counter has.
 */
export class SentTails {
  readonly #tails = new Uint32Array(limits.replayWindow);
  #newest = 0;

  note(counter: number, bytes: Buffer): void {
    this.#newest = counter;
    this.#tails[counter % limits.replayWindow] = tailOf(bytes);
  }

  /** Whether this counter was used for something else. False also: that is not remembered. */
  differs(counter: number, bytes: Buffer): boolean {
    if (counter > this.#newest || counter <= this.#newest - limits.replayWindow) return false;
    return this.#tails[counter % limits.replayWindow] !== tailOf(bytes);
  }
}

export function tailOf(bytes: Buffer): number {
  return bytes.readUInt32BE(bytes.length - 4);
}
