import type { Prng } from "../../base/prng.ts";
import { Tag, type TrieRange } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import { showsWrite } from "../../session/record.ts";
import { type Stamp, tagOf } from "../../session/stamp.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";
import type { Outbox } from "../outbox.ts";
import { leafLevel } from "../store/digest-trie.ts";
import type { Store } from "../store/store.ts";
import { Absences } from "./absences.ts";
import { donorsAmong } from "./donors.ts";
import { FetchAllowance } from "./fetch-allowance.ts";
import type { IncomingTransfer } from "./incoming-transfer.ts";

interface Fetch {
  /** Under which answers come. */
  nonce: number;
  readonly id: string;
  /** Wanted is a state that includes this write; undefined: wanted is whatever there is. */
  readonly write: Stamp | undefined;
  readonly key: string;
  readonly tickets: number[];
  readonly openedMs: number;
  readonly giveUpMs: number;
  askDueMs: number;
  tries: number;
  /**
   * Whom the session is being pulled from, because it is too large for one datagram, and whether it
   * has kept it. Several: with one of them a long transfer may be under way, which this would have
   * to wait for.
   */
  readonly pulledFrom: Map<Peer, boolean>;
  /** Whose transfer has brought the record since; another peer may have evicted it meanwhile. */
  readonly broughtBy: Set<Peer>;
  /** Who said that it does not hold the session, since this node does not either. */
  readonly without: Set<Peer>;
}

/**
 * Asks peers for single sessions that this node cannot tell about. While it is joining, that is any
 * that it does not hold: saying "no session" then would log users out at every deploy. Later it is
 * one of which there is only a stub, or a part without life, and one of which a client knows a
 * write that has not arrived here. One question per session, however many clients wait for it.
 *
 * It is settled by whoever has the session, or by a node that is complete and has not; where a
 * write is asked for, by the state that includes it, or by the answer of the node that wrote it.
 * What clients ask for, however often, makes no flood: asks are limited, and absences remembered.
 * Where there is a stub or a part, there was a session: then only all peers together can say that
 * it is gone.
 */
export class Fetcher {
  readonly #store: Store;
  readonly #prng: Prng;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #byNonce = new Map<number, Fetch>();
  readonly #byKey = new Map<string, Fetch>();
  readonly #allowance = new FetchAllowance();
  readonly #absences = new Absences();
  #ticket = 0;

