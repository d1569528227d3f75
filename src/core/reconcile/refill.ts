import type { TrieRange } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Hash64 } from "../../session/fingerprint.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import { leafLevel } from "../store/digest-trie.ts";
import type { Store } from "../store/store.ts";
import { isUnknown } from "../store/stubs.ts";
import type { Puller } from "./puller.ts";

/** Once over all stubs, with one peer. */
interface Pass {
  /** What was there when it began. */
  root: Hash64;
  peerStubs: number;
  peerCount: number;
  inserted: number;
  /** The row of stubs looked at last, and how many are still to be looked at. */
  row: number;
  left: number;
  startMs: number;
}

/**
 * Pulls the records of stubs for which there is room: those that a joining node took over from a
 * donor without room, and those that had to go in a peak that is over. Which of them a peer holds
 * is not known, so each leaf that has any is pulled once, and again only when something has
 * changed: at rest this ends, and what nobody has any more is asked for once a minute at most.
 */
export class Refill {
  readonly #store: Store;
  readonly #puller: Puller;
  readonly #counters: Counters;
  readonly #passes = new WeakMap<Peer, Pass>();

  constructor(store: Store, puller: Puller, counters: Counters) {
    this.#store = store;
    this.#puller = puller;
    this.#counters = counters;
  }

  /** A heartbeat of the peer came. */
  from(peer: Peer, nowMs: number): void {
    if (this.#store.stubs.size === 0 || !this.#store.roomy || this.#puller.active) return;
    if (peer.state !== "up" || peer.phase !== "ready" || peer.count === 0) return;
    const pass = this.#passWith(peer, nowMs);
    const ranges = this.#next(pass);
    if (ranges.length === 0) return;
    this.#counters.reconcile.refills += 1;
    this.#puller.pull(peer, ranges, nowMs);
  }

  /** A transfer from the peer failed, or not all of it was taken: some may be lacking still. */
  failed(peer: Peer): void {
    const pass = this.#passes.get(peer);
    if (pass !== undefined) pass.inserted = -1;
  }

  #passWith(peer: Peer, nowMs: number): Pass {
    const { stubs, trie } = this.#store;
    const { inserted } = stubs;
    const now = { root: trie.root, peerStubs: peer.stubs, peerCount: peer.count, inserted };
    const pass = this.#passes.get(peer);
    if (pass !== undefined && pass.left > 0) return pass;
    if (pass !== undefined) {
      // Fewer stubs alone may have ended with their sessions.
      const hasTakenIn = peer.stubs < pass.peerStubs && peer.count > pass.peerCount;
      const isNews = pass.inserted !== inserted || hasTakenIn;
      const { high, low } = now.root;
      if (!isNews && pass.root.high === high && pass.root.low === low) return pass;
      // Somebody wrote something, or there is a little more room: that can wait.
      const pauseMs = isNews ? limits.roundEveryMs : limits.roundEveryMsMax;
      if (nowMs < pass.startMs + pauseMs) return pass;
    }
    const next = { ...now, row: pass?.row ?? 0, left: stubs.rows, startMs: nowMs };
    this.#passes.set(peer, next);
    return next;
  }

  #next(pass: Pass): TrieRange[] {
    const { stubs, room } = this.#store;
    const leaves = new Set<number>();
    for (; pass.left > 0 && leaves.size < limits.refillRangesMax; pass.left--) {
      pass.row = (pass.row + 1) % stubs.rows;
      const stub = stubs.at(pass.row);
      // One that is blurred waits for anti-entropy: who knows whether anybody has it.
      if (stub === undefined || isUnknown(stub)) continue;
      if (room.takes(stub.bytes)) leaves.add(stub.idHash.high >>> 16);
    }
    return [...leaves].map((prefix) => ({ level: leafLevel, prefix }));
  }
}
