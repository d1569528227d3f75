import { assert } from "../base/assert.ts";

/** A native method of Buffer that its type declarations leave out; half the cost of `write`. */
interface NativeBuffer extends Buffer {
  latin1Write(text: string, offset: number, length: number): number;
}

/**
 * Appends big-endian numbers, text and octets to memory that grows on demand. Sizes are checked by
 * whoever packs; a number out of range is our bug and meets an assertion.
 */
export class ByteWriter {
  #buffer: NativeBuffer;
  position = 0;

  constructor(bytesInitial = 2048) {
    this.#buffer = Buffer.allocUnsafe(bytesInitial) as NativeBuffer;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.position++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.position = this.#buffer.writeUInt16BE(value, this.position);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.position = this.#buffer.writeUInt32BE(value, this.position);
  }

  u48(value: number): void {
    this.#reserve(6);
    this.position = this.#buffer.writeUIntBE(value, this.position, 6);
  }

  /** An integer below 2^53 in 64 bits. */
  u64(value: number): void {
    this.u32(Math.floor(value / 4_294_967_296));
    this.u32(value >>> 0);
  }

  /** An integer below 2^53, seven bits an octet, the lowest first. */
  varint(value: number): void {
    assert(value >= 0 && value <= Number.MAX_SAFE_INTEGER, "a varint is a safe natural number");
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#buffer[this.position++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.position++] = rest;
  }

  /** UTF-8 of at most 255 octets behind an octet of length. */
  text(value: string): void {
    this.#reserve(1 + value.length * 3);
    const start = this.position + 1;
    // Ids and names are short and nearly always ASCII: this loop beats the call into native code.
    let index = 0;
    for (; index < value.length; index++) {
      const unit = value.charCodeAt(index);
      if (unit >= 128) break;
      this.#buffer[start + index] = unit;
    }
    const bytes = index === value.length ? index : this.#buffer.write(value, start, "utf8");
    assert(bytes <= 255, "text has at most 255 octets");
    this.#buffer[start - 1] = bytes;
    this.position = start + bytes;
  }

  /** A binary string, one octet a character. */
  binary(value: string): void {
    this.#reserve(value.length);
    this.#buffer.latin1Write(value, this.position, value.length);
    this.position += value.length;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.position);
    this.position += value.length;
  }

  hex(value: string): void {
    this.#reserve(value.length / 2);
    this.position += this.#buffer.write(value, this.position, "hex");
  }

  /** What was written, in the writer's memory: what is written next may overwrite it. */
  written(): Buffer {
    return this.#buffer.subarray(0, this.position);
  }

  /** Overwrites the 16 bits at `position`, for lengths known only afterwards. */
  patchU16(position: number, value: number): void {
    this.#buffer.writeUInt16BE(value, position);
  }

  #reserve(bytes: number): void {
    const needed = this.position + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2)) as NativeBuffer;
    this.#buffer.copy(grown, 0, 0, this.position);
    this.#buffer = grown;
  }
}
