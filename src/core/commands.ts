import type { Attribute, Value } from "../session/record.ts";
import type { Stamp } from "../session/stamp.ts";

export interface NamedValue {
  readonly name: string;
  readonly value: Value;
}

/** Milliseconds; undefined: the configured default (create) or unchanged (set); 0: no limit. */
export interface Lifetime {
  readonly idleMs: number | undefined;
  readonly absoluteMs: number | undefined;
}

export interface SessionView {
  /** Those whose value is undefined have been removed and are not shown. */
  readonly attributes: readonly Attribute[];
  /** The latest write that this session holds. */
  readonly stamp: Stamp;
  /** Milliseconds since 1970; 0: never. */
  readonly expiresAtMs: number;
}

/** Changed: another write came first. */
export type Refusal = "exists" | "changed" | "too_large" | "too_many_attributes" | "bad_id";

export interface WriteOutcome {
  /** Whether the session existed (create, set: is now stored). */
  readonly applied: boolean;
  /** The stamp of this write; undefined when nothing was written. */
  readonly stamp: Stamp | undefined;
  readonly refusal: Refusal | undefined;
}

/** A write waits until so many peers have applied it, or until its time is over. */
export interface AckRequest {
  readonly peers: number;
  readonly timeoutMs: number;
}

export interface DestroyedAll {
  readonly count: number;
  /** Of the last of them; undefined: there was none. */
  readonly stamp: Stamp | undefined;
  /** Whether this node holds all sessions that it knows of: there may be others elsewhere. */
  readonly complete: boolean;
  /** There are more, for another call. */
  readonly more: boolean;
}

export interface ListQuery {
  readonly prefix: string;
  /** Undefined: whosever they are. */
  readonly owner: Value | undefined;
  readonly limit: number;
  /** From the page before; empty: from the start. */
  readonly cursor: string;
}

export interface ListPage {
  readonly sessions: readonly { readonly id: string; readonly expiresAtMs: number }[];
  /** Empty: this was the last page. */
  readonly cursor: string;
}
