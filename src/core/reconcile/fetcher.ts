import type { Prng } from "../../base/prng.ts";
import { type Absent, type Found, Tag } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Peer } from "../membership/peer.ts";
import type { PeerTable } from "../membership/peer-table.ts";
import type { Outbox } from "../outbox.ts";
import type { Store } from "../store/store.ts";

interface Fetch {
  readonly id: string;
  readonly tickets: number[];
  readonly giveUpMs: number;
  askDueMs: number;
}

/**
 * Asks peers for single sessions while this node is joining and does not have the whole state yet:
 * saying "no session" then would log users out at every deploy. One question per session, however
 * many clients wait for it; answered by whoever has it, or by a node that is complete and has not.
 */
export class Fetcher {
  readonly #store: Store;
  readonly #prng: Prng;
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  /** By nonce, and the nonces by session id. */
  readonly #fetches = new Map<number, Fetch>();
  readonly #nonces = new Map<string, number>();
  #ticket = 0;

  constructor(store: Store, prng: Prng, outbox: Outbox, counters: Counters) {
    this.#store = store;
    this.#prng = prng;
    this.#outbox = outbox;
    this.#counters = counters;
  }

  /** A number that comes back through `Outbox.fetched`; undefined: too many are under way. */
  start(id: string, nowMs: number): number | undefined {
    const held = this.#fetches.get(this.#nonces.get(id) ?? -1);
    const fetch = held ?? this.#open(id, nowMs);
    if (fetch === undefined || fetch.tickets.length >= limits.fetchWaitersMax) {
      this.#counters.reconcile.fetchesRefused += 1;
      return undefined;
    }
    this.#ticket += 1;
    fetch.tickets.push(this.#ticket);
    return this.#ticket;
  }

  /** The peer has it, and its content has been merged. */
  onFound(found: Found): void {
    this.#end(found.nonce, true);
  }

  /** Where the session that is asked for under this number lies in the trie. */
  leafOf(nonce: number): number | undefined {
    const fetch = this.#fetches.get(nonce);
    return fetch === undefined ? undefined : this.#store.leafOf(fetch.id);
  }

  /** The peer has not; that settles it if the peer is complete. */
  onAbsent(peer: Peer, absent: Absent): void {
    if (peer.phase === "ready") this.#end(absent.nonce, true);
  }

  /** `complete`: the whole state has arrived, so what is not there is nowhere. */
  tick(peers: PeerTable, complete: boolean, nowMs: number): void {
    for (const [nonce, fetch] of this.#fetches) {
      if (complete || this.#store.has(fetch.id)) this.#end(nonce, true);
      else if (nowMs >= fetch.giveUpMs) this.#end(nonce, false);
      else if (nowMs >= fetch.askDueMs) {
        fetch.askDueMs = nowMs + limits.fetchRetryMs;
        this.#ask(peers, nonce, fetch.id);
      }
    }
  }

  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const fetch of this.#fetches.values()) dueMs = Math.min(dueMs, fetch.askDueMs);
    return dueMs;
  }

  get waiting(): number {
    return this.#fetches.size;
  }

  #open(id: string, nowMs: number): Fetch | undefined {
    if (this.#fetches.size >= limits.fetchesMax) return undefined;
    this.#counters.reconcile.fetches += 1;
    const nonce = this.#prng.uint32();
    const fetch = { id, tickets: [], giveUpMs: nowMs + limits.fetchMsMax, askDueMs: nowMs };
    this.#fetches.set(nonce, fetch);
    this.#nonces.set(id, nonce);
    return fetch;
  }

  /** Two at a time, drawn anew for each try: one may be dead, and one may be joining as well. */
  #ask(peers: PeerTable, nonce: number, id: string): void {
    const up = [...peers.all()].filter((peer) => peer.state === "up" && peer.name !== "");
    const ready = up.filter((peer) => peer.phase === "ready");
    const candidates = ready.length > 0 ? ready : up;
    const first = this.#prng.below(candidates.length);
    for (let offset = 0; offset < Math.min(2, candidates.length); offset++) {
      const peer = candidates[(first + offset) % candidates.length];
      if (peer !== undefined) this.#outbox.unicast(peer.address, [{ tag: Tag.fetch, nonce, id }]);
    }
  }

  #end(nonce: number, known: boolean): void {
    const fetch = this.#fetches.get(nonce);
    if (fetch === undefined) return;
    this.#fetches.delete(nonce);
    this.#nonces.delete(fetch.id);
    if (!known) this.#counters.reconcile.fetchesFailed += 1;
    for (const ticket of fetch.tickets) this.#outbox.fetched(ticket, known);
  }
}
