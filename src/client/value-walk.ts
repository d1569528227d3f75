import { limits } from "../protocol/limits.ts";

/** Octets that follow a tag from 0xc0 to 0xdf and belong to it; 255: they need a closer look. */
const bodyBytes: readonly number[] = [
  ...[0, 255, 0, 0, 255, 255, 255, 255, 255, 255, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
];

/** Of the typed arrays, by the number that stands for each; 16 and 17 are plain octets. */
const elementBytes = [1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 0, 0, 0, 0, 0, 1, 1];
/** A date that is none, and timestamps of three lengths. */
const timestampBytes = [1, 4, 8, 12];

const Extension = {
  absent: 0,
  bigint: 0x42,
  set: 0x73,
  typedArray: 0x74,
  timestamp: 0xff,
} as const;

/**
 * Looks at packed values before a general decoder may. What other programs store is their affair,
 * but msgpackr builds whatever octets name, and some of it must not be had from others: records
 * (code that it compiles), references, texts outside of their place, errors (a name such as
 * `valueOf` makes it hand out a table of its own), regular expressions (which can keep a program
 * busy for ever). So only what is listed here passes, each length is checked against the octets
 * that are there, and nothing nests deeper than a stack bears.
 */
class ValueWalk {
  #octets: Uint8Array = new Uint8Array(0);
  #position = 0;
  #end = 0;
  #withExtensions = false;

  /** Whether the octets from `start` to `end` are one value. */
  check(octets: Uint8Array, start: number, end: number, withExtensions: boolean): boolean {
    this.#octets = octets;
    this.#position = start;
    this.#end = end;
    this.#withExtensions = withExtensions;
    return this.#value(0) && this.#position === end;
  }

  #value(depth: number): boolean {
    const tag = this.#next();
    if (tag < 0x80 || tag >= 0xe0) return tag >= 0;
    if (tag < 0x90) return this.#map(tag - 0x80, depth);
    if (tag < 0xa0) return this.#array(tag - 0x90, depth);
    if (tag < 0xc0) return this.#skip(tag - 0xa0);
    const bytes = bodyBytes[tag - 0xc0] as number;
    return bytes < 255 ? this.#skip(bytes) : this.#long(tag, depth);
  }

  #long(tag: number, depth: number): boolean {
    switch (tag) {
      case 0xc4:
      case 0xd9:
        return this.#skip(this.#length(1));
      case 0xc5:
      case 0xda:
        return this.#skip(this.#length(2));
      case 0xc6:
      case 0xdb:
        return this.#skip(this.#length(4));
      case 0xdc:
        return this.#array(this.#length(2), depth);
      case 0xdd:
        return this.#array(this.#length(4), depth);
      case 0xde:
        return this.#map(this.#length(2), depth);
      case 0xdf:
        return this.#map(this.#length(4), depth);
      case 0xc1:
        return false;
      default:
        return this.#withExtensions && this.#extension(this.#extensionBytes(tag), depth);
    }
  }

  #array(count: number, depth: number): boolean {
    if (depth >= limits.valueDepthMax || !this.#has(count)) return false;
    for (let index = 0; index < count; index++) if (!this.#value(depth + 1)) return false;
    return true;
  }

  #map(count: number, depth: number): boolean {
    if (depth >= limits.valueDepthMax || !this.#has(2 * count)) return false;
    for (let index = 0; index < count; index++) {
      if (!this.#key() || !this.#value(depth + 1)) return false;
    }
    return true;
  }

  /** Text or what can become one without running code: a number, a boolean, nil. */
  #key(): boolean {
    const tag = this.#octets[this.#position] as number;
    const isCollection = tag >= 0x80 && tag < 0xa0;
    const isSimple = tag < 0xc4 || (tag >= 0xca && tag < 0xd4) || tag >= 0xe0;
    const isText = tag >= 0xd9 && tag <= 0xdb;
    return !isCollection && (isSimple || isText) && this.#value(limits.valueDepthMax);
  }

  #extensionBytes(tag: number): number {
    if (tag >= 0xd4) return 2 ** (tag - 0xd4);
    return this.#length(2 ** (tag - 0xc7));
  }

  #extension(bytes: number, depth: number): boolean {
    const type = this.#next();
    if (type < 0 || !this.#has(bytes)) return false;
    switch (type) {
      case Extension.absent:
        return bytes === 1 && this.#skip(bytes);
      case Extension.timestamp:
        return timestampBytes.includes(bytes) && this.#skip(bytes);
      case Extension.bigint:
        return bytes > 0 && this.#skip(bytes);
      case Extension.set:
        return bytes === 1 && this.#skip(bytes) && this.#isArrayNext() && this.#value(depth);
      case Extension.typedArray: {
        const each = elementBytes[this.#octets[this.#position] as number] ?? 0;
        return bytes > 0 && (bytes - 1) % each === 0 && this.#skip(bytes);
      }
      default:
        return false;
    }
  }

  #isArrayNext(): boolean {
    const tag = this.#octets[this.#position] as number;
    return this.#has(1) && ((tag >= 0x90 && tag < 0xa0) || tag === 0xdc || tag === 0xdd);
  }

  /** A number of so many octets; more than there can be when they are not there. */
  #length(bytes: number): number {
    let length = 0;
    for (let index = 0; index < bytes; index++) length = length * 256 + this.#next();
    return length < 0 ? Number.POSITIVE_INFINITY : length;
  }

  #has(bytes: number): boolean {
    return bytes <= this.#end - this.#position;
  }

  #skip(bytes: number): boolean {
    if (!this.#has(bytes)) return false;
    this.#position += bytes;
    return true;
  }

  /** Negative: there is no more. */
  #next(): number {
    if (this.#position >= this.#end) return Number.NEGATIVE_INFINITY;
    return this.#octets[this.#position++] as number;
  }
}

const walk = new ValueWalk();

/** Whether this is one value such as clients store. */
export function isValue(octets: Uint8Array, start: number, end: number): boolean {
  return walk.check(octets, start, end, true);
}

/** Whether this is one map of what reports are made of: the values of MessagePack itself. */
export function isReport(octets: Uint8Array): boolean {
  const [tag = 0] = octets;
  const isMap = (tag >= 0x80 && tag < 0x90) || tag === 0xde || tag === 0xdf;
  return isMap && walk.check(octets, 0, octets.length, false);
}
