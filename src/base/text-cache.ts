const slotCount = 256;
const lengthMax = 32;

/**
 * Short ASCII texts that were read before, so that what comes again and again, the names of
 * attributes, is one string in memory for all sessions and is equal to itself at a glance. A text
 * has one slot; another that falls into it takes its place.
 */
export class TextCache {
  readonly #slots = new Array<string>(slotCount).fill("");

  /** The text of these octets, if it was kept. */
  find(octets: Uint8Array, start: number, end: number): string | undefined {
    const length = end - start;
    if (length === 0 || length > lengthMax) return undefined;
    const text = this.#slots[slotOf(octets, start, end)] as string;
    if (text.length !== length) return undefined;
    for (let index = 0; index < length; index++) {
      if (text.charCodeAt(index) !== octets[start + index]) return undefined;
    }
    return text;
  }

  /** Keeps and returns what these octets say; a text with fewer characters is not ASCII. */
  keep(text: string, octets: Uint8Array, start: number, end: number): string {
    const { length } = text;
    const isKept = length > 0 && length <= lengthMax && length === end - start;
    if (isKept) this.#slots[slotOf(octets, start, end)] = text;
    return text;
  }
}

function slotOf(octets: Uint8Array, start: number, end: number): number {
  const first = octets[start] as number;
  const last = octets[end - 1] as number;
  const middle = octets[(start + end) >> 1] as number;
  return (first * 5 + middle * 11 + last * 17 + (end - start) * 3) % slotCount;
}
