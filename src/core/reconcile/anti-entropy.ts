import {
  type Digest,
  type DigestNode,
  type LeafDigest,
  type Leaves,
  Tag,
  type TrieRange,
} from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";
import type { Outbox } from "../outbox.ts";
import { leafLevel } from "../store/digest-trie.ts";
import type { Store } from "../store/store.ts";
import type { OutgoingStream } from "../stream/outgoing-stream.ts";
import type { IncomingTransfer } from "./incoming-transfer.ts";
import { digestOfLeaf, framesOfLeaves, rangesAhead } from "./leaf-digest.ts";
import type { Puller } from "./puller.ts";

/** Part of the trie that is not the same here and there, and who has anything in it. */
interface Difference {
  readonly range: TrieRange;
  readonly iHave: boolean;
  readonly peerHas: boolean;
}

/**
 * The last line of convergence: whatever deltas and repair missed, comparing digests finds. Roots
 * ride in every heartbeat. When a peer's differs for longer than repair needs, a round walks the
 * trie: each side answers a list of hashes with its own hashes one level below, for the nodes that
 * differ, until the leaves, of which the records are told; then each pulls from the other the
 * records that differ. No side keeps any state of a round: a lost datagram ends it, and the next
 * heartbeat starts the next.
 *
 * A node that has more to send than it may differs from its peers until it has sent it. Rounds
 * would carry the same past its rate, again and again. So it looks for what else differs only, a
 * sixteenth of the trie at a time, and passes over the leaves in which something waits.
 *
 * After Demers et al. 1987 ("Epidemic Algorithms for Replicated Database Maintenance"), with the
 * trees of Dynamo (2007).
 */
export class AntiEntropy {
  readonly #store: Store;
  readonly #puller: Puller;
  readonly #stream: OutgoingStream;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  #nextRoundMs = 0;
  #everyMs: number = limits.roundEveryMs;
  #patienceMs: number = limits.mismatchMs;
  #hurries = false;

