import { limits } from "../protocol/limits.ts";

/**
 * What a datagram under our own boot id is. `echo`: what we have sent, for the first time. `again`:
 * that it is not the first time, or that it is too old to tell. `other`: we have not sent it.
 */
export type Echo = "echo" | "again" | "other";

/**
 * The last octets of the datagrams that were sent lately, by counter: with a seal they are part of
 * its tag, which no other content under the same counter has.
 */
export class SentTails {
  readonly #tails = new Uint32Array(limits.replayWindow);
  /** 1: it has come back. */
  readonly #echoed = new Uint8Array(limits.replayWindow);
  #newest = 0;

  note(counter: number, bytes: Buffer): void {
    this.#newest = counter;
    const at = counter % limits.replayWindow;
    this.#tails[at] = tailOf(bytes);
    this.#echoed[at] = 0;
  }

  /** To be asked once of each that came. */
  echo(counter: number, bytes: Buffer): Echo {
    if (counter > this.#newest) return "other";
    if (counter <= this.#newest - limits.replayWindow) return "again";
    const at = counter % limits.replayWindow;
    if (this.#tails[at] !== tailOf(bytes)) return "other";
    if (this.#echoed[at] === 1) return "again";
    this.#echoed[at] = 1;
    return "echo";
  }
}

export function tailOf(bytes: Buffer): number {
  return bytes.readUInt32BE(bytes.length - 4);
}
