import { UsageError } from "./usage-error.ts";

export type Attributes = Record<string, unknown>;

/** `name=value` words, as the attributes of a session. The first equals sign divides. */
export function parseAssignments(words: readonly string[]): Attributes {
  const assigned = new Map<string, unknown>();
  for (const [index, word] of words.entries()) {
    const divider = word.indexOf("=");
    const name = word.slice(0, divider);
    // The word itself may be the value of a session, or its id.
    if (divider <= 0) throw new UsageError(`attribute ${index + 1} is not written name=value`);
    if (assigned.has(name)) throw new UsageError(`the attribute "${name}" is given twice`);
    assigned.set(name, parseValue(word.slice(divider + 1)));
  }
  // Unlike an assignment, fromEntries makes a plain property even of `__proto__`.
  return Object.fromEntries(assigned);
}

/** JSON where it is JSON, else the text itself, so that `name=ada` needs no quotes for a shell. */
export function parseValue(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  // A number that a double cannot hold, such as a long account number, would lose its last digits.
  if (typeof value === "number" && isBeyondDoubles(value, text)) return text;
  return value;
}

function isBeyondDoubles(value: number, text: string): boolean {
  const isInteger = /^-?\d+$/.test(text);
  return !Number.isFinite(value) || (isInteger && !Number.isSafeInteger(value));
}
