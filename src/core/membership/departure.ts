import { limits } from "../../protocol/limits.ts";
import type { Hash64 } from "../../session/fingerprint.ts";
import type { PeerTable } from "./peer-table.ts";

/**
 * How a node leaves: what it wrote last may have been lost on the way, and once it is gone nobody
 * can ask for it again. So it stays, answering, until every peer has said that it holds the same,
 * for a bounded time: under load digests may never be equal at one moment.
 */
export class Departure {
  #begunMs = Number.POSITIVE_INFINITY;
  /** Since when peers can have everything: nothing waited to be sent any more. */
  #startedMs = Number.POSITIVE_INFINITY;
  #helloDueMs = Number.POSITIVE_INFINITY;

  begin(nowMs: number): void {
    this.#begunMs = nowMs;
    this.#startedMs = nowMs;
    this.#helloDueMs = nowMs;
  }

  /** Whether peers should be asked (again) what they hold. */
  helloDue(nowMs: number): boolean {
    return nowMs >= this.#helloDueMs;
  }

  helloSent(nowMs: number): void {
    if (this.#helloDueMs < Number.POSITIVE_INFINITY) {
      this.#helloDueMs = nowMs + limits.leaveHelloMs;
    }
  }

  /** Whether nothing is left to wait for. `pending`: something waits to be sent. */
  isOver(peers: PeerTable, root: Hash64, pending: boolean, nowMs: number): boolean {
    if (nowMs < this.#begunMs) return false;
    if (pending && nowMs < this.#begunMs + limits.leaveFlushMsMax) {
      this.#startedMs = nowMs;
      return false;
    }
    if (nowMs >= this.#startedMs + limits.leaveMsMax) return true;
    for (const peer of peers.all()) {
      if (peer.state !== "up" || peer.phase === "leaving") continue;
      const heardSince = peer.heartbeatMs > this.#startedMs;
      const equal = peer.digest.high === root.high && peer.digest.low === root.low;
      if (!heardSince || !equal) return false;
    }
    return true;
  }

  get dueMs(): number {
    return Math.min(this.#helloDueMs, this.#startedMs + limits.leaveMsMax);
  }
}
