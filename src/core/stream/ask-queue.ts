/** Numbers to ask for, each with the time when; first in, first out. */
export class AskQueue {
  #items: { readonly sequence: number; readonly dueMs: number }[] = [];
  #head = 0;

  push(sequence: number, dueMs: number): void {
    this.#items.push({ sequence, dueMs });
  }

  /** When the first is due; Infinity: there is none. */
  get dueMs(): number {
    return this.#items[this.#head]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** The first number, without taking it. */
  peek(): number | undefined {
    return this.#items[this.#head]?.sequence;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }

  drop(): void {
    this.#head += 1;
    // Amortised: what has been taken goes once it is the larger half.
    if (this.#head * 2 < this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
