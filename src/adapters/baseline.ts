/** The attributes of a session by name, each as JSON. */
export type Parts = ReadonlyMap<string, string>;

export interface Changes {
  readonly set: Parts;
  readonly unset: readonly string[];
}

/** Whether two texts of the attribute of that name say the same, though they differ. */
export type Likeness = (name: string, before: string, after: string) => boolean;

/**
 * - `stored`: it was loaded or saved, and the baseline knows what it held;
 * - `absent`: there was none, and the framework has just begun one;
 * - `unknown`: it comes from elsewhere, and nobody asked what is stored;
 * - `lost`: it could not be loaded, and what the request holds instead must not be saved.
 */
export type Standing = "stored" | "absent" | "unknown" | "lost";

/** No JSON text is empty, so this differs from each. */
const distrusted = "";

/**
 * What one request knows to be stored of its session, so that it can send what it changed and
 * nothing else. Requests that run at the same time each have their own.
 */
export class Baseline {
  readonly id: string;
  standing: Standing;
  /** The idle time that the session was stored with, as far as it is known. */
  idleMs: number | undefined;
  readonly #parts: Map<string, string>;
  readonly #isAlike: Likeness;

  constructor(
    id: string,
    standing: Standing,
    isAlike: Likeness,
    known: { readonly parts?: Parts; readonly idleMs?: number | undefined } = {},
  ) {
    this.id = id;
    this.standing = standing;
    this.idleMs = known.idleMs;
    this.#parts = new Map(known.parts);
    this.#isAlike = isAlike;
  }

  /** Attributes that the framework did not take into its session object were not removed by it. */
  keepOnly(isTaken: (name: string) => boolean): void {
    for (const name of this.#parts.keys()) if (!isTaken(name)) this.#parts.delete(name);
  }

  /** What is known, with one attribute as it is now. */
  partsWith(name: string, text: string): Parts {
    return new Map(this.#parts).set(name, text);
  }

  /** Whether the attribute is stored as it is now, or says the same. */
  holds(name: string, text: string): boolean {
    const before = this.#parts.get(name);
    if (before === text) return true;
    return before !== undefined && before !== distrusted && this.#isAlike(name, before, text);
  }

  changesTo(parts: Parts): Changes {
    const set = [...parts].filter(([name, text]) => !this.holds(name, text));
    const unset = [...this.#parts.keys()].filter((name) => !parts.has(name));
    return { set: new Map(set), unset };
  }

  /** The changes are on their way; a second save of this request need not send them again. */
  sent({ set, unset }: Changes): void {
    for (const [name, text] of set) this.#parts.set(name, text);
    for (const name of unset) this.#parts.delete(name);
  }

  /** Nobody knows whether the changes arrived: the next save sends them again. */
  failed({ set, unset }: Changes): void {
    for (const name of [...set.keys(), ...unset]) this.#parts.set(name, distrusted);
  }
}

/** Throws a TypeError for what JSON cannot hold (a bigint, a cycle). */
export function partsOf(session: object): Map<string, string> {
  const parts = new Map<string, string>();
  for (const [name, value] of Object.entries(session)) {
    const text: string | undefined = JSON.stringify(value);
    if (text !== undefined) parts.set(name, text);
  }
  return parts;
}

export function valuesOf(parts: Parts): Record<string, unknown> {
  return Object.fromEntries([...parts].map(([name, text]) => [name, JSON.parse(text)]));
}
