import type { DeltaPacker } from "../../protocol/delta-codec.ts";
import { type Chunk, type Credit, Tag, type TrieRange } from "../../protocol/frames.ts";
import { framesBytesMax, limits } from "../../protocol/limits.ts";
import { wholeDelta } from "../../session/record.ts";
import { isWithin, leavesOf } from "../store/digest-trie.ts";
import type { Store } from "../store/store.ts";
import type { Stub } from "../store/stubs.ts";
import { framed } from "./block-assembler.ts";
import { packStubs, stubsPerBlock } from "./stub-block.ts";

/** What a chunk may carry: frame header, transfer, index and last flag off. */
const chunkBytesMax = framesBytesMax - limits.frameHeaderBytes - 9;

interface SentChunk {
  readonly chunk: Chunk;
  sentMs: number;
}

/**
 * The donor's side of a transfer: the records and stubs of some ranges as one stream of octets,
 * made while it is sent and cut into chunks. The receiver holds the reins: nothing is sent beyond
 * the window of its last credit, and a chunk is kept until a credit covers it. So a donor's memory
 * per transfer is one window, and it needs no timer.
 */
export class OutgoingTransfer {
  readonly id: number;
  lastCreditMs: number;
  readonly #octets: Iterator<Uint8Array>;
  readonly #sent = new Map<number, SentChunk>();
  #rest: Uint8Array = new Uint8Array(0);
  #nextIndex = 0;
  #windowEnd = 0;
  #finished = false;
  #lastNext = -1;

  constructor(id: number, ranges: readonly TrieRange[], source: TransferSource, nowMs: number) {
    this.id = id;
    this.lastCreditMs = nowMs;
    this.#octets = framedBlocks(ranges, source);
  }

  /**
   * What to send on a credit: what is missing, and what the window now allows. Undefined: nobody
   * can have what was not sent.
   */
  credited(credit: Credit, nowMs: number): Chunk[] | undefined {
    if (credit.next > this.#nextIndex) return undefined;
    this.lastCreditMs = nowMs;
    for (const index of this.#sent.keys()) if (index < credit.next) this.#sent.delete(index);
    this.#windowEnd = Math.max(this.#windowEnd, credit.next + credit.window);
    const chunks = this.#resend(credit, nowMs);
    while (!this.#finished && this.#nextIndex < this.#windowEnd) chunks.push(this.#cut(nowMs));
    return chunks;
  }

  #resend(credit: Credit, nowMs: number): Chunk[] {
    // No progress since the last credit and no hole named: the tail was lost, unseen by the
    // receiver.
    const stuck = credit.next === this.#lastNext && credit.missing.length === 0;
    this.#lastNext = credit.next;
    const indexes = stuck ? [...this.#sent.keys()] : credit.missing;
    const chunks: Chunk[] = [];
    for (const index of indexes) {
      const sent = this.#sent.get(index);
      if (sent === undefined || nowMs - sent.sentMs < limits.transferLingerMs) continue;
      sent.sentMs = nowMs;
      chunks.push(sent.chunk);
    }
    return chunks;
  }

  #cut(nowMs: number): Chunk {
    const bytes = new Uint8Array(chunkBytesMax);
    let filled = 0;
    while (filled < chunkBytesMax) {
      if (this.#rest.length === 0) {
        const next = this.#octets.next();
        if (next.done === true) {
          this.#finished = true;
          break;
        }
        this.#rest = next.value;
      }
      const piece = this.#rest.subarray(0, chunkBytesMax - filled);
      bytes.set(piece, filled);
      filled += piece.length;
      this.#rest = this.#rest.subarray(piece.length);
    }
    const chunk: Chunk = {
      tag: Tag.chunk,
      transfer: this.id,
      index: this.#nextIndex,
      last: this.#finished,
      bytes: bytes.subarray(0, filled),
    };
    this.#sent.set(this.#nextIndex, { chunk, sentMs: nowMs });
    this.#nextIndex += 1;
    return chunk;
  }
}

export interface TransferSource {
  readonly store: Store;
  readonly packer: DeltaPacker;
  onRecord(): void;
  onStub(): void;
}

/** Blocks of whole records, and of stubs. */
function* framedBlocks(
  ranges: readonly TrieRange[],
  source: TransferSource,
): Generator<Uint8Array> {
  const { store, packer } = source;
  let stubs: Stub[] = [];
  for (const range of ranges) {
    const { first, end } = leavesOf(range);
    for (let leaf = store.nextLeaf(first, end); leaf < end; leaf = store.nextLeaf(leaf + 1, end)) {
      for (const record of store.recordsOfLeaf(leaf)) {
        if (!isWithin(range, record.idHash)) continue;
        source.onRecord();
        packer.add(wholeDelta(record), Number.POSITIVE_INFINITY);
        if (packer.bytes >= limits.transferBlockBytes) yield records(packer);
      }
      for (const stub of store.stubs.ofLeaf(leaf)) {
        if (!isWithin(range, stub.idHash)) continue;
        source.onStub();
        if (stubs.push(stub) < stubsPerBlock) continue;
        yield framed({ kind: "stubs", bytes: packStubs(stubs) });
        stubs = [];
      }
    }
  }
  if (packer.count > 0) yield records(packer);
  if (stubs.length > 0) yield framed({ kind: "stubs", bytes: packStubs(stubs) });
}

function records(packer: DeltaPacker): Uint8Array {
  return framed({ kind: "records", bytes: packer.take() });
}
