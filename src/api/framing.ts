/**
 * A frame of the local protocol is a length (four bytes, big-endian) and that many bytes of body.
 */
export const frameHeaderBytes = 4;

/** Memory set aside for a body that arrives in pieces grows from here, with what has come. */
const assemblyBytesInitial = 65_536;

/**
 * Cuts a stream of chunks into frames. A frame that lies within one chunk is handed out in place,
 * without a copy; one that spans chunks is copied once into memory that doubles as the bytes come
 * in. So neither a stream of tiny chunks nor a length that is only claimed can cost much.
 *
 * The caller pulls: `feed` a chunk, then call `next` until it says false. A caller that stops in
 * the middle (its peer does not read the replies) goes on later from where it stopped.
 */
export class FrameSplitter {
  readonly #bodyBytesMax: number;
  #chunk: Buffer = Buffer.alloc(0);
  /** What is unread lies from `#position` to here. */
  #chunkEnd = 0;
  #position = 0;
  /** The body under construction: how long it will be, and how much of it is here. */
  #assembly: Buffer | undefined;
  #assemblyBytes = 0;
  #bodyBytes = 0;
  /** Bytes of a length that a chunk boundary cut; 0: the next byte starts a frame. */
  #headerBytesSeen = 0;
  #headerValue = 0;
  #oversize = false;
  /** The frame that `next` found: `buffer` from `start` to `end`, valid until the next call. */
  buffer: Buffer = this.#chunk;
  start = 0;
  end = 0;

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** A length above the limit was claimed: nothing after it can be understood. */
  get oversize(): boolean {
    return this.#oversize;
  }

  /** Octets that were fed and not yet looked at. */
  get unread(): number {
    return this.#chunkEnd - this.#position;
  }

  /**
   * The first octets of a chunk, by default all. It is read in place and must not change until
   * `next` has returned false. A view of a part would cost as much as to read a small frame.
   */
  feed(chunk: Buffer, bytes = chunk.length): void {
    if (this.unread === 0) {
      this.#chunk = chunk;
      this.#chunkEnd = bytes;
    } else {
      const rest = this.#chunk.subarray(this.#position, this.#chunkEnd);
      this.#chunk = Buffer.concat([rest, chunk.subarray(0, bytes)]);
      this.#chunkEnd = this.#chunk.length;
    }
    this.#position = 0;
  }

  /** Moves to the next whole frame; false: there is none yet, or the stream is `oversize`. */
  next(): boolean {
    if (this.#oversize) return false;
    if (this.#assembly !== undefined) return this.#assemble(this.#assembly);
    if (!this.#readHeader()) return false;
    const start = this.#position;
    if (this.#chunkEnd - start >= this.#bodyBytes) {
      this.#position = start + this.#bodyBytes;
      return this.#found(this.#chunk, start, this.#position);
    }
    const initial = Math.min(this.#bodyBytes, assemblyBytesInitial);
    this.#assemblyBytes = 0;
    this.#assembly = Buffer.allocUnsafe(initial);
    return this.#assemble(this.#assembly);
  }

  #readHeader(): boolean {
    while (this.#headerBytesSeen < frameHeaderBytes) {
      if (this.#position === this.#chunkEnd) return false;
      this.#headerValue = this.#headerValue * 256 + (this.#chunk[this.#position] as number);
      this.#headerBytesSeen += 1;
      this.#position += 1;
    }
    this.#bodyBytes = this.#headerValue;
    this.#headerValue = 0;
    this.#headerBytesSeen = 0;
    this.#oversize = this.#bodyBytes > this.#bodyBytesMax;
    return !this.#oversize;
  }

  #assemble(assembly: Buffer): boolean {
    const taken = Math.min(this.unread, this.#bodyBytes - this.#assemblyBytes);
    const filled = this.#assemblyBytes + taken;
    let target = assembly;
    if (filled > target.length) {
      target = Buffer.allocUnsafe(Math.min(this.#bodyBytes, Math.max(filled, 2 * target.length)));
      assembly.copy(target, 0, 0, this.#assemblyBytes);
      this.#assembly = target;
    }
    this.#chunk.copy(target, this.#assemblyBytes, this.#position, this.#position + taken);
    this.#position += taken;
    this.#assemblyBytes = filled;
    if (filled < this.#bodyBytes) return false;
    this.#assembly = undefined;
    return this.#found(target, 0, filled);
  }

  #found(buffer: Buffer, start: number, end: number): boolean {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    return true;
  }
}
