import { strict as assert } from "node:assert";
import type { Address, CoreEvent, GroupOutbox } from "../../src/core/outbox.ts";
import { type Frame, Tag } from "../../src/protocol/frames.ts";

export interface Sent {
  /** Undefined: to the group. */
  readonly to: Address | undefined;
  readonly frames: readonly Frame[];
}

/** Keeps what a part of the core says, in order. */
export class RecordingOutbox implements GroupOutbox {
  readonly sent: Sent[] = [];
  readonly events: CoreEvent[] = [];
  rejoins = 0;
  /** Fetches that ended, in order. */
  readonly fetches: { readonly ticket: number; readonly known: boolean }[] = [];

  /** Writes whose wait for peers ended, in order. */
  readonly confirmations: { readonly ticket: number; readonly peers: number }[] = [];

  /** What the network has not taken, as the test says. */
  backlogBytes = 0;
  fanOut = 1;

  multicast(frames: readonly Frame[], copies: readonly Address[] = []): void {
    for (const to of [undefined, ...copies]) this.#keep(to, frames);
  }

  rejoin(): void {
    this.rejoins += 1;
  }

  unicast(address: Address, frames: readonly Frame[]): void {
    this.#keep(address, frames);
  }

  /** The sender's octets are its own: the next datagram is made in their place. */
  #keep(to: Address | undefined, frames: readonly Frame[]): void {
    const kept = frames.map((frame) => {
      if (frame.tag === Tag.delta) return { ...frame, block: Buffer.from(frame.block) };
      if (frame.tag === Tag.fragment) return { ...frame, bytes: Buffer.from(frame.bytes) };
      return frame;
    });
    this.sent.push({ to, frames: kept });
  }

  fetched(ticket: number, known: boolean): void {
    this.fetches.push({ ticket, known });
  }

  confirmed(ticket: number, peers: number): void {
    this.confirmations.push({ ticket, peers });
  }

  notify(event: CoreEvent): void {
    this.events.push(event);
  }

  /** What was sent since the last call. */
  takeSent(): Sent[] {
    return this.sent.splice(0);
  }

  /** The events since the last call. */
  takeEvents(): CoreEvent[] {
    return this.events.splice(0);
  }

  /** The frames of one kind that were sent since the last `takeSent`. */
  framesOf<Kind extends Frame["tag"]>(tag: Kind): Extract<Frame, { readonly tag: Kind }>[] {
    const isOfKind = (frame: Frame): frame is Extract<Frame, { readonly tag: Kind }> =>
      frame.tag === tag;
    return this.sent.flatMap(({ frames }) => frames.filter(isOfKind));
  }
}

/** The only element, for tests that expect one. */
export function onlyOf<T>(items: readonly T[]): T {
  assert.equal(items.length, 1, "exactly one");
  return items[0] as T;
}
