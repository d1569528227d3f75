import { type BootId, type Confirmed, Tag } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";
import type { Outbox } from "../outbox.ts";
import type { StoredRecord } from "../store/stored-record.ts";

interface Ticket {
  readonly number: number;
  readonly record: StoredRecord | undefined;
  readonly peers: number;
  giveUpMs: number;
}

/** Writes that left in one flush: they are confirmed together. */
interface Batch {
  readonly first: number;
  readonly last: number;
  readonly confirmedBy: Set<BootId>;
  tickets: Ticket[];
  askDueMs: number;
  tries: number;
}

/**
 * Writes whose client waits until so many peers have applied them. After the flush that sent them,
 * one CONFIRM asks the group about the numbers of that flush; whoever has applied all of them
 * answers by unicast, and the question is repeated, with growing pauses, as long as anybody waits.
 * A peer that lost a number for good never answers; it counts once its digest equals ours, since
 * then it holds what we hold. A peer that has gone meanwhile does not count.
 *
 * A write is not undone when too few have confirmed it in time: the client is told how many did.
 */
export class Confirmations {
  readonly #boot: BootId;
  readonly #peers: PeerTable;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  #unsent: { readonly ticket: Ticket; readonly first: number }[] = [];
  readonly #batches = new Map<number, Batch>();
  #number = 0;
  #waiting = 0;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(boot: BootId, peers: PeerTable, outbox: Outbox, counters: Counters) {
    this.#boot = boot;
    this.#peers = peers;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /**
   * To be called in the turn of the write. `sequence` is the highest number sent so far. Returns
   * the number that comes back through `Outbox.confirmed`; undefined: too many wait.
   */
  wait(
    record: StoredRecord | undefined,
    ack: { readonly peers: number; readonly timeoutMs: number },
    sequence: number,
    nowMs: number,
  ): number | undefined {
    if (this.#waiting >= limits.confirmationsMax) {
      this.#counters.confirmations.refused += 1;
      return undefined;
    }
    this.#waiting += 1;
    this.#number += 1;
    this.#counters.confirmations.asked += 1;
    // What is not to be sent directly after its write has been given up already.
    const isToBeSent = record === undefined || record.dirtySince !== undefined;
    const giveUpMs = isToBeSent ? nowMs + ack.timeoutMs : nowMs;
    const ticket = { number: this.#number, record, peers: ack.peers, giveUpMs };
    this.#unsent.push({ ticket, first: sequence + 1 });
    this.#dueMs = Math.min(this.#dueMs, giveUpMs);
    return ticket.number;
  }

  /** After a flush: asks for what has left with it. `sequence` is the highest number sent. */
  sent(sequence: number, nowMs: number): void {
    if (this.#unsent.length === 0) return;
    // Nothing left for a write that a peer's later one had replaced; then all before it counts.
    const last = Math.max(sequence, 1);
    let first = last;
    const tickets: Ticket[] = [];
    this.#unsent = this.#unsent.filter((each) => {
      const { record, giveUpMs } = each.ticket;
      if (record?.dirtySince !== undefined || nowMs >= giveUpMs) return true;
      first = Math.min(first, each.first);
      tickets.push(each.ticket);
      return false;
    });
    if (tickets.length === 0) return;
    const held = this.#batches.get(last);
    if (held !== undefined && held.first <= first) {
      held.tickets.push(...tickets);
      this.#settle(held);
      return;
    }
    if (held !== undefined) tickets.push(...held.tickets);
    const batch: Batch = { first, last, confirmedBy: new Set(), tickets, askDueMs: 0, tries: 0 };
    this.#batches.set(last, batch);
    this.#ask(batch, nowMs);
  }

  /** What changed in it will never be sent: nobody else can hold that. */
  givenUp(record: StoredRecord): void {
    for (const { ticket } of this.#unsent) {
      if (ticket.record !== record) continue;
      ticket.giveUpMs = Number.NEGATIVE_INFINITY;
      this.#dueMs = ticket.giveUpMs;
    }
  }

  /** False: nobody waits for that, or not any more. */
  onConfirmed(peer: Peer, { boot, first, last }: Confirmed): boolean {
    const batch = this.#batches.get(last);
    // What was said to a former start of this node, and comes late, is about other numbers.
    if (boot !== this.#boot || batch === undefined || batch.first !== first) return false;
    batch.confirmedBy.add(peer.boot);
    this.#settle(batch);
    return true;
  }

  /** The peer's digest equals ours: it holds every write that has left. */
  onEqual(peer: Peer): void {
    for (const batch of this.#batches.values()) {
      batch.confirmedBy.add(peer.boot);
      this.#settle(batch);
    }
  }

  tick(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#unsent = this.#unsent.filter(({ ticket }) => {
      if (nowMs < ticket.giveUpMs) return true;
      this.#end(ticket, 0);
      return false;
    });
    for (const batch of this.#batches.values()) {
      for (const ticket of batch.tickets) {
        if (nowMs >= ticket.giveUpMs) this.#end(ticket, this.#count(batch));
      }
      this.#keep(
        batch,
        batch.tickets.filter(({ giveUpMs }) => nowMs < giveUpMs),
      );
      if (batch.tickets.length > 0 && nowMs >= batch.askDueMs) this.#ask(batch, nowMs);
    }
    this.#dueMs = this.#earliest();
  }

  /** When `tick` has something to do, or, if an answer came since, may have. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** Writes that wait. */
  get size(): number {
    return this.#waiting;
  }

  #earliest(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { ticket } of this.#unsent) dueMs = Math.min(dueMs, ticket.giveUpMs);
    for (const batch of this.#batches.values()) {
      dueMs = Math.min(dueMs, batch.askDueMs);
      for (const { giveUpMs } of batch.tickets) dueMs = Math.min(dueMs, giveUpMs);
    }
    return dueMs;
  }

  #ask(batch: Batch, nowMs: number): void {
    const pauseMs = Math.min(limits.confirmRetryMs * 2 ** batch.tries, limits.confirmRetryMsMax);
    batch.askDueMs = nowMs + pauseMs;
    this.#dueMs = Math.min(this.#dueMs, batch.askDueMs);
    batch.tries += 1;
    this.#outbox.multicast([{ tag: Tag.confirm, first: batch.first, last: batch.last }]);
  }

  #settle(batch: Batch): void {
    const count = this.#count(batch);
    for (const ticket of batch.tickets) if (count >= ticket.peers) this.#end(ticket, count);
    this.#keep(
      batch,
      batch.tickets.filter(({ peers }) => count < peers),
    );
  }

  #keep(batch: Batch, tickets: Ticket[]): void {
    batch.tickets = tickets;
    if (tickets.length === 0) this.#batches.delete(batch.last);
  }

  /** Peers that confirmed and are still there: one that was restarted has forgotten it. */
  #count(batch: Batch): number {
    let count = 0;
    for (const boot of batch.confirmedBy) if (this.#peers.get(boot)?.state === "up") count += 1;
    return count;
  }

  #end(ticket: Ticket, count: number): void {
    this.#waiting -= 1;
    if (count < ticket.peers) this.#counters.confirmations.tooFew += 1;
    this.#outbox.confirmed(ticket.number, count);
  }
}
