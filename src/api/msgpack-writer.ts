import type { Value } from "../session/record.ts";

/** Native methods of Buffer that its type declarations leave out; half the cost of `toString`. */
interface NativeBuffer extends Buffer {
  latin1Write(text: string, offset: number, length: number): number;
  utf8Write(text: string, offset: number, length: number): number;
}

/** Of a socket, what is needed to send. */
interface Sink {
  readonly writableLength: number;
  readonly writableCorked: number;
  write(bytes: Buffer): unknown;
}

const two32 = 4_294_967_296;

/**
 * Appends frames to memory that grows on demand. Several frames gather in it until the owner
 * sends them all at once.
 */
export class MsgpackWriter {
  readonly #bytesInitial: number;
  #buffer: NativeBuffer;
  #position = 0;

  constructor(bytesInitial = 65_536) {
    this.#bytesInitial = bytesInitial;
    this.#buffer = Buffer.allocUnsafe(bytesInitial) as NativeBuffer;
  }

  get position(): number {
    return this.#position;
  }

  /** Takes back everything written since. */
  truncate(position: number): void {
    this.#position = position;
  }

  /** What was written, in place. Call `renew` or `clear` before writing on. */
  written(): Buffer {
    return this.#buffer.subarray(0, this.#position);
  }

  /**
   * Sends what was written. Memory that the socket has not passed on at once stays with it; but
   * little has memory of its own where something waits already: frames of a few octets for a slow
   * reader, or for one whose socket is corked, would each keep all of this.
   */
  sendTo(socket: Sink): void {
    const isLittle = this.#position * 8 < this.#buffer.length;
    const isCopied = isLittle && (socket.writableLength > 0 || socket.writableCorked > 0);
    socket.write(isCopied ? Buffer.from(this.written()) : this.written());
    if (isCopied || socket.writableLength === 0) this.clear();
    else this.renew();
  }

  /** The memory was sent and may be used again. */
  clear(): void {
    // One large reply must not keep its memory for good.
    if (this.#buffer.length > 16 * this.#bytesInitial) this.renew();
    this.#position = 0;
  }

  /** The memory is still being sent: leave it alone and take fresh memory. */
  renew(): void {
    this.#buffer = Buffer.allocUnsafe(this.#bytesInitial) as NativeBuffer;
    this.#position = 0;
  }

  /** Leaves room for the length; returns where the body starts, for `endFrame`. */
  beginFrame(): number {
    this.#reserve(4);
    this.#position += 4;
    return this.#position;
  }

  endFrame(bodyStart: number): void {
    this.#buffer.writeUInt32BE(this.#position - bodyStart, bodyStart - 4);
  }

  nil(): void {
    this.#u8(0xc0);
  }

  boolean(value: boolean): void {
    this.#u8(value ? 0xc3 : 0xc2);
  }

  number(value: number): void {
    if (!Number.isSafeInteger(value) || value < -0x80000000) {
      this.#reserve(9);
      this.#buffer[this.#position] = 0xcb;
      this.#position = this.#buffer.writeDoubleBE(value, this.#position + 1);
    } else if (value < 0) {
      if (value >= -32) this.#u8(256 + value);
      else this.#tagged(0xd2, value + two32, 4);
    } else if (value < 0x80) this.#u8(value);
    else if (value < 0x100) this.#tagged(0xcc, value, 1);
    else if (value < 0x10000) this.#tagged(0xcd, value, 2);
    else if (value < two32) this.#tagged(0xce, value, 4);
    else {
      this.#tagged(0xcf, Math.floor(value / two32), 4);
      this.#unsigned(value % two32, 4);
    }
  }

  text(value: string): void {
    const length = value.length;
    this.#reserve(5 + length * 3);
    // Names and most ids are short: a loop copies them faster than a call into native code.
    if (length < 32 && this.#shortAscii(value)) return;
    const bytes = Buffer.byteLength(value);
    if (bytes < 32) this.#u8(0xa0 | bytes);
    else if (bytes < 0x100) this.#tagged(0xd9, bytes, 1);
    else if (bytes < 0x10000) this.#tagged(0xda, bytes, 2);
    else this.#tagged(0xdb, bytes, 4);
    this.#buffer.utf8Write(value, this.#position, bytes);
    this.#position += bytes;
  }

  /** What was read as a value by `textValue`. */
  textValue(value: Value): void {
    this.#reserve(2);
    this.#tagged(0xd9, value.length, 1);
    this.#latin1(value);
  }

  value(value: Value): void {
    this.#binaryHeader(value.length);
    this.#latin1(value);
  }

  #latin1(value: Value): void {
    const bytes = value.length;
    this.#reserve(bytes);
    // A call into native code costs as much as so many characters.
    if (bytes < 24) {
      for (let index = 0; index < bytes; index++) {
        this.#buffer[this.#position + index] = value.charCodeAt(index);
      }
    } else this.#buffer.latin1Write(value, this.#position, bytes);
    this.#position += bytes;
  }

  bytes(value: Uint8Array): void {
    this.#binaryHeader(value.length);
    this.#buffer.set(value, this.#position);
    this.#position += value.length;
  }

  /** A `bin` whose content is written by `body`, as MessagePack of its own. */
  nested(body: () => void): void {
    this.#binaryHeader(0xffff_ffff, 0);
    const start = this.#position;
    body();
    this.#buffer.writeUInt32BE(this.#position - start, start - 4);
  }

  arrayHeader(count: number): void {
    this.#header(0x90, 0xdc, count);
  }

  mapHeader(count: number): void {
    this.#header(0x80, 0xde, count);
  }

  #header(short: number, long: number, count: number): void {
    if (count < 16) this.#u8(short | count);
    else if (count < 0x10000) this.#tagged(long, count, 2);
    else this.#tagged(long + 1, count, 4);
  }

  #shortAscii(value: string): boolean {
    const start = this.#position + 1;
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index);
      if (unit >= 0x80) return false;
      this.#buffer[start + index] = unit;
    }
    this.#buffer[this.#position] = 0xa0 | value.length;
    this.#position = start + value.length;
    return true;
  }

  #binaryHeader(bytes: number, reserved = bytes): void {
    this.#reserve(5 + reserved);
    if (bytes < 0x100) this.#tagged(0xc4, bytes, 1);
    else if (bytes < 0x10000) this.#tagged(0xc5, bytes, 2);
    else this.#tagged(0xc6, bytes, 4);
  }

  #tagged(tag: number, value: number, bytes: 1 | 2 | 4): void {
    this.#reserve(1 + bytes);
    this.#buffer[this.#position++] = tag;
    this.#unsigned(value, bytes);
  }

  #unsigned(value: number, bytes: 1 | 2 | 4): void {
    this.#reserve(bytes);
    const buffer = this.#buffer;
    if (bytes === 4) {
      buffer[this.#position++] = value >>> 24;
      buffer[this.#position++] = value >>> 16;
    }
    if (bytes !== 1) buffer[this.#position++] = value >>> 8;
    buffer[this.#position++] = value;
  }

  #u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#position++] = value;
  }

  #reserve(bytes: number): void {
    const needed = this.#position + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length)) as NativeBuffer;
    this.#buffer.copy(grown, 0, 0, this.#position);
    this.#buffer = grown;
  }
}
