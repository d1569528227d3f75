import type { Prng } from "../../src/base/prng.ts";

/** Numbers at which parsers go wrong, of one, two and four octets. */
const edges = [0, 1, 2, 0x0f, 0x10, 0x1f, 0x20, 0x7f, 0x80, 0xc0, 0xfe, 0xff];
const wideEdges = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000];
const widestEdges = [...wideEdges, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
/** What a name must not mean, and pieces that no text may have. */
const words = ["__proto__", "constructor", "toString", "\0", "é", "\ud83d\ude00"].map((word) =>
  Buffer.from(word),
);
/** The largest numbers of seven bits an octet, and one beyond. */
const varints = ["ffffffffffffff0f", "8080808080808001", "ffffffffffffffff", "808001"].map((hex) =>
  Buffer.from(hex, "hex"),
);
const brokenText = [
  Buffer.from([0x80]),
  Buffer.from([0xc0, 0xaf]),
  Buffer.from([0xed, 0xa0, 0x80]),
];

/** Breeds inputs from others. The same seed breeds the same ones. */
export class Mutator {
  readonly #prng: Prng;
  readonly #bytesMax: number;

  constructor(prng: Prng, bytesMax: number) {
    this.#prng = prng;
    this.#bytesMax = bytesMax;
  }

  /** A few changes to a copy of `input`; `other` is another input to take parts from. */
  mutate(input: Uint8Array, other: Uint8Array): Buffer {
    let result: Buffer = Buffer.from(input);
    const rounds = 1 + this.#prng.below(4);
    for (let round = 0; round < rounds; round++) result = this.#change(result, other);
    return result.subarray(0, this.#bytesMax);
  }

  #change(input: Buffer, other: Uint8Array): Buffer {
    if (input.length === 0) return this.#insert(input, this.#noise());
    switch (this.#prng.below(14)) {
      case 0:
        return this.#set(input, (octet) => octet ^ (1 << this.#prng.below(8)));
      case 1:
        return this.#set(input, () => this.#prng.below(256));
      case 2:
        return this.#set(input, () => this.#prng.pick(edges) ?? 0);
      case 3:
        return this.#set(input, (octet) => octet + this.#prng.below(9) - 4);
      case 4:
        return this.#edge(input);
      case 5:
      case 6:
        return this.#tamperWithLength(input);
      case 7:
        return input.subarray(0, this.#prng.below(input.length));
      case 8:
        return this.#insert(input, this.#noise());
      case 9:
        return this.#cut(input);
      case 10:
        return this.#repeat(input);
      case 11:
        return this.#splice(input, other);
      case 12:
        return this.#replace(input, this.#prng.pick(varints) ?? Buffer.alloc(0));
      default:
        return this.#insert(input, this.#partOf(other));
    }
  }

  #set(input: Buffer, change: (octet: number) => number): Buffer {
    const at = this.#prng.below(input.length);
    input[at] = change(input[at] ?? 0);
    return input;
  }

  /** Puts a number at which something may overflow over what is there. */
  #edge(input: Buffer): Buffer {
    const isWide = this.#prng.chance(0.5);
    const number = this.#prng.pick(isWide ? widestEdges : wideEdges) ?? 0;
    return this.#overwrite(input, number, isWide ? 4 : 2);
  }

  /** Takes some number for a length of what follows it, and makes it wrong or just right. */
  #tamperWithLength(input: Buffer): Buffer {
    const bytes = [1, 2, 4][this.#prng.below(3)] ?? 1;
    const at = this.#prng.below(input.length);
    if (at + bytes > input.length) return this.#set(input, () => 0xff);
    const left = input.length - at - bytes;
    const present = input.readUIntBE(at, bytes);
    const wrong = [
      present + 1,
      present - 1,
      2 * present,
      left,
      left + 1,
      left - 1,
      0,
      256 ** bytes - 1,
    ];
    const number = this.#prng.pick(wrong) ?? 0;
    input.writeUIntBE(Math.min(Math.max(number, 0), 256 ** bytes - 1), at, bytes);
    return input;
  }

  #overwrite(input: Buffer, number: number, bytes: 2 | 4): Buffer {
    if (input.length < bytes) return input;
    const at = this.#prng.below(input.length - bytes + 1);
    input.writeUIntBE(number % 256 ** bytes, at, bytes);
    return input;
  }

  #insert(input: Buffer, part: Uint8Array): Buffer {
    const at = this.#prng.below(input.length + 1);
    return Buffer.concat([input.subarray(0, at), part, input.subarray(at)]);
  }

  /** In place of so few octets as a small number has, or of as many as it has itself. */
  #replace(input: Buffer, part: Uint8Array): Buffer {
    const at = this.#prng.below(input.length);
    const end = at + (this.#prng.chance(0.5) ? 1 + this.#prng.below(2) : part.length);
    return Buffer.concat([input.subarray(0, at), part, input.subarray(end)]);
  }

  #cut(input: Buffer): Buffer {
    const [start, end] = this.#section(input.length);
    return Buffer.concat([input.subarray(0, start), input.subarray(end)]);
  }

  /** A section once more, or many times. */
  #repeat(input: Buffer): Buffer {
    const [start, end] = this.#section(input.length);
    const times = this.#prng.chance(0.2) ? 1 + this.#prng.below(100) : 1;
    const room = Math.max(0, this.#bytesMax - input.length);
    const copies = Math.min(times, Math.floor(room / Math.max(1, end - start)));
    const repeated = Array.from({ length: copies }, () => input.subarray(start, end));
    return Buffer.concat([input.subarray(0, end), ...repeated, input.subarray(end)]);
  }

  #splice(input: Buffer, other: Uint8Array): Buffer {
    const head = input.subarray(0, this.#prng.below(input.length + 1));
    return Buffer.concat([head, other.subarray(this.#prng.below(other.length + 1))]);
  }

  #partOf(other: Uint8Array): Uint8Array {
    const [start, end] = this.#section(other.length);
    return other.subarray(start, end);
  }

  #noise(): Uint8Array {
    if (this.#prng.chance(0.3)) return this.#prng.pick(words) ?? Buffer.alloc(0);
    if (this.#prng.chance(0.1)) return this.#prng.pick(brokenText) ?? Buffer.alloc(0);
    return Uint8Array.from({ length: 1 + this.#prng.below(8) }, () => this.#prng.below(256));
  }

  /** Short sections are more likely than long ones. */
  #section(length: number): [start: number, end: number] {
    const start = this.#prng.below(length + 1);
    const longest = length - start;
    const size = this.#prng.chance(0.7) ? Math.min(longest, 32) : longest;
    return [start, start + this.#prng.below(size + 1)];
  }
}
