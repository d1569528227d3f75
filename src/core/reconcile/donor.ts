import type { DeltaCodec, DeltaPacker } from "../../protocol/delta-codec.ts";
import { type Chunk, type Credit, type Fetch, Tag, type Want } from "../../protocol/frames.ts";
import { framesBytesMax, limits } from "../../protocol/limits.ts";
import { hasLife, wholeDelta } from "../../session/record.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import type { Outbox } from "../outbox.ts";
import type { Store } from "../store/store.ts";
import { endOfTransfer } from "./incoming-transfer.ts";
import { OutgoingTransfer } from "./outgoing-transfer.ts";

/** What a block may take of a datagram that answers a fetch: frame header, nonce and flag off. */
const foundBytesMax = framesBytesMax - limits.frameHeaderBytes - 5;

/** Serves transfers to peers that ask: a bounded number at once, each as fast as it is credited. */
export class Donor {
  readonly #store: Store;
  readonly #packer: DeltaPacker;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #transfers = new Map<string, OutgoingTransfer>();

  constructor(store: Store, codec: DeltaCodec, outbox: Outbox, counters: Counters) {
    this.#store = store;
    this.#packer = codec.packer();
    this.#outbox = outbox;
    this.#counters = counters;
  }

  onWant(peer: Peer, want: Want, nowMs: number): void {
    const key = keyOf(peer, want.transfer);
    // Asked again because no chunk has arrived: the credit timer of the receiver sees to that.
    let transfer = this.#transfers.get(key);
    if (transfer === undefined) {
      this.#dropSilent(nowMs);
      if (this.#transfers.size >= limits.transferOutgoingMax) {
        this.#counters.reconcile.transfersRefused += 1;
        this.#outbox.unicast(peer.address, [endOfTransfer(want.transfer)]);
        return;
      }
      transfer = this.#open(want, nowMs);
      this.#transfers.set(key, transfer);
    }
    const window = Math.min(limits.transferCreditEveryChunks, limits.transferWindowChunks);
    const first = { ...endOfTransfer(want.transfer), window };
    this.#send(peer, transfer.credited(first, nowMs) ?? []);
  }

  /** False: there is no such transfer, or none that could have come so far. */
  onCredit(peer: Peer, credit: Credit, nowMs: number): boolean {
    const key = keyOf(peer, credit.transfer);
    if (credit.window === 0) return this.#transfers.delete(key);
    const chunks = this.#transfers.get(key)?.credited(credit, nowMs);
    this.#send(peer, chunks ?? []);
    return chunks !== undefined;
  }

  /** Answers for one session, by its content if that fits a datagram. */
  onFetch(peer: Peer, fetch: Fetch): void {
    const { nonce } = fetch;
    const record = this.#store.find(fetch.id);
    // A part without life says no more than a stub: that there is, or was, such a session.
    if (record === undefined || !hasLife(record)) {
      const tag = this.#store.lacks(fetch.id) ? Tag.evicted : Tag.absent;
      this.#outbox.unicast(peer.address, [{ tag, nonce }]);
      return;
    }
    this.#counters.reconcile.fetchesServed += 1;
    this.#packer.add(wholeDelta(record), Number.POSITIVE_INFINITY);
    const whole = this.#packer.take();
    const block = whole.length <= foundBytesMax ? whole : whole.subarray(0, 0);
    const kept = !record.gaveUp;
    this.#outbox.unicast(peer.address, [{ tag: Tag.found, nonce, kept, block }]);
  }

  get transferCount(): number {
    return this.#transfers.size;
  }

  #open(want: Want, nowMs: number): OutgoingTransfer {
    this.#counters.reconcile.transfersOut += 1;
    const onRecord = () => {
      this.#counters.reconcile.recordsSent += 1;
    };
    const onStub = () => {
      this.#counters.reconcile.stubsSent += 1;
    };
    const source = { store: this.#store, packer: this.#packer, onRecord, onStub };
    return new OutgoingTransfer(want.transfer, want.ranges, source, nowMs);
  }

  #send(peer: Peer, chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      this.#counters.reconcile.chunksSent += 1;
      this.#outbox.unicast(peer.address, [chunk]);
    }
  }

  #dropSilent(nowMs: number): void {
    for (const [key, transfer] of this.#transfers) {
      if (nowMs - transfer.lastCreditMs >= limits.transferSilenceMs) this.#transfers.delete(key);
    }
  }
}

function keyOf(peer: Peer, transfer: number): string {
  return `${peer.boot}:${transfer}`;
}
