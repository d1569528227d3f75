import type { Prng } from "../../base/prng.ts";
import { limits } from "../../protocol/limits.ts";

/**
 * When to say "I am here". Twice a second, and after data on a ladder of growing steps: a receiver
 * learns of a lost last datagram only from the number in the next heartbeat, so the first comes
 * soon, and the later ones cover its own loss (PGM's ambient and heartbeat SPMs).
 */
export class HeartbeatSchedule {
  readonly #prng: Prng;
  #regularMs = 0;
  #ladderMs = Number.POSITIVE_INFINITY;
  #rung = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Data was sent: back to the foot of the ladder. */
  dataSent(nowMs: number): void {
    this.#rung = 0;
    this.#ladderMs = nowMs + (limits.heartbeatLadderMs[0] ?? limits.heartbeatMs);
  }

  get dueMs(): number {
    return Math.min(this.#regularMs, this.#ladderMs);
  }

  sent(nowMs: number): void {
    // A tenth of jitter keeps the nodes of a cluster from beating in step.
    this.#regularMs = nowMs + limits.heartbeatMs * (0.9 + 0.2 * this.#prng.fraction());
    if (nowMs < this.#ladderMs) return;
    this.#rung += 1;
    const stepMs = limits.heartbeatLadderMs[this.#rung];
    this.#ladderMs = stepMs === undefined ? Number.POSITIVE_INFINITY : nowMs + stepMs;
  }
}
