import type { Prng } from "../../base/prng.ts";
import type { BootId, Phase } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Hash64 } from "../../session/fingerprint.ts";
import type { Address, PeerName } from "../outbox.ts";
import { IncomingStream } from "../stream/incoming-stream.ts";
import { Reassembly } from "../stream/reassembly.ts";
import { Ways } from "./ways.ts";

export type PeerState = "up" | "down" | "left";

/** One start of another node, as this node sees it. */
export class Peer {
  readonly boot: BootId;
  address: Address;
  /** Empty until its first heartbeat. */
  name = "";
  state: PeerState = "up";
  phase: Phase = "joining";
  lastHeardMs: number;
  pingDueMs = 0;
  /** When its last heartbeat came. */
  heartbeatMs = Number.NEGATIVE_INFINITY;
  /** Records that it holds, and those that it only knows of. */
  count = 0;
  stubs = 0;
  digest: Hash64 = { high: 0, low: 0 };
  /** Since when its digest differs from ours; Infinity: it does not. */
  mismatchSinceMs = Number.POSITIVE_INFINITY;
  /** When the next round of anti-entropy with it may start, and the pause after that one. */
  nextRoundMs = 0;
  roundPauseMs: number = limits.roundEveryMs;
  /** By how much its clock was too far ahead when last heard; 0: it was not. */
  skewMs = 0;
  /** When the log last said so. */
  skewNotedMs = Number.NEGATIVE_INFINITY;
  readonly ways = new Ways();
  readonly incoming: IncomingStream;
  readonly reassembly = new Reassembly();

  constructor(boot: BootId, address: Address, nowMs: number, prng: Prng) {
    this.boot = boot;
    this.address = address;
    this.lastHeardMs = nowMs;
    this.incoming = new IncomingStream(prng);
  }

  /** Whether this node has applied all of these numbers of the peer's stream. */
  hasApplied(first: number, last: number): boolean {
    return this.incoming.covers(first, last) && this.reassembly.isWhole(first, last);
  }

  get who(): PeerName {
    return { name: this.name, boot: this.boot, address: this.address };
  }
}
