import { limits } from "../../protocol/limits.ts";

/** Blocks of whole records, or of stubs. */
export interface TransferBlock {
  readonly kind: "records" | "stubs";
  readonly bytes: Uint8Array;
}

const kinds: readonly TransferBlock["kind"][] = ["records", "stubs"];
/** Before each block: what it is, as u8, and its length, as u32. */
const headBytes = 5;

export function framed({ kind, bytes }: TransferBlock): Uint8Array {
  const framedBytes = new Uint8Array(headBytes + bytes.length);
  framedBytes[0] = kinds.indexOf(kind);
  new DataView(framedBytes.buffer).setUint32(1, bytes.length);
  framedBytes.set(bytes, headBytes);
  return framedBytes;
}

/** Takes the octets of a transfer in order and hands out the blocks in them as they complete. */
export class BlockAssembler {
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /** The blocks that this piece completes; undefined: the octets are not a transfer's. */
  feed(piece: Uint8Array): TransferBlock[] | undefined {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    const blocks: TransferBlock[] = [];
    while (this.#bytes >= headBytes) {
      const { kind, length } = this.#peekHead();
      if (kind === undefined) return undefined;
      if (length === 0 || length > limits.transferBlockBytesMax) return undefined;
      if (this.#bytes < headBytes + length) break;
      const whole = this.#join();
      blocks.push({ kind, bytes: whole.subarray(headBytes, headBytes + length) });
      const rest = whole.subarray(headBytes + length);
      this.#pieces = rest.length === 0 ? [] : [rest];
      this.#bytes = rest.length;
    }
    return blocks;
  }

  /** Whether everything fed so far has been handed out. */
  get empty(): boolean {
    return this.#bytes === 0;
  }

  #peekHead(): { readonly kind: TransferBlock["kind"] | undefined; readonly length: number } {
    const head: number[] = [];
    for (const piece of this.#pieces) {
      head.push(...piece.subarray(0, headBytes - head.length));
      if (head.length === headBytes) break;
    }
    const [kind = 0, ...length] = head;
    return { kind: kinds[kind], length: length.reduce((sum, octet) => sum * 256 + octet, 0) };
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
