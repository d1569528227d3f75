/**
 * What happened, as a hash: two runs of one seed must have the same. With a writer, also as text.
 */
export class Trace {
  #high = 0x811c9dc5 | 0;
  #low = 0x1b873593 | 0;
  readonly #write: ((line: string) => void) | undefined;

  constructor(write?: (line: string) => void) {
    this.#write = write;
  }

  note(atMs: number, what: string, node: number, detail: number | string): void {
    // Millionths of a millisecond, in two halves: time itself has to replay exactly.
    const atNs = Math.round(atMs * 1e6);
    this.#mix(atNs | 0);
    this.#mix(Math.floor(atNs / 4_294_967_296));
    this.#mixText(what);
    this.#mix(node);
    if (typeof detail === "number") this.#mix(detail | 0);
    else this.#mixText(detail);
    if (this.#write === undefined) return;
    const shown = typeof detail === "number" ? (detail >>> 0).toString(16) : detail;
    this.#write(`${atMs.toFixed(3).padStart(12)} node ${node} ${what} ${shown}\n`);
  }

  get hash(): string {
    return [this.#high, this.#low]
      .map((half) => (half >>> 0).toString(16).padStart(8, "0"))
      .join("");
  }

  #mix(value: number): void {
    this.#high = Math.imul(this.#high ^ value, 0x01000193);
    this.#low = Math.imul((this.#low ^ value) + 0x7ed55d16, 0x85ebca6b);
    this.#low ^= this.#low >>> 13;
  }

  #mixText(text: string): void {
    for (let index = 0; index < text.length; index++) this.#mix(text.charCodeAt(index));
  }
}

/** Kept beside a datagram, as the seal's tag will be in it: FNV-1a over its octets. */
export function checksumOf(bytes: Uint8Array): number {
  let sum = 0x811c9dc5 | 0;
  for (let index = 0; index < bytes.length; index++) {
    sum = Math.imul(sum ^ (bytes[index] as number), 0x01000193);
  }
  return sum;
}
