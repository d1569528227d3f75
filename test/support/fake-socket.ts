import assert from "node:assert/strict";
import { EventEmitter } from "node:events";

/**
 * What a connection of the server needs of a socket, in memory. Its other side reads at once, or
 * what a test says when it says so; until then octets wait where they are, uncopied.
 */
export class FakeSocket extends EventEmitter {
  /** What the other side has read. */
  readonly taken: Buffer[] = [];
  /** How many there were. */
  writes = 0;
  writableLength = 0;
  writableCorked = 0;
  ended = false;
  destroyed = false;
  readonly #readsAtOnce: boolean;
  readonly #onWrite: (octets: Buffer) => void;
  #waiting: Buffer[] = [];
  #isPaused = false;
  #needsDrain = false;

  constructor(readsAtOnce: boolean, onWrite: (octets: Buffer) => void) {
    super();
    this.#readsAtOnce = readsAtOnce;
    this.#onWrite = onWrite;
  }

  get writable(): boolean {
    return !this.ended && !this.destroyed;
  }

  write(octets: Buffer): boolean {
    assert(this.writable, "nothing is written after the end");
    this.#onWrite(octets);
    this.writes += 1;
    this.#waiting.push(octets);
    this.writableLength += octets.length;
    if (this.writableCorked === 0) this.#readAtOnce();
    this.#needsDrain ||= this.writableLength > 0;
    return !this.#needsDrain;
  }

  /** The other side reads so many octets. */
  read(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const [first] = this.#waiting;
      if (first === undefined) break;
      const part = first.subarray(0, left);
      this.taken.push(Buffer.from(part));
      left -= part.length;
      this.writableLength -= part.length;
      if (part.length === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(part.length);
    }
    if (this.writableLength > 0 || !this.#needsDrain || this.destroyed) return;
    this.#needsDrain = false;
    this.emit("drain");
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  cork(): void {
    this.writableCorked += 1;
  }

  uncork(): void {
    this.writableCorked -= 1;
    if (this.writableCorked === 0) this.#readAtOnce();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  isPaused(): boolean {
    return this.#isPaused;
  }

  #readAtOnce(): void {
    if (this.#readsAtOnce) this.read(this.writableLength);
  }
}
