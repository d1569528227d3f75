import { limits } from "../../protocol/limits.ts";

/**
 * Ids of which a complete node said a moment ago that there is no such session. A session that was
 * created since comes by the stream, as it does to a node that is complete itself.
 */
export class Absences {
  /** When each is forgotten, the earliest first. */
  readonly #untilMs = new Map<string, number>();

  note(id: string, nowMs: number): void {
    this.#untilMs.delete(id);
    this.#untilMs.set(id, nowMs + limits.absenceMs);
    const [oldest] = this.#untilMs.keys();
    if (this.#untilMs.size > limits.absencesMax && oldest !== undefined) {
      this.#untilMs.delete(oldest);
    }
  }

  has(id: string): boolean {
    return this.#untilMs.has(id);
  }

  /** Forgets what was said too long ago. */
  tick(nowMs: number): void {
    for (const [id, untilMs] of this.#untilMs) {
      if (nowMs < untilMs) return;
      this.#untilMs.delete(id);
    }
  }

  clear(): void {
    this.#untilMs.clear();
  }

  get dueMs(): number {
    const [dueMs] = this.#untilMs.values();
    return dueMs ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#untilMs.size;
  }
}
