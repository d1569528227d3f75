import { hostOf } from "../../base/host-of.ts";
import type { Now } from "../../base/now.ts";
import type { Prng } from "../../base/prng.ts";
import type { BootId, Phase } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Hash64 } from "../../session/fingerprint.ts";
import type { Address, PeerName } from "../outbox.ts";
import { Feedback } from "../stream/feedback.ts";
import { IncomingStream } from "../stream/incoming-stream.ts";
import { Reassembly } from "../stream/reassembly.ts";
import { Doubts } from "./doubts.ts";
import { ReplayWindow } from "./replay-window.ts";
import { Ways } from "./ways.ts";

/** `unproven`: heard, but it has not shown yet that it lives and can be reached. */
export type PeerState = "unproven" | "up" | "down" | "left";

/** One start of another node, as this node sees it. */
export class Peer {
  readonly boot: BootId;
  /** Where it has answered, or, of one that never did, where it was heard first. */
  address: Address;
  /** Where its last datagram came from, which somebody else may have sent on. */
  source: Address;
  /** Where it was heard first. */
  readonly firstHost: string;
  /** Empty until its first heartbeat. */
  name = "";
  state: PeerState = "unproven";
  phase: Phase = "joining";
  lastHeardMs: number;
  /** The nonce that it has to answer to be up, and when it was drawn: after it came in doubt. */
  challenge = 0;
  challengeMs = Number.NEGATIVE_INFINITY;
  /** When it is to be asked for proof, when and where it was, and how often it still may be. */
  proveDueMs = Number.POSITIVE_INFINITY;
  proveAskedMs = Number.NEGATIVE_INFINITY;
  proveAskedAt: Address = "";
  provePauseMs: number = limits.proveEveryMs;
  proofsLeft = 0;
  /** Whether it has been up at all. */
  wasUp = false;
  /** A newer start of its name has been seen. */
  replaced = false;
  /** It is about to go and has shown that it is still there: up it is not, but it is heard. */
  lingers = false;
  /** It asked for a heartbeat, and gets it once it has shown that it lives. */
  helloWaits = false;
  readonly replay = new ReplayWindow();
  /** Another process has been heard under its boot id. */
  hasTwin = false;
  doubts = new Doubts();
  /** When its last heartbeat came. */
  heartbeatMs = Number.NEGATIVE_INFINITY;
  /** Records that it holds, and those that it only knows of. */
  count = 0;
  stubs = 0;
  /** Fingerprints of the keys that it holds, the one that it seals with first. */
  keys: readonly number[] = [];
  /** For how long it is configured to keep tombstones, and whether the log said that we differ. */
  tombstoneRetentionMs = 0;
  retentionNoted = false;
  digest: Hash64 = { high: 0, low: 0 };
  /** Since when its digest differs from ours; Infinity: it does not. */
  mismatchSinceMs = Number.POSITIVE_INFINITY;
  /** When the next round of anti-entropy with it may start, and the pause after that one. */
  nextRoundMs = 0;
  roundPauseMs: number = limits.roundEveryMs;
  /** Leaves whose records it has been told since then. */
  leavesTold = 0;
  leavesToldSinceMs = Number.NEGATIVE_INFINITY;
  /** While this node is behind with its own writes: when it compares the next part, and which. */
  nextSliceMs = Number.NEGATIVE_INFINITY;
  slice = 0;
  /** Transfers of a join that it refused or failed in a row; it is not asked for another before. */
  donorFailures = 0;
  donorPauseUntilMs = 0;
  /** By how much its clock was too far ahead when last heard; 0: it was not. */
  skewMs = 0;
  /** The wall clock that it went by at its last heartbeat. */
  wallMs: number | undefined;
  /** By how much its machine's clock was ahead of that then. */
  machineAheadMs = 0;
  /** When the log last said that it is skewed. */
  skewNotedMs = Number.NEGATIVE_INFINITY;
  readonly ways = new Ways();
  /** How it receives this node's stream. */
  readonly feedback = new Feedback();
  readonly incoming: IncomingStream;
  readonly reassembly = new Reassembly();

  constructor(boot: BootId, address: Address, nowMs: number, prng: Prng) {
    this.boot = boot;
    this.address = address;
    this.source = address;
    this.firstHost = hostOf(address);
    this.lastHeardMs = nowMs;
    this.incoming = new IncomingStream(prng);
  }

  /**
   * Whether what it says counts. Who has not answered a ping since it was last in doubt may be
   * dead, and this the record of it.
   */
  get trusted(): boolean {
    return this.state === "up" || this.lingers;
  }

  /**
   * How far its wall clock is ahead of ours, going by when it last told, with the way of its
   * datagram. Whatever becomes of our own clock meanwhile.
   */
  clockOffsetMs({ monotonicMs, wallMs }: Now): number | undefined {
    if (this.wallMs === undefined) return undefined;
    return this.wallMs + (monotonicMs - this.heartbeatMs) - wallMs;
  }

  /** Something has changed that may have kept the last rounds with it from bringing anything. */
  compareSoon(): void {
    this.nextRoundMs = 0;
    this.roundPauseMs = limits.roundEveryMs;
  }

  /** Whether this node has applied all of these numbers of the peer's stream. */
  hasApplied(first: number, last: number): boolean {
    return this.incoming.covers(first, last) && this.reassembly.isWhole(first, last);
  }

  /** Whether part of its stream is missing, or was given up and nobody has been told yet. */
  get lacksData(): boolean {
    return this.incoming.isOpen || this.reassembly.hasDropped;
  }

  get who(): PeerName {
    return { name: this.name, boot: this.boot, address: this.address };
  }
}
