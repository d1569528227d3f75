import { assert } from "../../base/assert.ts";
import type { DeltaFrame, Fragment } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";

export interface SentFrame {
  readonly frame: DeltaFrame | Fragment;
  /** When it was last sent again; -Infinity: never. */
  repairedAtMs: number;
  /** Who asked last, to tell a private loss from a shared one. */
  requester: string;
}

const frameOverheadBytes = 100;

/** What was sent lately, by sequence number, for those who missed it; bounded in two ways. */
export class RepairRing {
  readonly #slots = new Array<SentFrame | undefined>(limits.repairRingDatagramsMax).fill(undefined);
  #oldest = 1;
  #next = 1;
  #bytes = 0;

  /** Frames come in sequence. */
  push(frame: DeltaFrame | Fragment): void {
    assert(frame.sequence === this.#next, "sequence numbers are consecutive");
    this.#next += 1;
    this.#bytes += bytesOf(frame);
    while (
      this.#next - this.#oldest > limits.repairRingDatagramsMax ||
      this.#bytes > limits.repairRingBytesMax
    ) {
      this.#dropOldest();
    }
    this.#slots[frame.sequence % this.#slots.length] = {
      frame,
      repairedAtMs: Number.NEGATIVE_INFINITY,
      requester: "",
    };
  }

  get(sequence: number): SentFrame | undefined {
    if (sequence < this.#oldest || sequence >= this.#next) return undefined;
    return this.#slots[sequence % this.#slots.length];
  }

  get oldest(): number {
    return this.#oldest;
  }

  get bytes(): number {
    return this.#bytes;
  }

  #dropOldest(): void {
    const slot = this.#oldest % this.#slots.length;
    const sent = this.#slots[slot];
    if (sent !== undefined) this.#bytes -= bytesOf(sent.frame);
    this.#slots[slot] = undefined;
    this.#oldest += 1;
  }
}

function bytesOf(frame: DeltaFrame | Fragment): number {
  const content = "block" in frame ? frame.block : frame.bytes;
  return content.length + frameOverheadBytes;
}
