import { type Cell, ModelSession } from "./model.ts";
import { hold } from "./violation.ts";

/** All that clients ever wrote, on any node: the only components that may exist anywhere. */
export class Issued {
  readonly #contents = new Map<string, string>();
  readonly #joins = new Map<string, ModelSession>();
  readonly #ended = new Map<string, ModelSession[]>();
  readonly #writes = new Map<string, (readonly (readonly [string, Cell])[])[]>();

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
    this.#note(id, cells);
  }

  /** The clock that stamped this was wrong: its time and its end have been corrected. */
  restamped(id: string, cells: readonly (readonly [string, Cell])[]): void {
    for (const [key, cell] of cells) this.#contents.set(nameOf(id, key, cell), cell.content);
    this.#note(id, cells);
  }

  /** A node has held this, and forgotten it at its end. */
  ended(id: string, model: ModelSession): void {
    const ended = this.#ended.get(id);
    if (ended === undefined) this.#ended.set(id, [model]);
    else ended.push(model);
  }

  /** Whether some node has held all of this, or what came later, until its end. */
  hasEnded(id: string, model: ModelSession): boolean {
    const ended = this.#ended.get(id) ?? [];
    return ended.some((state) => model.missingFrom(state) === undefined);
  }

  /** A state together with each write to the session, by whomever, that changes it. */
  *successors(id: string, model: ModelSession): Generator<ModelSession> {
    for (const cells of this.#writes.get(id) ?? []) {
      const next = model.clone();
      if (next.joinCells(cells)) yield next;
    }
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

  #note(id: string, cells: readonly (readonly [string, Cell])[]): void {
    const join = this.#joins.get(id) ?? new ModelSession();
    join.joinCells(cells);
    this.#joins.set(id, join);
    const writes = this.#writes.get(id);
    if (writes === undefined) this.#writes.set(id, [cells]);
    else writes.push(cells);
  }
}

function nameOf(id: string, key: string, cell: Cell): string {
  return `${id}\n${key}\n${cell.time}:${cell.tag}`;
}
