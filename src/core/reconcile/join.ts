import type { Phase } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";
import type { Outbox } from "../outbox.ts";
import { wholeTrie } from "./anti-entropy.ts";
import type { IncomingTransfer } from "./incoming-transfer.ts";
import type { Puller } from "./puller.ts";

/**
 * How a node that starts becomes ready: it asks who is there, takes the whole state from one peer
 * that has it (the transfer of anti-entropy, from an empty trie) while it applies live deltas from
 * the first moment, and moves on to the next donor when one dies. A node that hears nobody with
 * sessions starts alone.
 */
export class Join {
  readonly #puller: Puller;
  readonly #outbox: Outbox;
  #phase: Phase = "joining";
  #startedMs = 0;
  #helloCount = 0;
  /** Asked last without success: another donor goes first. */
  #failed: Peer | undefined;
  #pauseUntilMs = 0;

  constructor(puller: Puller, outbox: Outbox) {
    this.#puller = puller;
    this.#outbox = outbox;
  }

  start(nowMs: number): void {
    this.#startedMs = nowMs;
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
    if (this.#puller.active || nowMs < this.#pauseUntilMs) return;
    if (nowMs >= this.#startedMs + limits.joinMsMax) {
      this.#ready("gave_up");
      return;
    }
    const donor = this.#chooseDonor(peers);
    if (donor !== undefined) this.#puller.pull(donor, [wholeTrie], nowMs);
    else if (nowMs >= this.#startedMs + limits.joinAloneMs) this.#ready("alone");
  }

  ended(transfer: IncomingTransfer, completed: boolean, nowMs: number): void {
    const isWhole = transfer.ranges.includes(wholeTrie);
    if (this.#phase !== "joining" || !isWhole) return;
    if (completed) {
      this.#ready("in_sync");
      return;
    }
    this.#failed = transfer.peer;
    this.#pauseUntilMs = nowMs + limits.transferPauseMs;
  }

  get dueMs(): number {
    if (this.#phase !== "joining") return Number.POSITIVE_INFINITY;
    // While a transfer runs, its own timer brings the next step.
    if (this.#puller.active) return this.#nextHelloMs;
    const verdictMs = Math.max(this.#pauseUntilMs, this.#startedMs + limits.joinAloneMs);
    return Math.min(this.#nextHelloMs, verdictMs);
  }

  get #nextHelloMs(): number {
    const offsetMs = limits.helloMs[this.#helloCount];
    return offsetMs === undefined ? Number.POSITIVE_INFINITY : this.#startedMs + offsetMs;
  }

  /** The one with the most records, but who failed last only when there is no other. */
  #chooseDonor(peers: PeerTable): Peer | undefined {
    let best: Peer | undefined;
    let last: Peer | undefined;
    for (const peer of peers.all()) {
      if (peer.state !== "up" || peer.phase !== "ready") continue;
      if (peer.count + peer.stubs === 0) continue;
      if (peer === this.#failed) last = peer;
      else if (best === undefined || peer.count > best.count) best = peer;
    }
    return best ?? last;
  }

  #ready(reason: "in_sync" | "alone" | "gave_up"): void {
    this.#phase = "ready";
    this.#outbox.notify({ event: "ready", reason });
  }
}
