import type { Prng } from "../../base/prng.ts";
import { type Chunk, Tag, type TrieRange } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Taken } from "../intake.ts";
import type { Peer } from "../membership/peer.ts";
import type { Outbox } from "../outbox.ts";
import type { TransferBlock } from "./block-assembler.ts";
import { endOfTransfer, IncomingTransfer } from "./incoming-transfer.ts";

export interface PullerHooks {
  /** Blocks arrived from this peer; undefined when one is not valid. */
  received(peer: Peer, blocks: readonly TransferBlock[]): Taken | undefined;
  ended(transfer: IncomingTransfer, completed: boolean): void;
}

/**
 * Pulls ranges of records from peers: one transfer a peer at a time and few in all. What a walk of
 * the trie finds while one runs waits, and is asked for when it ends. The transfers of a join are
 * long and are not waited for: beside them there may be as many others.
 */
export class Puller {
  readonly #prng: Prng;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #hooks: PullerHooks;
  readonly #transfers = new Map<number, IncomingTransfer>();
  readonly #joins = new Set<IncomingTransfer>();
  /** By `keyOf`, in the order in which they were found. */
  readonly #waiting = new Map<Peer, Map<number, TrieRange>>();

  constructor(prng: Prng, outbox: Outbox, counters: Counters, hooks: PullerHooks) {
    this.#prng = prng;
    this.#outbox = outbox;
    this.#counters = counters;
    this.#hooks = hooks;
  }

  /**
   * Asks for these ranges, now or when the transfers under way leave room. One that waits already
   * is not asked for twice; one under way is, since what has changed meanwhile may be behind it.
   */
  pull(peer: Peer, ranges: readonly TrieRange[], nowMs: number): void {
    if (ranges.length === 0) return;
    const waiting = this.#waiting.get(peer) ?? new Map<number, TrieRange>();
    for (const range of ranges) {
      const key = keyOf(range);
      if (waiting.has(key)) continue;
      if (waiting.size < limits.rangesWaitingMax) waiting.set(key, range);
      // What finds no room is found again by the next round.
      else this.#counters.reconcile.rangesDropped += 1;
    }
    this.#waiting.set(peer, waiting);
    this.#startWaiting(nowMs);
  }

