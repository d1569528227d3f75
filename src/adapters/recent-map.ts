/**
 * A map that forgets what was set long ago: it holds the latest `countMax` entries, and up to twice
 * as many. Two halves instead of an order of use, as forgetting too much only costs a request.
 */
export class RecentMap<V> {
  readonly #countMax: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#countMax && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
