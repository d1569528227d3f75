import { Packr, Unpackr } from "msgpackr";
import type { PackedAttribute } from "../api/request-encoder.ts";
import { invalid } from "./errors.ts";

/**
 * Values are MessagePack. Without records every object is a plain map, which clients in other
 * languages read as well; records would need a table of keys that all writers share. Dates are
 * MessagePack timestamps. Sets, typed arrays, regular expressions and large integers use
 * extensions of msgpackr. A Map comes back as an object, and a key `__proto__` inside a value as
 * `__proto_`: msgpackr renames it, so that no stored value can change a prototype.
 */
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  moreTypes: true,
  structuredClone: false,
});

const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  structuredClone: false,
  // The bytes lie in the receive buffer of the socket: a view would change under the app's hands.
  copyBuffers: true,
});

/** Where the value lies that is unpacked; one for all, since unpacking never waits. */
const range = { start: 0, end: 0 };

/** Reports hold counts, never integers beyond 2^53. */
const reportUnpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: "number",
});

export interface PackedAttributes {
  readonly attributes: readonly PackedAttribute[];
  /** Names whose value is undefined: like in JSON, such an attribute is not there. */
  readonly absent: readonly string[];
}

/** Throws SESSIONCAST_INVALID for a value that cannot be packed (a symbol, a cycle). */
export function packAttributes(values: object): PackedAttributes {
  const attributes: PackedAttribute[] = [];
  const absent: string[] = [];
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) absent.push(name);
    else attributes.push({ name, bytes: packValue(value) });
  }
  return { attributes, absent };
}

/**
 * Throws SESSIONCAST_INVALID for bytes that are no value; some other program stored them. Most
 * values are short texts, and those need no unpacker.
 */
export function unpackValue(buffer: Buffer, start: number, end: number): unknown {
  const textStart = startOfText(buffer, start, end);
  if (textStart > 0) return buffer.toString("utf8", textStart, end);
  range.start = start;
  range.end = end;
  try {
    return unpackr.unpack(buffer, range);
  } catch (cause) {
    throw invalid("an attribute holds bytes that are not MessagePack", cause);
  }
}

/** Where the text begins if the value is one, of less than 256 octets; 0: it is not. */
function startOfText(buffer: Buffer, start: number, end: number): number {
  const tag = buffer[start] as number;
  if (tag >= 0xa0 && tag < 0xc0) return end - start === 1 + tag - 0xa0 ? start + 1 : 0;
  return tag === 0xd9 && end - start === 2 + (buffer[start + 1] as number) ? start + 2 : 0;
}

export function unpackReport(bytes: Uint8Array): Record<string, unknown> {
  return reportUnpackr.unpack(bytes);
}

/**
 * Sets an own property whatever its name: assigning to `__proto__` would change the prototype
 * instead of adding a property.
 */
export function setOwn(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") target[name] = value;
  else {
    Object.defineProperty(target, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
}

function packValue(value: unknown): Uint8Array {
  try {
    return packr.pack(value);
  } catch (cause) {
    throw invalid("an attribute has a value that cannot be packed", cause);
  }
}
