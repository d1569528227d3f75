import type { DeltaCodec, DeltaPacker } from "../../protocol/delta-codec.ts";
import {
  type BootId,
  type DeltaFrame,
  type Fragment,
  type Nak,
  Tag,
} from "../../protocol/frames.ts";
import { fragmentBytesMax, framesBytesMax, limits } from "../../protocol/limits.ts";
import { deltaSince, type SessionDelta } from "../../session/record.ts";
import type { Stamp } from "../../session/stamp.ts";
import type { Counters } from "../counters.ts";
import type { Address, GroupOutbox } from "../outbox.ts";
import type { StoredRecord } from "../store/stored-record.ts";
import { DirtyQueue } from "./dirty-queue.ts";
import type { Feedback } from "./feedback.ts";
import type { Pacer } from "./pacer.ts";
import { RepairRing } from "./repair-ring.ts";

/** What a block may take of a datagram that holds nothing else: frame header and sequence off. */
const blockBytesMax = framesBytesMax - limits.frameHeaderBytes - 6;
/** The most that the fragments of one block hold. */
const trainBytesMax = limits.fragmentsPerMessageMax * fragmentBytesMax;
/** What a datagram has beside the block or a piece of it, nearly. */
const overheadBytes =
  limits.headerBytes + limits.preambleBytes + limits.sealBytes + limits.frameHeaderBytes + 10;

/** A block on its way out, in one datagram or in several. */
interface Train {
  /** In one datagram: the packer's, which the next block overwrites. */
  readonly block: Uint8Array;
  /** 1: not in fragments. */
  readonly count: number;
  index: number;
}

/** Who asks for repairs. */
export interface Requester {
  readonly address: Address;
  readonly feedback: Feedback;
}

/**
 * This node's numbered stream of deltas to the group.
 *
 * What waits to be sent is a set of records, not a queue of messages: a record carries the time of
 * its first unsent change, and what is sent is its state when a block is packed, which is when the
 * pacer lets the next datagram go. So a second write to the same attribute costs nothing, and
 * overload makes deltas coarser instead of queues longer.
 *
 * Repair follows NORM (RFC 5740) and PGM (RFC 3208) in outline: whoever misses a number asks the
 * sender by unicast; the first to ask is answered by unicast, a second one within a short time
 * shows that the loss was shared and gets one multicast, and further asks linger unanswered.
 */
export class OutgoingStream {
  readonly #boot: BootId;
  readonly #tag: number;
  readonly #packer: DeltaPacker;
  readonly #pacer: Pacer;
  readonly #outbox: GroupOutbox;
  readonly #counters: Counters;
  readonly #ring = new RepairRing();
  readonly #dirty = new DirtyQueue();
  readonly #groups = new Map<StoredRecord, Set<StoredRecord>>();
  #lastChanged: StoredRecord | undefined;
  #train: Train | undefined;
  #sequence = 0;
  #resumeMs = Number.NEGATIVE_INFINITY;
  /** Since when something has waited at the end of each flush; Infinity: nothing does. */
  #behindSinceMs = Number.POSITIVE_INFINITY;
  /** A record was evicted, and will leave without what has changed in it since it was sent. */
  onGivenUp: (record: StoredRecord) => void = () => {};

