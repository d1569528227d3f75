import { assert } from "../../base/assert.ts";
import { type DeltaFrame, type Fragment, Tag } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";

const frameOverheadBytes = 100;

/** A frame that was sent, for as long as the ring holds it. */
export class SentFrame {
  /** When it was last sent again; -Infinity: never. */
  repairedAtMs = Number.NEGATIVE_INFINITY;
  /** Who asked last, to tell a private loss from a shared one. */
  requester = "";
  page: Uint8Array | undefined;
  #offset = 0;
  #length = 0;
  #sequence = 0;
  #index = 0;
  /** Of fragments; 0: it is none. */
  #count = 0;

  hold(frame: DeltaFrame | Fragment, page: Uint8Array, offset: number, length: number): void {
    this.repairedAtMs = Number.NEGATIVE_INFINITY;
    this.requester = "";
    this.page = page;
    this.#offset = offset;
    this.#length = length;
    this.#sequence = frame.sequence;
    this.#index = frame.tag === Tag.fragment ? frame.index : 0;
    this.#count = frame.tag === Tag.fragment ? frame.count : 0;
  }

  /** What it counts against the ring's limit. */
  get bytes(): number {
    return this.#length + frameOverheadBytes;
  }

  /** Its octets are the ring's: valid until the next push. */
  get frame(): DeltaFrame | Fragment {
    assert(this.page !== undefined, "a frame has its place");
    const bytes = this.page.subarray(this.#offset, this.#offset + this.#length);
    const sequence = this.#sequence;
    if (this.#count === 0) return { tag: Tag.delta, sequence, block: bytes };
    return { tag: Tag.fragment, sequence, index: this.#index, count: this.#count, bytes };
  }
}

/**
 * What was sent lately, by sequence number, for those who missed it; bounded in two ways.
 *
 * All that is sent passes through, so the octets are copied into pages that are used again and
 * again: in buffers of their own they would live long enough to be the garbage that costs most.
 * Pages are made when they are first needed, so a quiet node has few.
 */
export class RepairRing {
  readonly #slots: SentFrame[] = [];
  readonly #pages: Uint8Array[] = [];
  /** One more than the octets fill, for what is left free at the ends. */
  readonly #pagesMax = Math.ceil(limits.repairRingBytesMax / limits.repairRingPageBytes) + 1;
  #page = 0;
  /** Of the first free octet in the page. */
  #offset = 0;
  #oldest = 1;
  #next = 1;
  #bytes = 0;

  /** Frames come in sequence; their octets are copied. */
  push(frame: DeltaFrame | Fragment): void {
    assert(frame.sequence === this.#next, "sequence numbers are consecutive");
    const content = frame.tag === Tag.delta ? frame.block : frame.bytes;
    assert(content.length <= limits.datagramBytesMax, "a frame fits a datagram");
    this.#next += 1;
    this.#bytes += content.length + frameOverheadBytes;
    while (
      this.#next - this.#oldest > limits.repairRingDatagramsMax ||
      this.#bytes > limits.repairRingBytesMax
    ) {
      this.#dropOldest();
    }
    if (this.#offset + content.length > limits.repairRingPageBytes) this.#turnPage();
    this.#pages[this.#page] ??= new Uint8Array(limits.repairRingPageBytes);
    const page = this.#pages[this.#page];
    assert(page !== undefined, "the page was made");
    page.set(content, this.#offset);
    this.#slot(frame.sequence).hold(frame, page, this.#offset, content.length);
    this.#offset += content.length;
  }

  get(sequence: number): SentFrame | undefined {
    if (sequence < this.#oldest || sequence >= this.#next) return undefined;
    return this.#slot(sequence);
  }

  get oldest(): number {
    return this.#oldest;
  }

  get datagrams(): number {
    return this.#next - this.#oldest;
  }

  get bytes(): number {
    return this.#bytes;
  }

  #turnPage(): void {
    this.#page = (this.#page + 1) % this.#pagesMax;
    this.#offset = 0;
    const page = this.#pages[this.#page];
    const isFree = page === undefined || this.#slot(this.#oldest).page !== page;
    // The newest has a slot already, but no place: what that says is of the frame before.
    assert(isFree || this.#oldest === this.#next - 1, "the ring has dropped what its pages reuse");
  }

  #slot(sequence: number): SentFrame {
    const index = sequence % limits.repairRingDatagramsMax;
    this.#slots[index] ??= new SentFrame();
    return this.#slots[index];
  }

  #dropOldest(): void {
    this.#bytes -= this.#slot(this.#oldest).bytes;
    this.#oldest += 1;
  }
}
