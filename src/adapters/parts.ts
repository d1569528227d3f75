/**
 * What an attribute is: a primitive as it is, since nobody can change it, and anything else by its
 * JSON, since the app may change that under our hands.
 */
export type Part = string | number | boolean | null | Composite;

/** The attributes of a session by name. */
export type Parts = ReadonlyMap<string, Part>;

export abstract class Composite {
  /** Its JSON. */
  abstract readonly text: string;

  /** Whether it says the same, though the texts may differ. */
  isLike(other: Composite): boolean {
    return this.text === other.text;
  }
}

export class Json extends Composite {
  readonly text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }
}

/** How one attribute becomes a part; undefined: JSON leaves it out. */
export type PartMaker = (name: string, value: unknown) => Part | undefined;

/** Throws a TypeError for what JSON cannot hold (a bigint, a cycle). */
export function partsOf(session: object, make: PartMaker = partOf): Map<string, Part> {
  const parts = new Map<string, Part>();
  for (const [name, value] of Object.entries(session)) {
    const part = make(name, value);
    if (part !== undefined) parts.set(name, part);
  }
  return parts;
}

export function partOf(_name: string, value: unknown): Part | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  const text: string | undefined = JSON.stringify(value);
  return text === undefined ? undefined : new Json(text);
}

export function valuesOf(parts: Parts): Record<string, unknown> {
  return Object.fromEntries(
    [...parts].map(([name, part]) => [
      name,
      part instanceof Composite ? JSON.parse(part.text) : part,
    ]),
  );
}
