import { limits } from "../../protocol/limits.ts";

/** Takes the octets of a transfer in order and hands out the blocks in them as they complete. */
export class BlockAssembler {
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /** The blocks that this piece completes; undefined: the octets are not a transfer's. */
  feed(piece: Uint8Array): Uint8Array[] | undefined {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    const blocks: Uint8Array[] = [];
    while (this.#bytes >= 4) {
      const length = this.#peekLength();
      if (length === 0 || length > limits.transferBlockBytesMax) return undefined;
      if (this.#bytes < 4 + length) break;
      const whole = this.#join();
      blocks.push(whole.subarray(4, 4 + length));
      const rest = whole.subarray(4 + length);
      this.#pieces = rest.length === 0 ? [] : [rest];
      this.#bytes = rest.length;
    }
    return blocks;
  }

  /** Whether everything fed so far has been handed out. */
  get empty(): boolean {
    return this.#bytes === 0;
  }

  #peekLength(): number {
    let length = 0;
    let read = 0;
    for (const piece of this.#pieces) {
      for (const octet of piece) {
        length = length * 256 + octet;
        read += 1;
        if (read === 4) return length;
      }
    }
    return length;
  }

  #join(): Uint8Array {
    if (this.#pieces.length === 1 && this.#pieces[0] !== undefined) return this.#pieces[0];
    const whole = new Uint8Array(this.#bytes);
    let position = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, position);
      position += piece.length;
    }
    return whole;
  }
}
