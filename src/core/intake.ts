import type { Now } from "../base/now.ts";
import type { DeltaCodec } from "../protocol/delta-codec.ts";
import { limits } from "../protocol/limits.ts";
import type { HybridClock } from "../session/hybrid-clock.ts";
import type { SessionDelta } from "../session/record.ts";
import { stampWallMs } from "../session/stamp.ts";
import type { Counters } from "./counters.ts";
import type { Peer } from "./membership/peer.ts";
import type { Outbox } from "./outbox.ts";
import type { TransferBlock } from "./reconcile/block-assembler.ts";
import { readStubs } from "./reconcile/stub-block.ts";
import type { Store } from "./store/store.ts";
import type { StoredRecord } from "./store/stored-record.ts";

/** What has become of the records of a transfer; see `Intake.takeTransfer`. */
export interface Taken {
  readonly changes: number;
  readonly skipped: number;
}

/**
 * `stub`: this node knows of it and does not hold it; `skipped`: there is not even room for a stub.
 */
type Outcome = "changed" | "known" | "late" | "skewed" | "stub" | "skipped";

/**
 * Where peers' writes come in: decoded, refused when stamped in the future, merged. Those to a
 * session of which there is only a stub are not kept: parts of a record are nothing to show or to
 * give, and taking in all that peers write would evict for each what clients here use.
 */
export class Intake {
  readonly #codec: DeltaCodec;
  readonly #store: Store;
  readonly #clock: HybridClock;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #written: (id: string) => void;

