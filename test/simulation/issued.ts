import { type Cell, grantedMs, isOver, lifeKey, ModelSession } from "./model.ts";
import { hold } from "./violation.ts";

/** All that clients ever wrote, on any node: the only components that may exist anywhere. */
export class Issued {
  readonly #contents = new Map<string, string>();
  readonly #joins = new Map<string, ModelSession>();
  /** When some life of a session would end, by any of its writes alone. */
  readonly #endsMs = new Map<string, number[]>();

  /** A client's write. Its stamp must be new for each component. */
  add(id: string, cells: readonly (readonly [string, Cell])[]): void {
    for (const [key, cell] of cells) {
      const name = nameOf(id, key, cell);
      hold(
        !this.#contents.has(name),
        "one-stamp-one-write",
        () => `${id} ${key} was stamped twice`,
      );
      this.#contents.set(name, cell.content);
    }
    const alone = new ModelSession();
    alone.joinCells(cells);
    const { idleMs, deadlineMs } = alone.idle;
    const ends = this.#endsMs.get(id) ?? [];
    if (deadlineMs > 0) ends.push(deadlineMs + grantedMs(idleMs));
    if (alone.absoluteDeadlineMs > 0) ends.push(alone.absoluteDeadlineMs);
    this.#endsMs.set(id, ends);
    const join = this.#joins.get(id) ?? new ModelSession();
    join.joinCells(cells);
    this.#joins.set(id, join);
  }

  /**
   * Whether a later life of the session than this one's may have begun and ended meanwhile, on a
   * node that has died since: then nobody has to know either.
   */
  livedOn(id: string, model: ModelSession, wallMs: number): boolean {
    const life = model.cells.get(lifeKey)?.time ?? 0;
    const latest = this.#joins.get(id)?.cells.get(lifeKey)?.time ?? 0;
    if (latest <= life) return false;
    return (this.#endsMs.get(id) ?? []).some((endMs) => isOver(endMs, wallMs, -2));
  }

  /** A state together with all that was ever written to the session, by whomever. */
  joinedWith(id: string, model: ModelSession): ModelSession {
    const whole = model.clone();
    whole.joinCells(this.#joins.get(id)?.cells ?? []);
    return whole;
  }

  /** What a node took from a peer. */
  check(id: string, cells: readonly (readonly [string, Cell])[]): void {
    for (const [key, cell] of cells) {
      const content = this.#contents.get(nameOf(id, key, cell));
      hold(content !== undefined, "nothing-made-up", () => `nobody wrote this ${key} of ${id}`);
      hold(content === cell.content, "nothing-made-up", () => `${key} of ${id} was changed`);
    }
  }
}

function nameOf(id: string, key: string, cell: Cell): string {
  return `${id}\n${key}\n${cell.time}:${cell.tag}`;
}
