import { Composite, Json, type Part, type Parts } from "./parts.ts";

export interface Changes {
  readonly set: Parts;
  readonly unset: readonly string[];
}

/**
 * - `stored`: it was loaded or saved, and the baseline knows what it held;
 * - `absent`: there was none, and the framework has just begun one;
 * - `unknown`: it comes from elsewhere, and nobody asked what is stored;
 * - `lost`: it could not be loaded, and what the request holds instead must not be saved.
 */
export type Standing = "stored" | "absent" | "unknown" | "lost";

/** No JSON text is empty, so this differs from each. */
const distrusted = new Json("");

/**
 * What one request knows to be stored of its session, so that it can send what it changed and
 * nothing else. Requests that run at the same time each have their own.
 */
export class Baseline {
  readonly id: string;
  standing: Standing;
  /** The idle time that the session was stored with, as far as it is known. */
  idleMs: number | undefined;
  readonly #parts: Map<string, Part>;

  /** Keeps the `parts` that are known, and changes them. */
  constructor(
    id: string,
    standing: Standing,
    known: { readonly parts?: Map<string, Part>; readonly idleMs?: number | undefined } = {},
  ) {
    this.id = id;
    this.standing = standing;
    this.idleMs = known.idleMs;
    this.#parts = known.parts ?? new Map();
  }

  /** Attributes that the framework did not take into its session object were not removed by it. */
  keepOnly(isTaken: (name: string) => boolean): void {
    for (const name of this.#parts.keys()) if (!isTaken(name)) this.#parts.delete(name);
  }

  /** What is known, with one attribute as it is now. */
  partsWith(name: string, part: Part): Parts {
    return new Map(this.#parts).set(name, part);
  }

  /** Whether the attribute is stored as it is now, or says the same. */
  holds(name: string, part: Part): boolean {
    const before = this.#parts.get(name);
    if (before === part) return true;
    return before instanceof Composite && part instanceof Composite && part.isLike(before);
  }

  changesTo(parts: Parts): Changes {
    const set = [...parts].filter(([name, part]) => !this.holds(name, part));
    const unset = [...this.#parts.keys()].filter((name) => !parts.has(name));
    return { set: new Map(set), unset };
  }

  /** The changes are on their way; a second save of this request need not send them again. */
  sent({ set, unset }: Changes): void {
    for (const [name, part] of set) this.#parts.set(name, part);
    for (const name of unset) this.#parts.delete(name);
  }

  /** Nobody knows whether the changes arrived: the next save sends them again. */
  failed({ set, unset }: Changes): void {
    for (const name of [...set.keys(), ...unset]) this.#parts.set(name, distrusted);
  }
}
