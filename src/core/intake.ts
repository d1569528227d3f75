import type { Now } from "../base/now.ts";
import type { DeltaCodec } from "../protocol/delta-codec.ts";
import { limits } from "../protocol/limits.ts";
import type { HybridClock } from "../session/hybrid-clock.ts";
import type { SessionDelta } from "../session/record.ts";
import { stampWallMs } from "../session/stamp.ts";
import type { Counters } from "./counters.ts";
import type { Peer } from "./membership/peer.ts";
import type { Outbox } from "./outbox.ts";
import type { Store } from "./store/store.ts";

/** Where peers' writes come in: decoded, refused when stamped in the future, merged. */
export class Intake {
  readonly #codec: DeltaCodec;
  readonly #store: Store;
  readonly #clock: HybridClock;
  readonly #outbox: Outbox;
  readonly #counters: Counters;

  constructor(
    codec: DeltaCodec,
    store: Store,
    clock: HybridClock,
    outbox: Outbox,
    counters: Counters,
  ) {
    this.#codec = codec;
    this.#store = store;
    this.#clock = clock;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** A block of the peer's delta stream. */
  takeBlock(peer: Peer, block: Uint8Array, now: Now): void {
    const deltas = this.#decode(block) ?? [];
    this.#counters.stream.deltasReceived += deltas.length;
    for (const delta of deltas) this.#apply(peer, delta, now);
  }

  /**
   * Blocks of a transfer. The number of records that changed something here; undefined when a
   * block is not valid.
   */
  takeTransfer(peer: Peer, blocks: readonly Uint8Array[], now: Now): number | undefined {
    let changes = 0;
    for (const block of blocks) {
      const deltas = this.#decode(block);
      if (deltas === undefined) return undefined;
      this.#counters.reconcile.recordsReceived += deltas.length;
      for (const delta of deltas) {
        if (this.#hasRoomFor(delta) && this.#apply(peer, delta, now)) changes += 1;
      }
    }
    return changes;
  }

  /** Follows the peer's clock, or takes note of how far it is ahead and does not. */
  noteClock(peer: Peer, time: number, { wallMs, monotonicMs }: Now): void {
    if (this.#clock.observe(time, wallMs)) {
      peer.skewMs = 0;
      return;
    }
    peer.skewMs = stampWallMs(time) - wallMs;
    // A clock at the edge of the limit would fill the log.
    if (monotonicMs < peer.skewNotedMs + limits.alarmEveryMs) return;
    peer.skewNotedMs = monotonicMs;
    this.#outbox.notify({ event: "peer_skewed", peer: peer.who, aheadMs: peer.skewMs });
  }

  #decode(block: Uint8Array): SessionDelta[] | undefined {
    const deltas = this.#codec.decode(block);
    if (deltas === undefined) this.#counters.stream.badBlocks += 1;
    return deltas;
  }

  /**
   * At its limit a node would only evict one session to take in another. What it holds, and what
   * is dead, it must know all the same.
   */
  #hasRoomFor(delta: SessionDelta): boolean {
    return !this.#store.full || delta.life?.alive === false || this.#store.has(delta.id);
  }

  /** Whether it changed anything. */
  #apply(peer: Peer, delta: SessionDelta, now: Now): boolean {
    const time = latestTime(delta);
    if (!this.#clock.observe(time, now.wallMs)) {
      this.#counters.stream.skewedDeltas += 1;
      this.noteClock(peer, time, now);
      return false;
    }
    const applied = this.#store.apply(delta, now.wallMs);
    if (applied === undefined) this.#counters.stream.lateDeltas += 1;
    else if (applied.changed) this.#counters.stream.deltasApplied += 1;
    return applied?.changed === true;
  }
}

function latestTime(delta: SessionDelta): number {
  let time = Math.max(
    delta.life?.stamp.time ?? 0,
    delta.floor?.time ?? 0,
    delta.expiry?.stamp.time ?? 0,
  );
  for (const attribute of delta.attributes) time = Math.max(time, attribute.stamp.time);
  return time;
}
