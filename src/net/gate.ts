import type { Now } from "../base/now.ts";
import type { Via } from "../core/membership/ways.ts";
import type { Address } from "../core/outbox.ts";
import type { BootId, Datagram } from "../protocol/frames.ts";
import type { DatagramCodec, Reject } from "../wire/datagram-codec.ts";
import type { Header } from "../wire/header.ts";
import { tailOf } from "../wire/sent-tails.ts";

/** Whom the gate lets datagrams through to: the replica. */
export interface Receiver {
  readonly peers: {
    /** Whether it can be told without a look inside that a datagram has been taken in before. */
    isReplayed(boot: BootId, counter: number, via: Via): boolean;
    /** Whether what was taken in under this counter had another end. */
    isOther(boot: BootId, counter: number, tail: number): boolean;
    /** When a datagram was last left unopened because there were so many. */
    overlookedMs: number;
  };
  receive(datagram: Datagram, source: Address, now: Now, via: Via): void;
}

export type GateReject = Reject | "replayed";

/**
 * `cloned`: another process seals under this one's boot id. `twin`: another process seals under the
 * boot id of a peer.
 */
export type Passage = "taken" | "own" | "cloned" | "twin" | GateReject;

/**
 * What a datagram passes before the replica sees it. The order is the defence: garbage costs a look
 * at the header, recorded traffic that is sent again a look into a window, and only what is left
 * the opening of the seal; nothing is parsed, kept or answered before that holds.
 */
export class Gate {
  readonly rejects: Partial<Record<GateReject, number>> = {};
  readonly #codec: DatagramCodec;
  readonly #receiver: Receiver;

  constructor(codec: DatagramCodec, receiver: Receiver) {
    this.#codec = codec;
    this.#receiver = receiver;
  }

  take(bytes: Buffer, source: Address, via: Via, now: Now): Passage {
    const codec = this.#codec;
    if (codec.isOwn(bytes)) return codec.isCloned(bytes, now.monotonicMs) ? "cloned" : "own";
    const header = codec.readHeader(bytes);
    if (typeof header === "string") return this.#refuse(header);
    const { boot, counter } = header;
    if (this.#receiver.peers.isReplayed(boot, counter, via)) {
      return this.#isTwin(bytes, header, now) ? "twin" : this.#refuse("replayed");
    }
    const opened = codec.open(bytes, header, now.monotonicMs);
    if (!opened.ok) {
      if (opened.reject === "boots_throttled") {
        this.#receiver.peers.overlookedMs = now.monotonicMs;
      }
      return this.#refuse(opened.reject);
    }
    this.#receiver.receive(opened.datagram, source, now, via);
    return "taken";
  }

  #isTwin(bytes: Buffer, header: Header, { monotonicMs }: Now): boolean {
    const { boot, counter } = header;
    if (!this.#codec.isSealed) return false;
    if (!this.#receiver.peers.isOther(boot, counter, tailOf(bytes))) return false;
    return this.#codec.open(bytes, header, monotonicMs).ok;
  }

  #refuse(reason: GateReject): GateReject {
    this.rejects[reason] = (this.rejects[reason] ?? 0) + 1;
    return reason;
  }
}