  /** `written`: somebody has of a session what this node had not, whatever it kept of that. */
  constructor(
    codec: DeltaCodec,
    store: Store,
    clock: HybridClock,
    outbox: Outbox,
    counters: Counters,
    written: (id: string) => void,
  ) {
    this.#written = written;
    this.#codec = codec;
    this.#store = store;
    this.#clock = clock;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** A block of the peer's delta stream. Whether all of it is part of this node's state now. */
  takeBlock(peer: Peer, block: Uint8Array, now: Now): boolean {
    const deltas = this.#decode(block);
    if (deltas === undefined) return false;
    this.#counters.stream.deltasReceived += deltas.length;
    const records = this.#store.findAll(deltas);
    let whole = true;
    for (const [index, delta] of deltas.entries()) {
      const outcome = this.#applyPart(peer, delta, records[index], now);
      if (outcome !== "changed" && outcome !== "known") whole = false;
    }
    return whole;
  }

  /**
   * A session that was asked for. Whether all that the peer has of it has been looked at.
   * Undefined: the peer has only a part, as this node has or not even that, or what is over by now,
   * and may have been used elsewhere since.
   */
  takeFound(peer: Peer, block: Uint8Array, now: Now): boolean | undefined {
    const deltas = this.#decode(block) ?? [];
    this.#counters.reconcile.recordsReceived += deltas.length;
    let whole: boolean | undefined = deltas.length > 0;
    for (const delta of deltas) {
      const isPart = delta.life === undefined && this.#store.hasStub(delta.id);
      const outcome = isPart ? "late" : this.#apply(peer, delta, now);
      if (outcome === "stub" || outcome === "skewed") whole = false;
      else if (this.#store.lacksLife(delta.id)) whole = undefined;
      else if (outcome === "late" && this.#store.hasStub(delta.id)) whole = undefined;
    }
    return whole;
  }

  /**
   * Blocks of a transfer. The numbers of records that changed something here, and of those that
   * were not looked at; undefined when a block is not valid. `isWanted` is told of each record: a
   * client waits for it, so that it is taken in whatever must go for it.
   */
  takeTransfer(
    peer: Peer,
    blocks: readonly TransferBlock[],
    isWanted: (id: string) => boolean,
    now: Now,
  ): Taken | undefined {
    let changes = 0;
    let skipped = 0;
    const count = (outcome: Outcome) => {
      if (outcome === "changed") changes += 1;
      else if (outcome === "skipped" || outcome === "skewed") skipped += 1;
    };
    for (const { kind, bytes } of blocks) {
      if (kind === "stubs") {
        const stubs = readStubs(bytes);
        if (stubs === undefined) return undefined;
        this.#counters.reconcile.stubsReceived += stubs.length;
        for (const stub of stubs) count(outcomeOf(this.#store.meet(stub, now.wallMs)));
        continue;
      }
      const deltas = this.#decode(bytes);
      if (deltas === undefined) return undefined;
      this.#counters.reconcile.recordsReceived += deltas.length;
      for (const delta of deltas) count(this.#applyWhole(peer, delta, isWanted, now));
    }
    return { changes, skipped };
  }

  /** Follows the peer's clock, or takes note of how far it is ahead and does not. */
  noteClock(peer: Peer, time: number, { wallMs, monotonicMs }: Now): void {
    if (this.#clock.observe(time, wallMs)) {
      if (peer.skewMs > 0) peer.compareSoon();
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

  /** That a session was destroyed is worth a record even where the rest is missing. */
  #applyPart(peer: Peer, delta: SessionDelta, found: StoredRecord | undefined, now: Now): Outcome {
    if (this.#isAncient(delta, now.wallMs)) {
      this.#counters.stream.ancientDeltas += 1;
      return "late";
    }
    if (delta.life?.alive === false || !this.#store.hasStub(delta.id)) {
      return this.#apply(peer, delta, now, found);
    }
    if (this.#isSkewed(peer, delta, now)) return "skewed";
    this.#counters.stream.stubDeltas += 1;
    this.#store.blur(delta);
    this.#written(delta.id);
    return "stub";
  }

  /** At its limit a node would evict what clients here use for what they may never ask for. */
  #applyWhole(
    peer: Peer,
    delta: SessionDelta,
    isWanted: (id: string) => boolean,
    now: Now,
  ): Outcome {
    const store = this.#store;
    const isPart = delta.life === undefined && store.hasStub(delta.id);
    const hasRoom = store.has(delta.id) || store.hasRoomFor(delta);
    const isTakenIn = isWanted(delta.id) || hasRoom;
    if (!isPart && isTakenIn) return this.#apply(peer, delta, now);
    if (this.#isSkewed(peer, delta, now)) return "skewed";
    const isNews = store.adopt(delta, now.wallMs);
    // Of that very part there was the stub.
    return isNews === false && hasRoom ? this.#apply(peer, delta, now) : outcomeOf(isNews);
  }

  /**
   * What is sent by the stream was written just before. The start of a session that is older than
   * tombstones are kept may have been followed by its end, which nobody remembers any more.
   */
  #isAncient({ life }: SessionDelta, wallMs: number): boolean {
    if (life?.alive !== true) return false;
    return stampWallMs(life.stamp.time) + this.#store.tombstoneRetentionMs < wallMs;
  }

  #isSkewed(peer: Peer, delta: SessionDelta, now: Now): boolean {
    const time = latestTime(delta);
    if (this.#clock.observe(time, now.wallMs)) return false;
    this.#counters.stream.skewedDeltas += 1;
    this.noteClock(peer, time, now);
    return true;
  }

  /** `found`: see `Store.apply`. */
  #apply(peer: Peer, delta: SessionDelta, now: Now, found?: StoredRecord): Outcome {
    if (this.#isSkewed(peer, delta, now)) return "skewed";
    const applied = this.#store.apply(delta, now.wallMs, found);
    if (applied === undefined) {
      this.#counters.stream.lateDeltas += 1;
      return "late";
    }
    if (!applied.changed) return "known";
    this.#counters.stream.deltasApplied += 1;
    this.#written(delta.id);
    // It may be too large for this node altogether.
    return applied.record.place === "none" ? "stub" : "changed";
  }
}

function outcomeOf(isNews: boolean | undefined): Outcome {
  if (isNews === undefined) return "skipped";
  return isNews ? "changed" : "known";
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
