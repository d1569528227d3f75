import { limits } from "../../protocol/limits.ts";

/** Blocks of whole records, or of stubs. */
export interface TransferBlock {
  readonly kind: "records" | "stubs";
  readonly bytes: Uint8Array;
}

const kinds: readonly TransferBlock["kind"][] = ["records", "stubs"];
/** Before each block: what it is, as u8, and its length, as u32. */
const headBytes = 5;
/** Room for a block of the usual size and the chunks that come with its end. */
const roomBytes = 4 * limits.transferBlockBytes;

export function framed({ kind, bytes }: TransferBlock): Uint8Array {
  const framedBytes = new Uint8Array(headBytes + bytes.length);
  framedBytes[0] = kinds.indexOf(kind);
  new DataView(framedBytes.buffer).setUint32(1, bytes.length);
  framedBytes.set(bytes, headBytes);
  return framedBytes;
}

/**
 * Takes the octets of a transfer in order and hands out the blocks in them as they complete. All go
 * through one buffer: a transfer of many chunks would else be as many allocations.
 */
export class BlockAssembler {
  #buffer = new Uint8Array(roomBytes);
  #start = 0;
  #end = 0;

  /** Copies the piece; the blocks handed out before are no longer valid. */
  feed(piece: Uint8Array): void {
    if (this.#end + piece.length > this.#buffer.length) this.#makeRoom(piece.length);
    this.#buffer.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** The blocks that are complete, as views; undefined: the octets are not a transfer's. */
  take(): TransferBlock[] | undefined {
    const blocks: TransferBlock[] = [];
    while (this.#end - this.#start >= headBytes) {
      const kind = kinds[this.#buffer[this.#start] as number];
      const length = this.#lengthAt(this.#start + 1);
      if (kind === undefined) return undefined;
      if (length === 0 || length > limits.transferBlockBytesMax) return undefined;
      const first = this.#start + headBytes;
      if (this.#end < first + length) break;
      blocks.push({ kind, bytes: this.#buffer.subarray(first, first + length) });
      this.#start = first + length;
    }
    return blocks;
  }

  /** Whether everything fed so far has been handed out. */
  get empty(): boolean {
    return this.#start === this.#end;
  }

  #lengthAt(index: number): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#buffer.subarray(index, index + 4);
    return ((a * 256 + b) * 256 + c) * 256 + d;
  }

  /** Moves what is left to the front, of a larger buffer if it must be. */
  #makeRoom(bytes: number): void {
    const left = this.#buffer.subarray(this.#start, this.#end);
    const needed = left.length + bytes;
    if (needed > this.#buffer.length) this.#buffer = new Uint8Array(needed * 2);
    this.#buffer.set(left);
    this.#start = 0;
    this.#end = left.length;
  }
}
