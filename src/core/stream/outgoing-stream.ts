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
import type { Address, Outbox } from "../outbox.ts";
import type { StoredRecord } from "../store/stored-record.ts";
import { RepairRing } from "./repair-ring.ts";

/** What a block may take of a datagram that holds nothing else: frame header and sequence off. */
const blockBytesMax = framesBytesMax - limits.frameHeaderBytes - 6;

/**
 * This node's numbered stream of deltas to the group.
 *
 * What waits to be sent is a set of records, not a queue of messages: a record carries the time of
 * its first unsent change, and what is sent is its state at the flush. So a second write to the
 * same attribute costs nothing, and overload makes deltas coarser instead of queues longer.
 *
 * Repair follows NORM (RFC 5740) and PGM (RFC 3208) in outline: whoever misses a number asks the
 * sender by unicast; the first to ask is answered by unicast, a second one within a short time
 * shows that the loss was shared and gets one multicast, and further asks linger unanswered.
 */
export class OutgoingStream {
  readonly #boot: BootId;
  readonly #tag: number;
  readonly #packer: DeltaPacker;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #ring = new RepairRing();
  #dirty: StoredRecord[] = [];
  readonly #groups = new Map<StoredRecord, Set<StoredRecord>>();
  #sequence = 0;

  constructor(
    self: { readonly boot: BootId; readonly tag: number },
    codec: DeltaCodec,
    outbox: Outbox,
    counters: Counters,
  ) {
    this.#boot = self.boot;
    this.#tag = self.tag;
    this.#packer = codec.packer();
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** A local write of this stamp is to be sent. */
  changed(record: StoredRecord, stamp: Stamp): void {
    if (record.dirtySince > 0) return;
    record.dirtySince = stamp.time;
    this.#dirty.push(record);
  }

  /** These two are sent in one block, whatever its size. */
  changedTogether(source: StoredRecord, target: StoredRecord): void {
    const group = this.#groups.get(source) ?? new Set([source]);
    for (const record of this.#groups.get(target) ?? [target]) group.add(record);
    for (const record of group) this.#groups.set(record, group);
  }

  get pending(): boolean {
    return this.#dirty.length > 0;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get ringBytes(): number {
    return this.#ring.bytes;
  }

  /** Sends all that is pending, many deltas to a datagram. */
  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const record of dirty) {
      const group = this.#groups.get(record);
      if (group !== undefined) this.#packTogether(group);
      // It has been sent with its group.
      if (record.dirtySince === 0) continue;
      const delta = this.#unsent(record);
      if (delta === undefined || this.#packer.add(delta, blockBytesMax)) continue;
      this.#send(this.#packer.take());
      this.#packer.add(delta, blockBytesMax);
    }
    this.#groups.clear();
    if (this.#packer.count > 0) this.#send(this.#packer.take());
  }

  /** A block of their own, in fragments if need be: a receiver takes it whole or not at all. */
  #packTogether(group: ReadonlySet<StoredRecord>): void {
    if (this.#packer.count > 0) this.#send(this.#packer.take());
    for (const record of group) {
      const delta = record.dirtySince === 0 ? undefined : this.#unsent(record);
      if (delta !== undefined) this.#packer.add(delta, Number.POSITIVE_INFINITY);
    }
    if (this.#packer.count > 0) this.#send(this.#packer.take());
  }

  /** What has changed since it was last sent; undefined: a peer's later write took its place. */
  #unsent(record: StoredRecord): SessionDelta | undefined {
    const delta = deltaSince(record, { time: record.dirtySince, tag: this.#tag });
    record.dirtySince = 0;
    const empty =
      delta.life === undefined &&
      delta.floor === undefined &&
      delta.expiry === undefined &&
      delta.attributes.length === 0;
    if (empty) return undefined;
    this.#counters.stream.deltasSent += 1;
    return delta;
  }

  /** Answers a peer that misses part of the stream. */
  repair(nak: Nak, requester: Address, nowMs: number): void {
    this.#counters.naks.received += 1;
    if (nak.boot !== this.#boot) {
      this.#counters.naks.foreignBoot += 1;
      return;
    }
    let missed = false;
    for (const range of nak.ranges) {
      const end = Math.min(range.first + range.count, this.#sequence + 1);
      for (let sequence = range.first; sequence < end; sequence++) {
        if (!this.#repairOne(sequence, requester, nowMs)) missed = true;
      }
    }
    if (!missed) return;
    this.#counters.naks.missesSent += 1;
    this.#outbox.unicast(requester, [{ tag: Tag.nakMiss, oldest: this.#ring.oldest }]);
  }

  /** False: the ring no longer holds it. */
  #repairOne(sequence: number, requester: Address, nowMs: number): boolean {
    const sent = this.#ring.get(sequence);
    if (sent === undefined) return false;
    const sinceMs = nowMs - sent.repairedAtMs;
    if (sent.requester !== requester && sinceMs < limits.repairSharedMs) {
      // The asterisk is nobody's address: one multicast serves all who still ask.
      if (sent.requester === "*" && sinceMs < limits.repairLingerMs) {
        this.#counters.naks.lingered += 1;
        return true;
      }
      sent.requester = "*";
      this.#counters.naks.repairsMulticast += 1;
      this.#outbox.multicast([sent.frame]);
    } else {
      if (sinceMs < limits.repairLingerMs) {
        this.#counters.naks.lingered += 1;
        return true;
      }
      sent.requester = requester;
      this.#counters.naks.repairsUnicast += 1;
      this.#outbox.unicast(requester, [sent.frame]);
    }
    sent.repairedAtMs = nowMs;
    return true;
  }

  #send(block: Uint8Array): void {
    if (block.length <= blockBytesMax) {
      this.#emit({ tag: Tag.delta, sequence: this.#sequence + 1, block });
      return;
    }
    const count = Math.ceil(block.length / fragmentBytesMax);
    for (let index = 0; index < count; index++) {
      const bytes = block.subarray(index * fragmentBytesMax, (index + 1) * fragmentBytesMax);
      this.#counters.stream.fragmentsSent += 1;
      this.#emit({ tag: Tag.fragment, sequence: this.#sequence + 1, index, count, bytes });
    }
  }

  #emit(frame: DeltaFrame | Fragment): void {
    this.#sequence = frame.sequence;
    this.#ring.push(frame);
    this.#counters.stream.datagramsSent += 1;
    this.#outbox.multicast([frame]);
  }
}
