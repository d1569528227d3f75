import { TextCache } from "../base/text-cache.ts";
import type { Value } from "../session/record.ts";

/**
 * The part of MessagePack that the local protocol is made of: nil, booleans, numbers, text, bytes,
 * and the headers of arrays and maps. No extension types.
 *
 * msgpackr is a dependency, and the client uses it for what apps store. The sidecar does not: it
 * must hand values on without ever looking into them, and a general decoder builds whatever the
 * sender names (dates, regular expressions, record definitions that it compiles to functions). A
 * reader that is asked for one thing at a time cannot be told to build anything else, allocates
 * nothing by a claimed size, and reads a value straight into the string that the store keeps.
 */

/** Native methods of Buffer that its type declarations leave out; half the cost of `toString`. */
interface NativeBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

const two32 = 4_294_967_296;
const names = new TextCache();
const noBytes = Buffer.alloc(0) as NativeBuffer;

/**
 * Reads foreign bytes. It never throws: on a value of another kind than asked for, and past the
 * end, it turns `failed` and returns empty values from then on, so a decoder checks once.
 */
export class MsgpackReader {
  #buffer: NativeBuffer = noBytes;
  #position = 0;
  #end = 0;
  #failed = false;
  #textBytes = 0;

  reset(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer as NativeBuffer;
    this.#position = start;
    this.#end = end;
    this.#failed = false;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Whether everything was read and nothing was wrong. */
  get finished(): boolean {
    return !this.#failed && this.#position === this.#end;
  }

  /** How many bytes the last text had. */
  get textBytes(): number {
    return this.#textBytes;
  }

  /** For rules that only the decoder knows. */
  fail(): void {
    this.#failed = true;
  }

  /** What is unread, in place: a view that is valid as long as the frame is. */
  rest(): Buffer {
    return this.#buffer.subarray(this.#position, this.#end);
  }

  /** For a decoder that has seen enough to refuse: what follows is not looked at. */
  skipRest(): void {
    this.#position = this.#end;
  }

  arrayHeader(): number {
    return this.#header(0x90, 0xdc);
  }

  mapHeader(): number {
    return this.#header(0x80, 0xde);
  }

  /** True, and past it, when the next value is nil. */
  nil(): boolean {
    if (this.#failed || this.#position >= this.#end) return false;
    if (this.#buffer[this.#position] !== 0xc0) return false;
    this.#position += 1;
    return true;
  }

  boolean(): boolean {
    const tag = this.#u8();
    if (tag !== 0xc2 && tag !== 0xc3) this.#failed = true;
    return !this.#failed && tag === 0xc3;
  }

  /** Any number, as a JavaScript number: integers beyond 2^53 come out rounded. */
  number(): number {
    const tag = this.#u8();
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 256;
    switch (tag) {
      case 0xcc:
        return this.#u8();
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf:
        return this.#unsigned(4) * two32 + this.#unsigned(4);
      case 0xd0:
        return this.#signed(1);
      case 0xd1:
        return this.#signed(2);
      case 0xd2:
        return this.#signed(4);
      case 0xd3:
        return this.#signed(4) * two32 + this.#unsigned(4);
      case 0xca:
        return this.#take(4) ? this.#buffer.readFloatBE(this.#position - 4) : 0;
      case 0xcb:
        return this.#take(8) ? this.#buffer.readDoubleBE(this.#position - 8) : 0;
      default:
        this.#failed = true;
        return 0;
    }
  }

  /** Text; bytes that are not UTF-8 fail, because they could not be written back as they were. */
  text(): string {
    const bytes = this.#takeText();
    return bytes === 0 ? "" : this.#decode(this.#position - bytes, this.#position);
  }

  /** Text as a value: the octets of its UTF-8, one character each. */
  textValue(): Value {
    const bytes = this.#takeText();
    const [start, end] = [this.#position - bytes, this.#position];
    if (bytes > 0) this.#decode(start, end);
    return this.#failed ? "" : this.#buffer.latin1Slice(start, end);
  }

  /** As `text`, for what many sessions have in common. */
  name(): string {
    const bytes = this.#takeText();
    const [start, end] = [this.#position - bytes, this.#position];
    const known = names.find(this.#buffer, start, end);
    return known ?? names.keep(this.#decode(start, end), this.#buffer, start, end);
  }

  /** Moves past a text; how many octets it has, 0 also when it is none. */
  #takeText(): number {
    const tag = this.#u8();
    let bytes = 0;
    if (tag >= 0xa0 && tag < 0xc0) bytes = tag - 0xa0;
    else if (tag === 0xd9) bytes = this.#u8();
    else if (tag === 0xda) bytes = this.#unsigned(2);
    else if (tag === 0xdb) bytes = this.#unsigned(4);
    else this.#failed = true;
    this.#textBytes = bytes;
    return this.#take(bytes) ? bytes : 0;
  }

  /** Bytes as the string that the store keeps: one character a byte. */
  value(): Value {
    const bytes = this.#binaryBytes();
    return this.#take(bytes)
      ? this.#buffer.latin1Slice(this.#position - bytes, this.#position)
      : "";
  }

  /** Bytes in place: a view that is valid as long as the frame is. */
  bytes(): Buffer {
    const bytes = this.#binaryBytes();
    return this.#take(bytes)
      ? this.#buffer.subarray(this.#position - bytes, this.#position)
      : noBytes;
  }

  /** Moves past bytes; they lie in `buffer` from there to `position`. */
  skipBytes(): number {
    const bytes = this.#binaryBytes();
    return this.#take(bytes) ? this.#position - bytes : this.#position;
  }

  get buffer(): Buffer {
    return this.#buffer;
  }

  get position(): number {
    return this.#position;
  }

  #decode(start: number, end: number): string {
    const buffer = this.#buffer;
    for (let index = start; index < end; index++) {
      if ((buffer[index] as number) >= 0x80) {
        const text = buffer.utf8Slice(start, end);
        // Faulty bytes come out as U+FFFD, which has another length or other bytes when encoded.
        if (text.includes("\ufffd") && Buffer.from(text).compare(buffer, start, end) !== 0) {
          this.#failed = true;
          return "";
        }
        return text;
      }
    }
    return buffer.latin1Slice(start, end);
  }

  #binaryBytes(): number {
    const tag = this.#u8();
    if (tag === 0xc4) return this.#u8();
    if (tag === 0xc5) return this.#unsigned(2);
    if (tag === 0xc6) return this.#unsigned(4);
    this.#failed = true;
    return 0;
  }

  /** `short` is the tag with a length in its low four bits, `long` the one before 16 bits. */
  #header(short: number, long: number): number {
    const tag = this.#u8();
    if (tag >= short && tag < short + 16) return tag - short;
    if (tag === long) return this.#unsigned(2);
    if (tag === long + 1) return this.#unsigned(4);
    this.#failed = true;
    return 0;
  }

  #u8(): number {
    return this.#take(1) ? (this.#buffer[this.#position - 1] as number) : 0;
  }

  #unsigned(bytes: 2 | 4): number {
    if (!this.#take(bytes)) return 0;
    const start = this.#position - bytes;
    return bytes === 2 ? this.#buffer.readUInt16BE(start) : this.#buffer.readUInt32BE(start);
  }

  #signed(bytes: 1 | 2 | 4): number {
    return this.#take(bytes) ? this.#buffer.readIntBE(this.#position - bytes, bytes) : 0;
  }

  #take(bytes: number): boolean {
    if (this.#failed || bytes > this.#end - this.#position) {
      this.#failed = true;
      return false;
    }
    this.#position += bytes;
    return true;
  }
}
