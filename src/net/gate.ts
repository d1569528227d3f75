import { Allowance } from "../base/allowance.ts";
import type { Now } from "../base/now.ts";
import type { Prng } from "../base/prng.ts";
import type { Via } from "../core/membership/ways.ts";
import type { Address } from "../core/outbox.ts";
import type { BootId, Datagram } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import type { DatagramCodec, Reject } from "../wire/datagram-codec.ts";
import type { Header } from "../wire/header.ts";
import { tailOf } from "../wire/sent-tails.ts";
import { Probation } from "./probation.ts";

/** Whom the gate lets datagrams through to: the replica. */
export interface Receiver {
  readonly peers: {
    /** Whether it can be told without a look inside that a datagram has been taken in before. */
    isReplayed(boot: BootId, counter: number, via: Via): boolean;
    /** Whether what was taken in under this counter had another end. */
    isOther(boot: BootId, counter: number, tail: number): boolean;
    /** Whether this boot is known to be elsewhere than where a datagram came from. */
    isStrayed(boot: BootId, source: Address): boolean;
    /** Whether this boot has ever shown that it lives. */
    hasProven(boot: BootId): boolean;
    /** When a datagram was last left unopened because there were so many. */
    overlookedMs: number;
  };
  receive(datagram: Datagram, source: Address, now: Now, via: Via): void;
}

/**
 * `portless`: from port 0. `strayed`: from elsewhere than where its sender has answered.
 * `unanswered`: of a boot that is heard and never answers; see `Probation`. `not_ours`: under this
 * node's boot id, and it has not sent it. `twins_throttled`: whether a second process under its
 * boot id has sealed it was not looked at, as there were so many of these.
 */
export type GateReject =
  | Reject
  | "portless"
  | "replayed"
  | "strayed"
  | "unanswered"
  | "not_ours"
  | "twins_throttled";

/**
 * `own`: what this node sent to the group comes back. `cloned`: another process seals under this
 * one's boot id. `twin`: another process seals under the boot id of a peer.
 */
export type Passage = "taken" | "own" | "cloned" | "twin" | GateReject;

/** A datagram whose header holds. */
interface Came {
  readonly bytes: Buffer;
  readonly header: Header;
  readonly source: Address;
  readonly now: Now;
}

/**
 * What a datagram passes before the replica sees it. The order is the defence: garbage costs a look
 * at the header, recorded traffic that is sent again a look into a window or at an address, and
 * only what is left the opening of the seal; nothing is parsed, kept or answered before that holds.
 */
export class Gate {
  readonly rejects: Partial<Record<GateReject, number>> = {};
  readonly #codec: DatagramCodec;
  readonly #receiver: Receiver;
  readonly #twins = new Allowance(limits.twinOpensPerSecond / 1_000, limits.twinOpensPerSecond);
  readonly #probation: Probation;

  constructor(codec: DatagramCodec, receiver: Receiver, prng: Prng) {
    this.#codec = codec;
    this.#receiver = receiver;
    this.#probation = new Probation(prng);
  }

  /** Sizes of what it keeps of those who knock, for `stats`. */
  get buffers(): Record<string, number> {
    return { ...this.#codec.buffers, probations: this.#probation.size };
  }

  /** `source`: undefined if nobody can be answered there. */
  take(bytes: Buffer, source: Address | undefined, via: Via, now: Now): Passage {
    if (source === undefined) return this.#refuse("portless");
    const codec = this.#codec;
    const header = codec.readHeader(bytes);
    if (typeof header === "string") return this.#refuse(header);
    if (codec.isOwn(header)) return this.#takeOwn({ bytes, header, source, now }, via);
    const { boot, counter } = header;
    const { peers } = this.#receiver;
    if (peers.isReplayed(boot, counter, via)) {
      if (!peers.isOther(boot, counter, tailOf(bytes))) return this.#refuse("replayed");
      return this.#suspect("twin", { bytes, header, source, now });
    }
    if (peers.isStrayed(boot, source)) return this.#refuse("strayed");
    const isUnproven = !peers.hasProven(boot);
    if (isUnproven && !this.#probation.admits(boot, source, now.monotonicMs)) {
      return this.#refuse("unanswered");
    }
    const opened = codec.open(bytes, header, source, now.monotonicMs);
    if (!opened.ok) {
      if (opened.reject === "boots_throttled") peers.overlookedMs = now.monotonicMs;
      return this.#refuse(opened.reject);
    }
    if (isUnproven) this.#probation.opened(boot, source, now.monotonicMs);
    this.#receiver.receive(opened.datagram, source, now, via);
    return "taken";
  }

  /** Our own datagrams, whoever sends them again however often, never look like a clone's. */
  #takeOwn(came: Came, via: Via): Passage {
    const echo = this.#codec.echo(came.header, came.bytes);
    if (echo === "other") return this.#suspect("cloned", came);
    return echo === "echo" && via === "multicast" ? "own" : this.#refuse("replayed");
  }

  /**
   * Under this counter it should have another end. If another process has sealed it a machine was
   * copied, memory and all; without a seal anybody could make one that looks so. To open it serves
   * nothing else, and everybody can send what has to be opened: so it is not done for very many.
   */
  #suspect(found: "cloned" | "twin", { bytes, header, source, now }: Came): Passage {
    const otherwise = found === "cloned" ? "not_ours" : "replayed";
    if (!this.#codec.isSealed) return this.#refuse(otherwise);
    if (!this.#twins.take(now.monotonicMs)) return this.#refuse("twins_throttled");
    const isAuthentic = this.#codec.open(bytes, header, source, now.monotonicMs).ok;
    return isAuthentic ? found : this.#refuse(otherwise);
  }

  #refuse(reason: GateReject): GateReject {
    this.rejects[reason] = (this.rejects[reason] ?? 0) + 1;
    return reason;
  }
}