  constructor(
    self: { readonly boot: BootId; readonly tag: number },
    codec: DeltaCodec,
    pacer: Pacer,
    outbox: GroupOutbox,
    counters: Counters,
  ) {
    this.#boot = self.boot;
    this.#tag = self.tag;
    this.#packer = codec.packer();
    this.#pacer = pacer;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** A local write of this stamp is to be sent. */
  changed(record: StoredRecord, stamp: Stamp): void {
    this.#lastChanged = record;
    if (record.dirtySince !== undefined) return;
    record.dirtySince = stamp.time;
    if (this.#dirty.push(record)) this.#dirty.sweep((waiting) => this.#isWanted(waiting));
  }

  /** The record that changed last; the store may not have kept it. */
  get lastChanged(): StoredRecord | undefined {
    return this.#lastChanged;
  }

  /** These two are sent in one block, if one can hold them. */
  changedTogether(source: StoredRecord, target: StoredRecord): void {
    const group = this.#groups.get(source) ?? new Set([source]);
    for (const record of this.#groups.get(target) ?? [target]) group.add(record);
    for (const record of group) this.#groups.set(record, group);
  }

  get pending(): boolean {
    return this.#train !== undefined || this.#dirty.first !== undefined;
  }

  /** When `flush` has something to do; -Infinity: as soon as possible. */
  get dueMs(): number {
    return this.pending ? this.#resumeMs : Number.POSITIVE_INFINITY;
  }

  /** The highest number that was sent. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The highest number that is taken: that of the last piece of the block on its way. */
  get sequenceTaken(): number {
    const train = this.#train;
    return this.#sequence + (train === undefined ? 0 : train.count - train.index);
  }

  get ringBytes(): number {
    return this.#ring.bytes;
  }

  get ringDatagrams(): number {
    return this.#ring.datagrams;
  }

  get dirtyRecords(): number {
    return this.#dirty.size;
  }

  /** The stamp time of the first change that waits; undefined: none does. */
  get oldestDirty(): number | undefined {
    return this.#dirty.first?.dirtySince;
  }

  /**
   * Sends what may leave now, many deltas to a datagram; true: something did. What has waited
   * longest leaves first, and the rest stays as it is: dirty. After a slice the event loop turns,
   * so that sending never keeps a node from receiving.
   */
  flush(nowMs: number): boolean {
    const before = this.#sequence;
    const fanOut = Math.max(1, this.#outbox.fanOut);
    this.#resumeMs = Number.NEGATIVE_INFINITY;
    for (let slice = limits.sendSliceDatagramsMax; slice > 0 && this.pending; slice -= fanOut) {
      if (this.#outbox.backlogBytes > limits.sendQueuePauseBytes) {
        this.#counters.pacing.backlogPauses += 1;
        this.#resumeMs = nowMs + limits.sendQueueLookMs;
        break;
      }
      if (!this.#pacer.mayFlush(nowMs)) {
        this.#resumeMs = this.#pacer.dueMs;
        break;
      }
      this.#sendNext(nowMs);
    }
    if (!this.pending) this.#behindSinceMs = Number.POSITIVE_INFINITY;
    else if (nowMs < this.#behindSinceMs) this.#behindSinceMs = nowMs;
    return this.#sequence > before;
  }

  /** Whether more is written here than may leave, for longer than repair would need. */
  isBehind(nowMs: number): boolean {
    return nowMs >= this.#behindSinceMs + limits.mismatchMs;
  }

  #sendNext(nowMs: number): void {
    this.#train ??= this.#nextTrain();
    const train = this.#train;
    if (train === undefined) return;
    const sequence = this.#sequence + 1;
    const { block, count, index } = train;
    if (count === 1) {
      this.#emit({ tag: Tag.delta, sequence, block }, nowMs);
    } else {
      const bytes = block.subarray(index * fragmentBytesMax, (index + 1) * fragmentBytesMax);
      this.#counters.stream.fragmentsSent += 1;
      this.#emit({ tag: Tag.fragment, sequence, index, count, bytes }, nowMs);
    }
    train.index += 1;
    if (train.index === count) this.#train = undefined;
  }

  /** Undefined: nothing is left of what waited. */
  #nextTrain(): Train | undefined {
    for (let record = this.#dirty.first; record !== undefined; record = this.#dirty.first) {
      const group = this.#groups.get(record);
      if (group === undefined) {
        if (!this.#pack(record, blockBytesMax)) break;
        continue;
      }
      // A block of their own, in fragments if need be: a receiver takes it whole or not at all.
      if (this.#packer.count > 0) break;
      this.#packTogether(group);
      if (this.#packer.count > 0) break;
    }
    if (this.#packer.count === 0) return undefined;
    const block = this.#packer.show();
    if (block.length <= blockBytesMax) return { block, count: 1, index: 0 };
    // Its pieces leave one by one.
    const count = Math.ceil(block.length / fragmentBytesMax);
    return { block: new Uint8Array(block), count, index: 0 };
  }

  /** What no block holds together is told apart: those left over follow in one of their own. */
  #packTogether(group: Set<StoredRecord>): void {
    for (const record of group) {
      if (record.dirtySince !== undefined && !this.#pack(record, trainBytesMax)) return;
      group.delete(record);
      this.#groups.delete(record);
    }
  }

  /** Puts what has changed since it was last sent into the block. False: there is no room. */
  #pack(record: StoredRecord, bytesMax: number): boolean {
    const delta = deltaSince(record, { time: record.dirtySince ?? 0, tag: this.#tag });
    // Otherwise a peer's later write has taken its place.
    if (!isEmpty(delta)) {
      if (!this.#packer.add(delta, bytesMax)) return false;
      this.#counters.stream.deltasSent += 1;
    }
    record.dirtySince = undefined;
    return true;
  }

  /** Whether a record that waits is to be sent: what was evicted meanwhile would be without end. */
  #isWanted(record: StoredRecord): boolean {
    if (record.dirtySince === undefined) return false;
    if (record.place !== "none") return true;
    record.dirtySince = undefined;
    this.#groups.get(record)?.delete(record);
    this.#groups.delete(record);
    this.#counters.stream.evictedUnsent += 1;
    this.onGivenUp(record);
    return false;
  }

  /** Answers a peer that misses part of the stream. */
  repair(nak: Nak, requester: Requester, nowMs: number): void {
    this.#counters.naks.received += 1;
    if (nak.boot !== this.#boot) {
      this.#counters.naks.foreignBoot += 1;
      return;
    }
    const { address, feedback } = requester;
    feedback.note(nak.ranges, this.#sequence);
    if (feedback.leftOut) {
      const asked = Math.max(...nak.ranges.map(({ first, count }) => first + count));
      this.#miss(address, Math.min(asked, this.#sequence + 1));
      return;
    }
    let missed = false;
    for (const range of nak.ranges) {
      const end = Math.min(range.first + range.count, this.#sequence + 1);
      for (let sequence = range.first; sequence < end; sequence++) {
        if (!this.#repairOne(sequence, requester, nowMs)) missed = true;
      }
    }
    if (missed) this.#miss(address, this.#ring.oldest);
  }

  /** Tells a peer that nothing before this number will be repeated for it. */
  #miss(address: Address, oldest: number): void {
    this.#counters.naks.missesSent += 1;
    this.#outbox.unicast(address, [{ tag: Tag.nakMiss, oldest }]);
  }

  /** False: the ring no longer holds it. */
  #repairOne(sequence: number, { address, feedback }: Requester, nowMs: number): boolean {
    const sent = this.#ring.get(sequence);
    if (sent === undefined) return false;
    const sinceMs = nowMs - sent.repairedAtMs;
    const isShared = sent.requester !== address && sinceMs < limits.repairSharedMs;
    // The asterisk is nobody's address: one multicast serves all who still ask.
    const isAnswered = !isShared || sent.requester === "*";
    if (isAnswered && sinceMs < limits.repairLingerMs) {
      this.#counters.naks.lingered += 1;
      return true;
    }
    const full = this.#outbox.backlogBytes > limits.sendQueuePauseBytes;
    if (full || !this.#pacer.mayRepair(feedback.isOutlier, nowMs)) {
      // The next ask finds more room; an answer that waited here would only be later than that.
      this.#counters.naks.repairsDeferred += 1;
      return true;
    }
    sent.requester = isShared ? "*" : address;
    sent.repairedAtMs = nowMs;
    const bytes = datagramBytesOf(sent.frame);
    if (isShared) {
      this.#counters.naks.repairsMulticast += 1;
      this.#pacer.repaired(feedback.isOutlier, bytes * this.#outbox.fanOut, nowMs);
      this.#outbox.multicast([sent.frame]);
    } else {
      this.#counters.naks.repairsUnicast += 1;
      this.#pacer.repaired(feedback.isOutlier, bytes, nowMs);
      this.#outbox.unicast(address, [sent.frame]);
    }
    return true;
  }

  #emit(frame: DeltaFrame | Fragment, nowMs: number): void {
    this.#sequence = frame.sequence;
    this.#ring.push(frame);
    this.#counters.stream.datagramsSent += 1;
    this.#pacer.flushed(datagramBytesOf(frame) * this.#outbox.fanOut, nowMs);
    this.#outbox.multicast([frame]);
  }
}

function isEmpty({ life, floor, expiry, attributes }: SessionDelta): boolean {
  return (
    life === undefined && floor === undefined && expiry === undefined && attributes.length === 0
  );
}

function datagramBytesOf(frame: DeltaFrame | Fragment): number {
  const content = frame.tag === Tag.delta ? frame.block : frame.bytes;
  return content.length + overheadBytes;
}
