import type {
  AckRequest,
  DestroyedAll,
  Lifetime,
  ListPage,
  ListQuery,
  NamedValue,
  SessionView,
  WriteOutcome,
} from "../core/commands.ts";
import type { Observer } from "../core/store/change.ts";
import type { Value } from "../session/record.ts";
import type { Stamp } from "../session/stamp.ts";

/** What the local socket offers; the daemon implements it over the replica. All calls are local. */
export interface SessionService {
  hello(): HelloReply;
  /**
   * Whether commands on this session can be answered truthfully now, from a state that includes
   * `write` if that is given. A sidecar that has just been started does not know all sessions yet,
   * and a write on another node may not have arrived; then `fetch` it first.
   */
  knows(id: string, write?: Stamp): boolean;
  /** Whether what concerns all sessions can be answered truthfully now. */
  knowsAll(): boolean;
  /** Calls back, later. False: nobody was able to tell. */
  fetch(id: string, write: Stamp | undefined, done: (known: boolean) => void): void;
  /**
   * Directly after a write to this session: calls back, later, with the number of peers that have
   * applied it, as soon as there are so many as asked for, or when the time is over. False: too
   * many writes wait, and it will not call back.
   */
  confirm(id: string, ack: AckRequest, done: (peers: number) => void): boolean;
  /**
   * Commands on these sessions follow. Changes nothing, but sought together they cost less than one
   * by one.
   */
  prefetch(sought: readonly { readonly id: string }[]): void;
  get(id: string): SessionView | undefined;
  /** Starts a session; refused with `exists` while one of that id is alive. Revives a dead one. */
  create(id: string, attributes: readonly NamedValue[], lifetime: Lifetime): WriteOutcome;
  /**
   * Stores a whole session: replaces the attributes of a live one, starts an unknown one. One that
   * was destroyed stays destroyed (`applied: false`): a slow request cannot undo a logout.
   */
  set(id: string, attributes: readonly NamedValue[], lifetime: Lifetime): WriteOutcome;
  /**
   * Changes some attributes of a live session; `applied: false` when there is none. Refused with
   * `changed` when `ifStamp` is given and is not the stamp that `get` shows.
   */
  patch(
    id: string,
    set: readonly NamedValue[],
    unset: readonly string[],
    ifStamp: Stamp | undefined,
  ): WriteOutcome;
  /** Extends a live session; `idleMs` changes how long it may stay unused. */
  touch(id: string, idleMs: number | undefined): WriteOutcome;
  destroy(id: string): WriteOutcome;
  /**
   * Moves a live session to a new id; the old one is destroyed. Refused with `exists` while the new
   * one is alive; `applied: false` when there is no session of the old id.
   */
  rotate(id: string, newId: string): WriteOutcome;
  /** Ends all sessions of an owner but one. */
  destroyAll(owner: Value, except: string | undefined): DestroyedAll;
  /** Has changes of sessions told, by clients here and by peers; undefined: no more. */
  observe(observer: Observer | undefined): void;
  list(query: ListQuery): ListPage;
  count(): number;
  stats(): Record<string, unknown>;
  /**
   * Reads the key file again. A text: it cannot be used, why, and what to do about it; the keys are
   * as they were then.
   */
  reloadKeys(): KeyNames | string;
}

/** The keys that a node holds, by their fingerprints of eight hex digits. */
export interface KeyNames {
  /** The one that seals. */
  readonly uses: string;
  /** The others, which only open. */
  readonly opens: readonly string[];
}

export interface HelloReply {
  readonly version: string;
  readonly node: string;
  readonly cluster: string;
  readonly state: string;
}