  constructor(
    store: Store,
    puller: Puller,
    stream: OutgoingStream,
    outbox: Outbox,
    counters: Counters,
  ) {
    this.#store = store;
    this.#puller = puller;
    this.#stream = stream;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** A heartbeat told the peer's root. Whether the peer holds all that this node was ever told. */
  compare(peer: Peer, nowMs: number): boolean {
    const equal = this.#isEqual(peer);
    if (equal) {
      peer.mismatchSinceMs = Number.POSITIVE_INFINITY;
      peer.roundPauseMs = limits.roundEveryMs;
    } else if (peer.mismatchSinceMs === Number.POSITIVE_INFINITY) peer.mismatchSinceMs = nowMs;
    // Of what one of the two has evicted they only know the same.
    return equal && !this.#store.hasEvicted && peer.stubs === 0;
  }

  /** Repair gave something up: there is nothing to wait for, unless it came by another way. */
  suspect(peer: Peer, nowMs: number): void {
    if (this.#isEqual(peer)) return;
    peer.mismatchSinceMs = Math.min(peer.mismatchSinceMs, nowMs - limits.mismatchMs);
    peer.compareSoon();
  }

  /**
   * What the peer sent before this node heard of it repair does not bring. A round waits only until
   * the peer knows this node, too.
   */
  metLate(peer: Peer, nowMs: number): void {
    if (this.#isEqual(peer)) return;
    const sinceMs = nowMs + limits.lateMismatchMs - limits.mismatchMs;
    peer.mismatchSinceMs = Math.min(peer.mismatchSinceMs, sinceMs);
  }

  /**
   * This node leaves soon, and what only it has goes with it: repair gets less time, who lacks
   * something does not wait for its turn, and what waits to be sent goes this way, too.
   */
  hurry(peers: PeerTable): void {
    this.#hurries = true;
    this.#patienceMs = limits.leaveMismatchMs;
    this.#everyMs = limits.leaveHelloMs;
    this.#nextRoundMs = 0;
    for (const peer of peers.all()) peer.compareSoon();
  }

  tick(peers: PeerTable, nowMs: number): void {
    if (nowMs < this.#nextRoundMs || this.#store.isSweeping) return;
    const peer = this.#mismatched(peers, nowMs);
    if (peer === undefined) return;
    this.#nextRoundMs = nowMs + this.#everyMs;
    peer.nextRoundMs = nowMs + peer.roundPauseMs;
    if (!this.#isBehind(nowMs)) this.#compareAll(peer);
    else if (nowMs >= peer.nextSliceMs) this.#compareSlice(peer, nowMs);
    else this.#counters.reconcile.roundsPutOff += 1;
  }

  #compareAll(peer: Peer): void {
    this.#counters.reconcile.rounds += 1;
    this.#sendDigests(peer, 0, [{ prefix: 0, children: this.#store.trie.children(0, 0) }]);
  }

  /** Begun at this level, a round is back here when it comes to the leaves. */
  #compareSlice(peer: Peer, nowMs: number): void {
    this.#counters.reconcile.slices += 1;
    peer.nextSliceMs = nowMs + limits.sliceEveryMs;
    const first = peer.slice * 16;
    peer.slice = (peer.slice + 1) % 16;
    const nodes: DigestNode[] = [];
    for (let prefix = first; prefix < first + 16; prefix++) {
      nodes.push({ prefix, children: this.#store.trie.children(2, prefix) });
    }
    this.#sendDigests(peer, 2, nodes);
  }

  /** When the next round may be due; only a heartbeat can make one due earlier. */
  dueMs(peers: PeerTable): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const peer of peers.all()) {
      if (!this.#eligible(peer)) continue;
      dueMs = Math.min(dueMs, this.#dueMsOf(peer));
    }
    return Math.max(dueMs, this.#nextRoundMs);
  }

  onDigest(peer: Peer, digest: Digest, nowMs: number): void {
    this.#counters.reconcile.digestsReceived += 1;
    const isBehind = this.#isBehind(nowMs);
    const isLeaving = peer.phase === "leaving";
    const isPutOff = digest.level === 0 && isBehind && !isLeaving;
    // What one of the two has forgotten in its turn, and the other not yet, is no difference; but
    // who leaves cannot wait for the end of it.
    if (isPutOff || (this.#store.isSweeping && !isLeaving)) {
      this.#counters.reconcile.roundsPutOff += 1;
      return;
    }
    const next: DigestNode[] = [];
    const leaves: LeafDigest[] = [];
    const wanted: TrieRange[] = [];
    const offered: TrieRange[] = [];
    for (const node of digest.nodes) {
      for (const { range, iHave, peerHas } of this.#differing(peer, digest.level, node, nowMs)) {
        const isShared = iHave && peerHas;
        const isLeaf = range.level === leafLevel;
        if (isLeaf && isBehind && this.#isExplained(range.prefix)) continue;
        const told =
          isShared && isLeaf && this.#mayTell(peer, nowMs)
            ? digestOfLeaf(this.#store, range.prefix)
            : undefined;
        if (told !== undefined) {
          leaves.push(told);
          peer.leavesTold += 1;
        }
        // A subtree that one side lacks altogether is not worth walking.
        else if (!isShared || isLeaf || range.level === digest.level) {
          if (peerHas) wanted.push(range);
          if (iHave) offered.push(range);
        } else if (next.length < limits.digestNodesPerRoundMax) {
          next.push({ prefix: range.prefix, children: this.#below(range) });
        }
      }
    }
    this.#sendDigests(peer, digest.level + 1, next);
    for (const some of framesOfLeaves(leaves)) {
      this.#counters.reconcile.digestsSent += 1;
      this.#outbox.unicast(peer.address, [{ tag: Tag.leaves, leaves: some }]);
    }
    this.#exchange(peer, wanted, offered, nowMs);
  }

  /**
   * The children of a node that are not the same on both sides; or the node itself instead, if they
   * are leaves, most of them differ, and too many are told already: one name is shorter than many.
   */
  #differing(peer: Peer, level: number, node: DigestNode, nowMs: number): Difference[] {
    const mine = this.#store.trie.children(level, node.prefix);
    const differing: Difference[] = [];
    for (let child = 0; child < 16; child++) {
      const [high, low] = [mine[child * 2], mine[child * 2 + 1]];
      const [peerHigh, peerLow] = [node.children[child * 2], node.children[child * 2 + 1]];
      if (high === peerHigh && low === peerLow) continue;
      const range = { level: level + 1, prefix: node.prefix * 16 + child };
      const [iHave, peerHas] = [high !== 0 || low !== 0, peerHigh !== 0 || peerLow !== 0];
      differing.push({ range, iHave, peerHas });
    }
    const isMost = level + 1 === leafLevel && differing.length > 8;
    if (!isMost || this.#isBehind(nowMs) || this.#mayTell(peer, nowMs)) return differing;
    return [
      {
        range: { level, prefix: node.prefix },
        iHave: differing.some(({ iHave }) => iHave),
        peerHas: differing.some(({ peerHas }) => peerHas),
      },
    ];
  }

  /** The last step: what differs in these leaves, record by record. */
  onLeaves(peer: Peer, { leaves }: Leaves, nowMs: number): void {
    this.#counters.reconcile.digestsReceived += 1;
    const wanted: TrieRange[] = [];
    const offered: TrieRange[] = [];
    const isBehind = this.#isBehind(nowMs);
    for (const theirs of leaves) {
      if (isBehind && this.#isExplained(theirs.leaf)) continue;
      const mine = digestOfLeaf(this.#store, theirs.leaf);
      wanted.push(...rangesAhead(theirs, mine));
      if (mine !== undefined) offered.push(...rangesAhead(mine, theirs));
      else if (this.#store.nextLeaf(theirs.leaf, theirs.leaf + 1) === theirs.leaf) {
        offered.push({ level: leafLevel, prefix: theirs.leaf });
      }
    }
    this.#exchange(peer, wanted, offered, nowMs);
  }

  #exchange(
    peer: Peer,
    wanted: readonly TrieRange[],
    offered: readonly TrieRange[],
    nowMs: number,
  ): void {
    for (let index = 0; index < offered.length; index += limits.rangesPerFrameMax) {
      const ranges = offered.slice(index, index + limits.rangesPerFrameMax);
      this.#outbox.unicast(peer.address, [{ tag: Tag.offer, ranges }]);
    }
    this.#puller.pull(peer, wanted, nowMs);
  }

  /** A transfer ended. Rounds that change nothing, with a node that differs for good, get rarer. */
  ended(transfer: IncomingTransfer): void {
    const { peer, changes } = transfer;
    peer.roundPauseMs =
      changes > 0 ? limits.roundEveryMs : Math.min(peer.roundPauseMs * 2, limits.roundEveryMsMax);
  }

  /** The peer whose round has been due for longest. */
  #mismatched(peers: PeerTable, nowMs: number): Peer | undefined {
    let longest: Peer | undefined;
    for (const peer of peers.all()) {
      if (!this.#eligible(peer)) continue;
      const dueMs = this.#dueMsOf(peer);
      if (nowMs < dueMs) continue;
      if (longest === undefined || dueMs < this.#dueMsOf(longest)) longest = peer;
    }
    return longest;
  }

  #isBehind(nowMs: number): boolean {
    return !this.#hurries && this.#stream.isBehind(nowMs);
  }

  /** Whether it differs because something in it has still to be sent. */
  #isExplained(leaf: number): boolean {
    return this.#store.recordsOfLeaf(leaf).some(({ dirtySince }) => dirtySince !== undefined);
  }

  /**
   * One digest leads to some more, and those of two large stores that have nothing in common to
   * megabytes at once. Transfers instead are paced by who gets them.
   */
  #mayTell(peer: Peer, nowMs: number): boolean {
    if (nowMs >= peer.leavesToldSinceMs + limits.roundEveryMs) {
      peer.leavesToldSinceMs = nowMs;
      peer.leavesTold = 0;
    }
    return peer.leavesTold < limits.leavesToldPerRoundMax;
  }

  #isEqual({ digest }: Peer): boolean {
    const { root } = this.#store.trie;
    return root.high === digest.high && root.low === digest.low;
  }

  #dueMsOf(peer: Peer): number {
    return Math.max(peer.mismatchSinceMs + this.#patienceMs, peer.nextRoundMs);
  }

  #eligible(peer: Peer): boolean {
    return peer.state === "up" && peer.phase === "ready" && !this.#puller.isPulling(peer);
  }

  #below(range: TrieRange): number[] {
    return this.#store.trie.children(range.level, range.prefix);
  }

  #sendDigests(peer: Peer, level: number, nodes: readonly DigestNode[]): void {
    for (let index = 0; index < nodes.length; index += limits.digestNodesPerFrame) {
      const some = nodes.slice(index, index + limits.digestNodesPerFrame);
      this.#counters.reconcile.digestsSent += 1;
      this.#outbox.unicast(peer.address, [{ tag: Tag.digest, level, nodes: some }]);
    }
  }
}