  /** Whether anything is wanted from this peer. */
  isPulling(peer: Peer): boolean {
    if (this.#waiting.has(peer)) return true;
    for (const transfer of this.#transfers.values()) if (transfer.peer === peer) return true;
    return false;
  }

  /** Whether a transfer of a join can begin from this peer. */
  isFree(peer: Peer): boolean {
    if (this.#joins.size >= limits.transferIncomingMax) return false;
    return ![...this.#joins].some((transfer) => transfer.peer === peer);
  }

  /** Asks for these ranges, for a join, and at once; see `isFree`. */
  join(peer: Peer, ranges: readonly TrieRange[], nowMs: number): IncomingTransfer {
    const transfer = this.#begin(peer, ranges, nowMs);
    this.#joins.add(transfer);
    return transfer;
  }

  get active(): boolean {
    return this.#transfers.size > 0;
  }

  get transferCount(): number {
    return this.#transfers.size;
  }

  /** Chunks that came before those they follow. */
  get chunksAhead(): number {
    let count = 0;
    for (const { ahead } of this.#transfers.values()) count += ahead;
    return count;
  }

  /** Of the peer of which most are wanted. */
  get rangesWaiting(): number {
    let count = 0;
    for (const ranges of this.#waiting.values()) count = Math.max(count, ranges.size);
    return count;
  }

  /** False: it is of no transfer from this peer, or none that it has to send now. */
  onChunk(peer: Peer, chunk: Chunk, nowMs: number): boolean {
    this.#counters.reconcile.chunksReceived += 1;
    const transfer = this.#transfers.get(chunk.transfer);
    if (transfer === undefined || transfer.peer !== peer) {
      this.#outbox.unicast(peer.address, [endOfTransfer(chunk.transfer)]);
      return false;
    }
    const progress = transfer.add(chunk, nowMs);
    if (progress.state === "surplus") return false;
    if (progress.state === "broken") {
      this.#end(transfer, false, nowMs);
      return true;
    }
    if (progress.blocks.length > 0) {
      const taken = this.#hooks.received(peer, progress.blocks);
      if (taken === undefined) {
        this.#end(transfer, false, nowMs);
        return true;
      }
      transfer.changes += taken.changes;
      transfer.skipped += taken.skipped;
    }
    if (progress.state === "done") this.#end(transfer, true, nowMs);
    else if (transfer.creditDue) {
      this.#outbox.unicast(peer.address, [transfer.credit(nowMs, this.#window)]);
    }
    return true;
  }

  /** The donor has no room for it. False: it was not asked for it. */
  onRefused(peer: Peer, id: number, nowMs: number): boolean {
    const transfer = this.#transfers.get(id);
    if (transfer?.peer !== peer) return false;
    this.#end(transfer, false, nowMs);
    return true;
  }

  tick(nowMs: number): void {
    for (const transfer of this.#transfers.values()) {
      // Who has left or was started anew gives nothing more, and what is pulled next may be.
      const isGone = transfer.peer.state !== "up";
      if (isGone || transfer.silentMs(nowMs) >= limits.transferSilenceMs) {
        this.#end(transfer, false, nowMs);
      } else if (nowMs >= transfer.dueMs) {
        const credit = transfer.credit(nowMs, this.#window);
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

  /** One window is shared by all transfers: what is on its way must fit the socket's buffer. */
  get #window(): number {
    const share = Math.floor(limits.transferWindowChunks / Math.max(1, this.#transfers.size));
    const least = Math.min(limits.transferCreditEveryChunks, limits.transferWindowChunks);
    return Math.max(least, share);
  }

  #startWaiting(nowMs: number): void {
    for (const [peer, ranges] of this.#waiting) {
      const others = [...this.#transfers.values()].filter((one) => !this.#joins.has(one));
      if (others.length >= limits.transferIncomingMax) return;
      if (others.some((transfer) => transfer.peer === peer)) continue;
      const asked: TrieRange[] = [];
      for (const [key, range] of ranges) {
        if (asked.length === limits.rangesPerFrameMax) break;
        asked.push(range);
        ranges.delete(key);
      }
      if (ranges.size === 0) this.#waiting.delete(peer);
      this.#begin(peer, asked, nowMs);
    }
  }

  #begin(peer: Peer, ranges: readonly TrieRange[], nowMs: number): IncomingTransfer {
    const transfer = new IncomingTransfer(this.#prng.uint32(), peer, ranges, nowMs);
    this.#transfers.set(transfer.id, transfer);
    this.#counters.reconcile.transfersIn += 1;
    this.#want(transfer);
    return transfer;
  }

  #want(transfer: IncomingTransfer): void {
    const { id, ranges } = transfer;
    this.#outbox.unicast(transfer.peer.address, [{ tag: Tag.want, transfer: id, ranges }]);
  }

  #end(transfer: IncomingTransfer, completed: boolean, nowMs: number): void {
    this.#transfers.delete(transfer.id);
    const isJoins = this.#joins.delete(transfer);
    if (!completed) {
      this.#counters.reconcile.transfersFailed += 1;
      // The rest would fail as well; the next round finds it again.
      if (!isJoins) this.#waiting.delete(transfer.peer);
    }
    this.#outbox.unicast(transfer.peer.address, [endOfTransfer(transfer.id)]);
    this.#hooks.ended(transfer, completed);
    this.#startWaiting(nowMs);
  }
}

/** Different for different ranges; prefixes have 32 bits at most. */
function keyOf({ level, prefix }: TrieRange): number {
  return level * 2 ** 32 + prefix;
}