  constructor(store: Store, prng: Prng, outbox: Outbox, counters: Counters) {
    this.#store = store;
    this.#prng = prng;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** Whether a complete node said a moment ago that there is no such session. */
  isAbsent(id: string): boolean {
    return this.#absences.has(id);
  }

  /** A number that comes back through `Outbox.fetched`; undefined: too many are under way. */
  start(id: string, write: Stamp | undefined, nowMs: number): number | undefined {
    // An id may be any text: at the end it cannot look like another question.
    const key = `${write?.time ?? 0} ${write?.tag ?? 0} ${id}`;
    const fetch = this.#byKey.get(key) ?? this.#open(key, id, write, nowMs);
    if (fetch === undefined || fetch.tickets.length >= limits.fetchWaitersMax) {
      this.#counters.reconcile.fetchesRefused += 1;
      return undefined;
    }
    this.#ticket += 1;
    fetch.tickets.push(this.#ticket);
    return this.#ticket;
  }

  /**
   * What an answer under this nonce is to, as the other methods take it, also if merging what it
   * brings changes the nonce; undefined: to nothing that is still asked.
   */
  asked(nonce: number): Fetch | undefined {
    return this.#byNonce.get(nonce);
  }

  /** The peer has it, and its content has been merged. */
  onFound(peer: Peer, fetch: Fetch, kept: boolean): void {
    this.#answered(fetch, peer, kept);
  }

  /** The peer has it, but not in one datagram. What to pull from it, if that is not under way. */
  onTooLarge(peer: Peer, fetch: Fetch, kept: boolean): TrieRange | undefined {
    if (fetch.pulledFrom.has(peer)) return undefined;
    fetch.pulledFrom.set(peer, kept);
    fetch.broughtBy.delete(peer);
    return { level: leafLevel, prefix: this.#store.leafOf(fetch.id) };
  }

  /** A transfer ended, and what it brought has been merged. */
  onTransferEnded(transfer: IncomingTransfer, completed: boolean): void {
    const { peer, ranges, skipped, beganMs } = transfer;
    for (const fetch of this.#byKey.values()) {
      const kept = fetch.pulledFrom.get(peer);
      if (kept === undefined) continue;
      const leaf = this.#store.leafOf(fetch.id);
      const isAsked = ranges.some(({ level, prefix }) => level === leafLevel && prefix === leaf);
      // One that began before may bring the state from before the write that is asked for.
      const isHere = isAsked && beganMs >= fetch.openedMs;
      // What waits behind a transfer that fails is dropped with it.
      if (isHere || !completed) fetch.pulledFrom.delete(peer);
      if (!isHere) continue;
      const isKept = kept && fetch.broughtBy.has(peer);
      if (completed && skipped === 0) this.#answered(fetch, peer, isKept);
    }
  }

  /** The peer has not; that settles it if the peer must know, as those do that could give all. */
  onAbsent(peers: PeerTable, peer: Peer, fetch: Fetch, nowMs: number): void {
    this.onEvicted(peer, fetch);
    if (this.#store.lacks(fetch.id)) return;
    if (fetch.write !== undefined) {
      if (wrote(peer, fetch.write)) this.#end(fetch, true);
    } else if (peer.phase === "ready" && isAmong(donorsAmong(peers), peer)) {
      this.#absences.note(fetch.id, nowMs);
      this.#end(fetch, true);
    }
  }

  /**
   * The peer knows of it and has not: it may be with others. Said while this node has the session
   * itself, it does not count once it has evicted that.
   */
  onEvicted(peer: Peer, fetch: Fetch): void {
    if (!this.#isHere(fetch.id)) fetch.without.add(peer);
  }

  /** Whether it is held, and not only a part of it. */
  #isHere(id: string): boolean {
    return this.#store.has(id) && !this.#store.lacks(id);
  }

  /**
   * Who said to lack it may hold it by now: a peer's write to this session came, also if this node
   * had no room for that, or this node has evicted it, and may have given it to a peer that has yet
   * to get it. It is asked for under another number from now on, since answers from before may be
   * on their way. One that has the session counts all the same, by what it brings.
   */
  askAnew(id: string): void {
    if (this.#byKey.size === 0) return;
    for (const fetch of this.#byKey.values()) {
      if (fetch.id !== id) continue;
      this.#byNonce.delete(fetch.nonce);
      fetch.nonce = this.#prng.uint32();
      this.#byNonce.set(fetch.nonce, fetch);
      fetch.without.clear();
    }
  }

  /** To be told which sessions a transfer of this peer brings; says whether somebody waits. */
  bringer(peer: Peer): (id: string) => boolean {
    return (id) => {
      let isWanted = false;
      for (const fetch of this.#byKey.values()) {
        if (fetch.id !== id) continue;
        isWanted = true;
        fetch.broughtBy.add(peer);
      }
      return isWanted;
    };
  }

  /** `complete`: the whole state has arrived, so what is not there is nowhere. */
  tick(peers: PeerTable, complete: boolean, nowMs: number): void {
    if (complete) this.#absences.clear();
    else this.#absences.tick(nowMs);
    for (const fetch of this.#byKey.values()) {
      if (this.#isHere(fetch.id)) fetch.without.clear();
      if (this.#isSettled(fetch, complete)) this.#end(fetch, true);
      else if (complete && this.#isGone(peers, fetch)) {
        this.#store.nobodyHas(fetch.id);
        this.#end(fetch, true, true);
      } else if (nowMs >= fetch.giveUpMs) this.#end(fetch, false);
      else if (nowMs >= fetch.askDueMs) {
        fetch.askDueMs = Math.min(nowMs + limits.fetchRetryMs * 2 ** fetch.tries, fetch.giveUpMs);
        fetch.tries += 1;
        // The first is paid for already.
        if (fetch.tries === 1 || this.#isAllowed(nowMs)) this.#ask(peers, fetch, nowMs);
      }
    }
  }

  get dueMs(): number {
    let { dueMs } = this.#absences;
    for (const fetch of this.#byKey.values()) dueMs = Math.min(dueMs, fetch.askDueMs);
    return dueMs;
  }

  get waiting(): number {
    return this.#byKey.size;
  }

  /** Requests that wait for them. */
  get waiters(): number {
    let count = 0;
    for (const { tickets } of this.#byKey.values()) count += tickets.length;
    return count;
  }

  get absent(): number {
    return this.#absences.size;
  }

  #open(key: string, id: string, write: Stamp | undefined, nowMs: number): Fetch | undefined {
    if (this.#byKey.size >= limits.fetchesMax || !this.#isAllowed(nowMs)) return undefined;
    this.#counters.reconcile.fetches += 1;
    const giveUpMs = nowMs + limits.fetchMsMax;
    const fetch: Fetch = {
      nonce: this.#prng.uint32(),
      id,
      write,
      key,
      tickets: [],
      openedMs: nowMs,
      giveUpMs,
      askDueMs: nowMs,
      tries: 0,
      pulledFrom: new Map(),
      broughtBy: new Set(),
      without: new Set(),
    };
    this.#byNonce.set(fetch.nonce, fetch);
    this.#byKey.set(key, fetch);
    return fetch;
  }

  #isAllowed(nowMs: number): boolean {
    const isAllowed = this.#allowance.take(nowMs);
    if (!isAllowed) this.#counters.reconcile.fetchesThrottled += 1;
    return isAllowed;
  }

  #isSettled(fetch: Fetch, complete: boolean): boolean {
    if (fetch.write === undefined) {
      return !this.#store.lacks(fetch.id) && (complete || this.#store.has(fetch.id));
    }
    const held = this.#store.peek(fetch.id);
    return held !== undefined && showsWrite(held, fetch.write);
  }

  #answered(fetch: Fetch, peer: Peer, kept: boolean): void {
    const isEnough = fetch.write === undefined || (kept && wrote(peer, fetch.write));
    // It may have been found, and be too large for this node.
    if (this.#store.lacks(fetch.id)) return;
    if (isEnough || this.#isSettled(fetch, false)) this.#end(fetch, true);
  }

  /**
   * Whether there was such a session and nobody who is up has it. A node that is cut off from all
   * others cannot tell; and what became of a write only its writer can, who may not be up here.
   */
  #isGone(peers: PeerTable, fetch: Fetch): boolean {
    if (!this.#store.lacks(fetch.id)) return false;
    const all = [...peers.all()];
    const up = all.filter(({ state }) => state === "up");
    const { write, without } = fetch;
    if (write !== undefined && !up.some((peer) => wrote(peer, write))) return false;
    if (up.length === 0) return !all.some(({ state }) => state === "down");
    return up.every((peer) => without.has(peer));
  }

  /** Two at a time, drawn anew for each try: one may be dead, and one may be joining as well. */
  #ask(peers: PeerTable, fetch: Fetch, nowMs: number): void {
    const { nonce, id, write } = fetch;
    const up = [...peers.all()].filter(({ state }) => state === "up");
    const asked = new Set<Peer>();
    // Who wrote it knows best.
    for (const peer of up) if (write !== undefined && wrote(peer, write)) asked.add(peer);
    const count = this.#store.lacks(id) ? 2 ** fetch.tries : 2;
    let more = 0;
    for (const peer of this.#candidates(up, donorsAmong(peers), fetch)) {
      if (asked.size >= count) break;
      // What is allowed is for two; each two more take as much.
      if (more > 0 && more % 2 === 0 && !this.#isAllowed(nowMs)) break;
      asked.add(peer);
      more += 1;
    }
    for (const peer of asked) this.#outbox.unicast(peer.address, [{ tag: Tag.fetch, nonce, id }]);
  }

  /**
   * Whom to ask, best first. Of a stub's session everybody, those without stubs before the others,
   * and twice as many at each try. Else those that are ready, and of them first who can have all.
   */
  #candidates(up: readonly Peer[], donors: readonly Peer[], fetch: Fetch): Peer[] {
    if (this.#store.lacks(fetch.id)) {
      const open = up.filter((peer) => !fetch.without.has(peer));
      const [full, short] = [open.filter(hasAll), open.filter((peer) => !hasAll(peer))];
      return [...this.#anyFirst(full), ...this.#anyFirst(short)];
    }
    const named = up.filter(({ name }) => name !== "");
    const ready = named.filter(({ phase }) => phase === "ready");
    if (ready.length === 0) return this.#anyFirst(named);
    const sure = ready.filter((peer) => isAmong(donors, peer));
    return [
      ...this.#anyFirst(sure),
      ...this.#anyFirst(ready.filter((peer) => !sure.includes(peer))),
    ];
  }

  #anyFirst(peers: readonly Peer[]): Peer[] {
    const first = this.#prng.below(peers.length);
    return [...peers.slice(first), ...peers.slice(0, first)];
  }

  #end(fetch: Fetch, known: boolean, isGone = false): void {
    this.#byNonce.delete(fetch.nonce);
    this.#byKey.delete(fetch.key);
    if (!known) this.#counters.reconcile.fetchesFailed += 1;
    for (const ticket of fetch.tickets) {
      // The command of one who waited may have evicted it before the next one's turn.
      const isHere = isGone || !this.#store.lacks(fetch.id);
      this.#outbox.fetched(ticket, known && isHere);
    }
  }
}

/** Where nobody has anything, everybody has all there is. */
function isAmong(donors: readonly Peer[], peer: Peer): boolean {
  return donors.length === 0 || donors.includes(peer);
}

function hasAll(peer: Peer): boolean {
  return peer.phase === "ready" && peer.stubs === 0;
}

function wrote(peer: Peer, write: Stamp): boolean {
  return tagOf(peer.boot) === write.tag;
}
