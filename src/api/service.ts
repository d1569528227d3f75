import type {
  Lifetime,
  ListPage,
  ListQuery,
  NamedValue,
  SessionView,
  WriteOutcome,
} from "../core/commands.ts";

/** What the local socket offers; the daemon implements it over the replica. All calls are local. */
export interface SessionService {
  hello(): HelloReply;
  /**
   * Whether commands on this session can be answered truthfully now. A sidecar that has just been
   * started does not know all sessions yet; then `fetch` it first.
   */
  knows(id: string): boolean;
  /** Calls back, later. False: nobody was able to tell. */
  fetch(id: string, done: (known: boolean) => void): void;
  get(id: string): SessionView | undefined;
  /** Starts a session; refused with `exists` while one of that id is alive. Revives a dead one. */
  create(id: string, attributes: readonly NamedValue[], lifetime: Lifetime): WriteOutcome;
  /**
   * Stores a whole session: replaces the attributes of a live one, starts an unknown one. One that
   * was destroyed stays destroyed (`applied: false`): a slow request cannot undo a logout.
   */
  set(id: string, attributes: readonly NamedValue[], lifetime: Lifetime): WriteOutcome;
  /** Changes some attributes of a live session; `applied: false` when there is none. */
  patch(id: string, set: readonly NamedValue[], unset: readonly string[]): WriteOutcome;
  /** Extends a live session; `idleMs` changes how long it may stay unused. */
  touch(id: string, idleMs: number | undefined): WriteOutcome;
  destroy(id: string): WriteOutcome;
  list(query: ListQuery): ListPage;
  count(): number;
  stats(): Record<string, unknown>;
}

export interface HelloReply {
  readonly version: string;
  readonly node: string;
  readonly cluster: string;
  readonly state: string;
}
