export type { KeyNames } from "../api/service.ts";

import type { NearCacheOptions } from "./near-cache.ts";

export interface ClientOptions {
  /** Path of the sidecar's Unix socket; by default where sidecars listen by default. */
  readonly socket?: string | undefined;
  /** How long a request may take before it rejects, in milliseconds; 1000 by default. */
  readonly timeoutMs?: number | undefined;
  /**
   * Keeps copies of sessions in this process; what `get` returns is frozen then. None by default.
   */
  readonly nearCache?: NearCacheOptions | undefined;
}

/** In milliseconds; 0: no limit. Left out: the sidecar's default, or unchanged. */
export interface LifetimeOptions {
  /** How long the session lives unused. */
  readonly idleMs?: number | undefined;
  /** How long it lives at most. */
  readonly absoluteMs?: number | undefined;
}

/** Left out: nobody's, or unchanged. */
export interface OwnerOptions {
  /** The user whose session it is, for `list` and `destroyAll`: 1 to 255 bytes of UTF-8. */
  readonly owner?: string | undefined;
}

/** Writes are acknowledged when the local sidecar has them, unless more is asked for. */
export interface AckOptions {
  /** Wait until so many other nodes have the write. */
  readonly ack?: number | undefined;
  /** But no longer than this; 500 by default, and less than the client's `timeoutMs`. */
  readonly ackTimeoutMs?: number | undefined;
}

export interface WriteResult {
  /** Whether there was such a session; of create and set: whether it is now stored. */
  readonly applied: boolean;
  /** Names this write, for `atLeast`; undefined: nothing had to be written. */
  readonly stamp: string | undefined;
  /**
   * With `ack`: how many other nodes have the write. Fewer than asked for when the time was over
   * first; the write goes on its way all the same.
   */
  readonly confirmations: number | undefined;
}

export interface GetOptions {
  /** The stamp of an earlier write, on whatever node: what is returned includes it. */
  readonly atLeast?: string | undefined;
  /** With a near cache: an object of the caller's own, that may be changed. */
  readonly mutable?: boolean | undefined;
}

export interface PatchOptions extends AckOptions {
  readonly set?: object | undefined;
  readonly unset?: readonly string[] | undefined;
  /** From now on the session is this user's; null: nobody's. */
  readonly owner?: string | null | undefined;
  /**
   * The stamp that the session was read with: rejects with SESSIONCAST_CONFLICT, and writes
   * nothing, when this node knows of a later write. Writes of other nodes at the same moment are
   * merged as ever.
   */
  readonly ifStamp?: string | undefined;
}

export interface ListOptions {
  /** Of the session ids wanted. */
  readonly prefix?: string | undefined;
  /** Only sessions of this user. */
  readonly owner?: string | undefined;
  /** How many at most: 1 to 1000, which is the default. */
  readonly limit?: number | undefined;
  /** From the page before. */
  readonly cursor?: string | undefined;
}

export interface SessionList {
  readonly sessions: readonly { readonly id: string; readonly expiresAt: number | undefined }[];
  /** For the next page, which may be short or empty; left out: this was the last. */
  readonly cursor?: string;
}

export interface DestroyAllOptions {
  readonly owner: string;
  /** The id of a session that stays. */
  readonly except?: string | undefined;
}

export interface DestroyAllResult {
  readonly count: number;
  /** Of the last of the destroys; undefined: there was nothing to destroy. */
  readonly stamp: string | undefined;
  /**
   * False: this node knows of sessions that it does not hold, for lack of room or since they are
   * still on their way, and cannot tell whether some of them are this owner's.
   */
  readonly complete: boolean;
}

export interface WatchOptions {
  /** Of the session ids wanted; all by default. */
  readonly prefix?: string | undefined;
}

export interface SidecarInfo {
  readonly protocol: number;
  readonly version: string;
  readonly node: string;
  readonly cluster: string;
  readonly state: string;
  readonly pid: number;
}
