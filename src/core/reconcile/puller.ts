import type { Prng } from "../../base/prng.ts";
import { type Chunk, Tag, type TrieRange } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import type { Outbox } from "../outbox.ts";
import { endOfTransfer, IncomingTransfer } from "./incoming-transfer.ts";

export interface PullerHooks {
  /** Blocks of whole records arrived from this peer. */
  received(peer: Peer, blocks: readonly Uint8Array[]): void;
  ended(peer: Peer, completed: boolean): void;
}

/** Pulls ranges of records from peers: at most one transfer a peer, and few in all. */
export class Puller {
  readonly #prng: Prng;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #hooks: PullerHooks;
  readonly #transfers = new Map<number, IncomingTransfer>();

  constructor(prng: Prng, outbox: Outbox, counters: Counters, hooks: PullerHooks) {
    this.#prng = prng;
    this.#outbox = outbox;
    this.#counters = counters;
    this.#hooks = hooks;
  }

  /** False: enough is under way already. */
  pull(peer: Peer, ranges: readonly TrieRange[], nowMs: number): boolean {
    if (ranges.length === 0 || this.#transfers.size >= limits.transferIncomingMax) return false;
    if (this.isPulling(peer)) return false;
    const asked = ranges.slice(0, limits.rangesPerFrameMax);
    const transfer = new IncomingTransfer(this.#prng.uint32(), peer, asked, nowMs);
    this.#transfers.set(transfer.id, transfer);
    this.#counters.reconcile.transfersIn += 1;
    this.#want(transfer);
    return true;
  }

  get active(): boolean {
    return this.#transfers.size > 0;
  }

  isPulling(peer: Peer): boolean {
    for (const transfer of this.#transfers.values()) if (transfer.peer === peer) return true;
    return false;
  }

  onChunk(peer: Peer, chunk: Chunk, nowMs: number): void {
    this.#counters.reconcile.chunksReceived += 1;
    const transfer = this.#transfers.get(chunk.transfer);
    if (transfer === undefined || transfer.peer !== peer) {
      this.#outbox.unicast(peer.address, [endOfTransfer(chunk.transfer)]);
      return;
    }
    const progress = transfer.add(chunk, nowMs);
    if (progress.state === "broken") {
      this.#end(transfer, false);
      return;
    }
    if (progress.blocks.length > 0) this.#hooks.received(peer, progress.blocks);
    if (progress.state === "done") this.#end(transfer, true);
    else if (transfer.creditDue) this.#outbox.unicast(peer.address, [transfer.credit(nowMs)]);
  }

  /** The donor has no room for it. */
  onRefused(peer: Peer, id: number): void {
    const transfer = this.#transfers.get(id);
    if (transfer?.peer === peer) this.#end(transfer, false);
  }

  tick(nowMs: number): void {
    for (const transfer of this.#transfers.values()) {
      if (transfer.silentMs(nowMs) >= limits.transferSilenceMs) {
        this.#end(transfer, false);
      } else if (nowMs >= transfer.dueMs) {
        const credit = transfer.credit(nowMs);
        if (transfer.started) this.#outbox.unicast(transfer.peer.address, [credit]);
        else this.#want(transfer);
      }
    }
  }

  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const transfer of this.#transfers.values()) dueMs = Math.min(dueMs, transfer.dueMs);
    return dueMs;
  }

  #want(transfer: IncomingTransfer): void {
    const { id, ranges } = transfer;
    this.#outbox.unicast(transfer.peer.address, [{ tag: Tag.want, transfer: id, ranges }]);
  }

  #end(transfer: IncomingTransfer, completed: boolean): void {
    this.#transfers.delete(transfer.id);
    if (!completed) this.#counters.reconcile.transfersFailed += 1;
    this.#outbox.unicast(transfer.peer.address, [endOfTransfer(transfer.id)]);
    this.#hooks.ended(transfer.peer, completed);
  }
}
