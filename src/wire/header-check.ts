/** First octet of the header that is covered, and the first behind. */
const from = 2;
const end = 26;

/**
 * Sixteen keyed bits in the header, by which forgeries show before the seal is tried, which costs
 * many times more. HalfSipHash-2-4 (of SipHash, Aumasson and Bernstein 2012) over the header from
 * the version on, with a key of its own that comes of the cluster's identity. They protect a
 * processor and nothing else: what they let pass, one forgery in 65 536, has still to be opened.
 */
export class HeaderCheck {
  readonly #low: number;
  readonly #high: number;

  /** `key`: eight octets. */
  constructor(key: Buffer) {
    this.#low = key.readInt32LE(0);
    this.#high = key.readInt32LE(4);
  }

  of(datagram: Buffer): number {
    return halfSipHash(this.#low, this.#high, datagram, from, end) & 0xffff;
  }
}

/** The 32-bit result for octets whose number is a multiple of four. */
export function halfSipHash(
  low: number,
  high: number,
  bytes: Buffer,
  start: number,
  stop: number,
): number {
  let v0 = low;
  let v1 = high;
  let v2 = low ^ 0x6c796765;
  let v3 = high ^ 0x74656462;
  const blocks = (stop - start) / 4;
  // Two rounds for each block of input, the last of which is its length, and four to finish.
  for (let round = 0; round < 2 * blocks + 6; round++) {
    const block = round >> 1;
    const begins = (round & 1) === 0;
    const word =
      block < blocks ? bytes.readInt32LE(start + block * 4) : block === blocks ? blocks << 26 : 0;
    if (begins && block === blocks + 1) v2 ^= 0xff;
    if (begins) v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    if (!begins) v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}
