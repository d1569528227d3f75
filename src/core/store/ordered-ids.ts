/** A block is split in two when it would have more. */
const blockMax = 512;

/**
 * The ids of sessions in the order of their UTF-16 units, so that those of a prefix are neighbours.
 * An array of sorted arrays: two binary searches and a short shift per change, eight octets an id.
 */
export class OrderedIds {
  /** None is empty, but for the first when there are no ids. */
  readonly #blocks: string[][] = [[]];
  /** The first id of each block, together, so that the search for the block stays in the cache. */
  readonly #firsts: string[] = [""];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The id must not be in it yet. */
  add(id: string): void {
    const index = this.#blockOf(id);
    const block = this.#blocks[index] as string[];
    block.splice(lowerBound(block, id), 0, id);
    this.#size += 1;
    if (block.length > blockMax) {
      const upper = block.splice(block.length >>> 1);
      this.#blocks.splice(index + 1, 0, upper);
      this.#firsts.splice(index + 1, 0, upper[0] as string);
    }
    this.#firsts[index] = block[0] as string;
  }

  /** The id must be in it. */
  remove(id: string): void {
    const index = this.#blockOf(id);
    const block = this.#blocks[index] as string[];
    block.splice(lowerBound(block, id), 1);
    this.#size -= 1;
    if (block.length > 0 || this.#blocks.length === 1) {
      this.#firsts[index] = block[0] ?? "";
      return;
    }
    this.#blocks.splice(index, 1);
    this.#firsts.splice(index, 1);
  }

  /** Those of a prefix, in order, behind `after`. Nothing may be added or removed meanwhile. */
  *from(prefix: string, after: string): Generator<string> {
    const start = after > prefix ? after : prefix;
    let index = this.#blockOf(start);
    let place = lowerBound(this.#blocks[index] as string[], start);
    for (let block = this.#blocks[index]; block !== undefined; block = this.#blocks[++index]) {
      for (; place < block.length; place++) {
        const id = block[place] as string;
        if (!id.startsWith(prefix)) return;
        if (id !== after) yield id;
      }
      place = 0;
    }
  }

  /** The last block whose first id is not greater. */
  #blockOf(id: string): number {
    let low = 0;
    let high = this.#firsts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#firsts[middle] as string) <= id) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** The first place whose id is not smaller. */
function lowerBound(block: readonly string[], id: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block[middle] as string) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
