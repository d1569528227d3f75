import { Packr, Unpackr } from "msgpackr";
import type { PackedAttribute } from "../api/request-encoder.ts";
import { invalid } from "./errors.ts";
import { isReport, isValue } from "./value-walk.ts";

/**
 * Values are MessagePack. Without records every object is a plain map, which clients in other
 * languages read as well; records would need a table of keys that all writers share. Dates are
 * MessagePack timestamps. Sets, typed arrays and large integers use extensions of msgpackr. A Map
 * comes back as an object, and a key `__proto__` inside a value as `__proto_`: msgpackr renames it,
 * so that no stored value can change a prototype.
 *
 * The only file that knows msgpackr, which never sees octets that `value-walk.ts` has not passed.
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

/** A native method of Buffer that its type declarations leave out; half the cost of `toString`. */
interface NativeBuffer extends Buffer {
  utf8Slice(start: number, end: number): string;
}

const notValue = "an attribute holds bytes that are no value";

/** Where the value lies that is unpacked; one for all, since unpacking never waits. */
const range = { start: 0, end: 0 };

/** Reports hold counts, never integers beyond 2^53. */
const reportUnpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: "number",
  copyBuffers: true,
});

export interface PackedAttributes {
  readonly attributes: readonly PackedAttribute[];
  /** Names whose value is undefined: like in JSON, such an attribute is not there. */
  readonly absent: readonly string[];
}

/**
 * Throws SESSIONCAST_INVALID for a value that cannot be packed (a symbol, a cycle) or could not be
 * unpacked again (an Error, a regular expression, more than 256 levels of nesting).
 */
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
  if (textStart > 0) return (buffer as NativeBuffer).utf8Slice(textStart, end);
  if (!isValue(buffer, start, end)) throw invalid(notValue);
  range.start = start;
  range.end = end;
  try {
    return unpackr.unpack(buffer, range);
  } catch (cause) {
    throw invalid(notValue, cause);
  }
}

/** Where the text begins if the value is one, of less than 256 octets; 0: it is not. */
function startOfText(buffer: Buffer, start: number, end: number): number {
  const tag = buffer[start] as number;
  if (tag >= 0xa0 && tag < 0xc0) return end - start === 1 + tag - 0xa0 ? start + 1 : 0;
  return tag === 0xd9 && end - start === 2 + (buffer[start + 1] as number) ? start + 2 : 0;
}

/** Undefined: it is none. */
export function unpackReport(bytes: Uint8Array): Record<string, unknown> | undefined {
  return isReport(bytes) ? reportUnpackr.unpack(bytes) : undefined;
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

/** What could be stored and not be read again would make the whole session unreadable. */
function packValue(value: unknown): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = packr.pack(value);
  } catch (cause) {
    throw invalid("an attribute has a value that cannot be packed", cause);
  }
  const isReadable = typeof value !== "object" || isValue(bytes, 0, bytes.length);
  if (!isReadable) throw invalid("an attribute has a value that could not be unpacked again");
  return bytes;
}
