import { isUtf8 } from "node:buffer";
import { TextCache } from "../base/text-cache.ts";

/** A native method of Buffer that its type declarations leave out; half the cost of `toString`. */
interface NativeBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
}

const names = new TextCache();

/**
 * Reads foreign octets. It never throws: past the end, or at a malformed number, it turns `failed`
 * and returns zeros from then on, so a parser checks once at the end instead of at every step.
 */
export class ByteReader {
  readonly #buffer: NativeBuffer;
  readonly #end: number;
  #position: number;
  #failed = false;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#buffer = (
      Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    ) as NativeBuffer;
    this.#position = start;
    this.#end = end;
  }

  get failed(): boolean {
    return this.#failed;
  }

  get remaining(): number {
    return this.#failed ? 0 : this.#end - this.#position;
  }

  /** For rules that only the parser knows. */
  fail(): void {
    this.#failed = true;
  }

  u8(): number {
    return this.#take(1) ? (this.#buffer[this.#position - 1] as number) : 0;
  }

  u16(): number {
    return this.#take(2) ? this.#buffer.readUInt16BE(this.#position - 2) : 0;
  }

  u32(): number {
    return this.#take(4) ? this.#buffer.readUInt32BE(this.#position - 4) : 0;
  }

  u48(): number {
    return this.#take(6) ? this.#buffer.readUIntBE(this.#position - 6, 6) : 0;
  }

  u64(): number {
    const high = this.u32();
    const low = this.u32();
    if (high >= 2_097_152) this.#failed = true;
    return this.#failed ? 0 : high * 4_294_967_296 + low;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let octets = 0; octets < 8; octets++) {
      const octet = this.u8();
      value += (octet & 127) * scale;
      if (octet < 128) {
        if (value > Number.MAX_SAFE_INTEGER) this.#failed = true;
        return this.#failed ? 0 : value;
      }
      scale *= 128;
    }
    this.#failed = true;
    return 0;
  }

  /** UTF-8 only: what replaces a malformed octet is longer than it, so it could not be sent on. */
  text(): string {
    const bytes = this.u8();
    return this.#take(bytes) ? this.#decode(this.#position - bytes) : "";
  }

  /** As `text`, for what many sessions have in common. */
  name(): string {
    const bytes = this.u8();
    if (!this.#take(bytes)) return "";
    const buffer = this.#buffer;
    const end = this.#position;
    const start = end - bytes;
    return names.find(buffer, start, end) ?? names.keep(this.#decode(start), buffer, start, end);
  }

  #decode(start: number): string {
    for (let index = start; index < this.#position; index++) {
      if ((this.#buffer[index] as number) >= 128) {
        this.#failed = !isUtf8(this.#buffer.subarray(start, this.#position));
        return this.#failed ? "" : this.#buffer.toString("utf8", start, this.#position);
      }
    }
    return this.#buffer.latin1Slice(start, this.#position);
  }

  binary(bytes: number): string {
    if (!this.#take(bytes)) return "";
    return this.#buffer.latin1Slice(this.#position - bytes, this.#position);
  }

  hex(bytes: number): string {
    if (!this.#take(bytes)) return "";
    return this.#buffer.toString("hex", this.#position - bytes, this.#position);
  }

  /** A view, valid as long as the memory it was read from. */
  view(bytes: number): Uint8Array {
    if (!this.#take(bytes)) return this.#buffer.subarray(0, 0);
    return this.#buffer.subarray(this.#position - bytes, this.#position);
  }

  #take(bytes: number): boolean {
    if (this.#failed || bytes < 0 || bytes > this.#end - this.#position) {
      this.#failed = true;
      return false;
    }
    this.#position += bytes;
    return true;
  }
}
