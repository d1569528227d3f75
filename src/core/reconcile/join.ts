import type { Prng } from "../../base/prng.ts";
import type { Phase } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";
import type { Outbox } from "../outbox.ts";
import { donorsAmong, partsAmong } from "./donors.ts";
import type { IncomingTransfer } from "./incoming-transfer.ts";
import type { Puller } from "./puller.ts";
import { joinRangeCount, RangeQueue } from "./range-queue.ts";

export type ReadyReason = "in_sync" | "together" | "alone" | "gave_up";

/**
 * How a node that starts becomes ready: it asks who is there and takes the whole state from the
 * nodes that have it, while it applies live deltas from the first moment. The trie is cut into
 * ranges; each donor gets a few at a time, so that all give at once, each at its own pace. What a
 * donor did not finish goes back and another one gives it.
 *
 * Where no complete node is left, those that join with a part of the state take what they lack from
 * each other. A node that hears nobody with sessions starts alone.
 */
export class Join {
  readonly #puller: Puller;
  readonly #outbox: Outbox;
  #phase: Phase = "joining";
  #startedMs = 0;
  /** When it last got on: it started, or a transfer brought all that it was asked for. */
  #advancedMs = 0;
  #helloCount = 0;
  #verdictDueMs = Number.POSITIVE_INFINITY;
  /** What no complete node has given yet. */
  readonly #lacking: RangeQueue;
  /** What incomplete nodes have not given yet, of what was lacking when they were first asked. */
  readonly #parts = new Map<Peer, RangeQueue>();
  readonly #transfers = new Map<IncomingTransfer, RangeQueue>();

  constructor(puller: Puller, outbox: Outbox, prng: Prng) {
    this.#puller = puller;
    this.#outbox = outbox;
    // Not all from the same range on: should the donor die, they have different parts of it.
    this.#lacking = RangeQueue.ofWholeTrie(prng.below(joinRangeCount));
  }

  start(nowMs: number): void {
    this.#startedMs = nowMs;
    this.#advancedMs = nowMs;
    this.#verdictDueMs = nowMs;
  }

  get phase(): Phase {
    return this.#phase;
  }

  leave(): void {
    this.#phase = "leaving";
  }

  /** Whether the next heartbeat should ask for answers. */
  helloDue(nowMs: number): boolean {
    return this.#phase === "joining" && nowMs >= this.#nextHelloMs;
  }

  helloSent(): void {
    this.#helloCount += 1;
  }

  tick(peers: PeerTable, nowMs: number): void {
    if (this.#phase !== "joining") return;
    const donors = donorsAmong(peers);
    const parts = donors.length === 0 ? partsAmong(peers) : [];
    for (const donor of donors) this.#pull(donor, this.#lacking, nowMs);
    if (nowMs >= this.#aloneMs && !this.#lacking.hasUnderWay) {
      for (const peer of parts) this.#pull(peer, this.#partOf(peer), nowMs);
    }
    const hasSources = donors.length > 0 || parts.some((peer) => !this.#partOf(peer).isDone);
    // Those who are there may be among what could not be looked at.
    const soonestMs = Math.max(this.#aloneMs, peers.overlookedMs + limits.throttledMs);
    const reason = this.#verdict(hasSources || nowMs < soonestMs, nowMs);
    if (reason !== undefined) this.#ready(reason);
    else this.#verdictDueMs = this.#nextVerdictMs([...donors, ...parts], soonestMs, nowMs);
  }

  /** Whether the transfer was one of the join's; if so, its ranges are done or wait again. */
  ended(transfer: IncomingTransfer, completed: boolean, nowMs: number): boolean {
    const queue = this.#transfers.get(transfer);
    if (queue === undefined) return false;
    this.#transfers.delete(transfer);
    queue.ended(transfer.ranges, completed);
    if (completed) this.#advancedMs = nowMs;
    const { peer } = transfer;
    const pauseMs = limits.transferPauseMs * 2 ** peer.donorFailures;
    peer.donorFailures = completed ? 0 : peer.donorFailures + 1;
    if (!completed) peer.donorPauseUntilMs = nowMs + Math.min(pauseMs, limits.transferPauseMsMax);
    return true;
  }

  get dueMs(): number {
    if (this.#phase !== "joining") return Number.POSITIVE_INFINITY;
    return Math.min(this.#nextHelloMs, this.#verdictDueMs);
  }

  /** Once no complete node is there after so long, none is waited for. */
  get #aloneMs(): number {
    return this.#startedMs + limits.joinAloneMs;
  }

  get #nextHelloMs(): number {
    const offsetMs = limits.helloMs[this.#helloCount];
    return offsetMs === undefined ? Number.POSITIVE_INFINITY : this.#startedMs + offsetMs;
  }

  /** The next few ranges from this peer, unless it is giving some. */
  #pull(peer: Peer, queue: RangeQueue, nowMs: number): void {
    if (!queue.hasWaiting || nowMs < peer.donorPauseUntilMs || !this.#puller.isFree(peer)) return;
    const share = Math.floor((limits.joinTransferRecords * joinRangeCount) / peer.count);
    const ranges = queue.take(Math.max(1, Math.min(share, limits.rangesPerFrameMax)));
    this.#transfers.set(this.#puller.join(peer, ranges, nowMs), queue);
  }

  #partOf(peer: Peer): RangeQueue {
    const known = this.#parts.get(peer);
    if (known !== undefined) return known;
    const part = this.#lacking.copy();
    this.#parts.set(peer, part);
    return part;
  }

  #verdict(mayHaveSources: boolean, nowMs: number): ReadyReason | undefined {
    if (this.#lacking.isDone) return "in_sync";
    if (this.#transfers.size > 0) return undefined;
    if (nowMs >= this.#advancedMs + limits.joinMsMax) return "gave_up";
    if (mayHaveSources) return undefined;
    return this.#parts.size > 0 ? "together" : "alone";
  }

  /** While transfers run, what they bring leads to the next look; see `Puller.dueMs`. */
  #nextVerdictMs(sources: readonly Peer[], soonestMs: number, nowMs: number): number {
    let dueMs = Number.POSITIVE_INFINITY;
    const consider = (atMs: number) => {
      if (atMs > nowMs) dueMs = Math.min(dueMs, atMs);
    };
    consider(this.#aloneMs);
    consider(soonestMs);
    consider(this.#advancedMs + limits.joinMsMax);
    for (const { donorPauseUntilMs } of sources) consider(donorPauseUntilMs);
    return dueMs;
  }

  #ready(reason: ReadyReason): void {
    this.#phase = "ready";
    this.#parts.clear();
    this.#outbox.notify({ event: "ready", reason });
  }
}
