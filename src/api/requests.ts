import type { AckRequest, Lifetime, ListQuery, NamedValue } from "../core/commands.ts";
import type { Value } from "../session/record.ts";
import type { Stamp } from "../session/stamp.ts";
import type { RefusalReason, Verb } from "./messages.ts";
import type { Versions } from "./versions.ts";

export interface HelloRequest {
  readonly requestId: number;
  readonly verb: typeof Verb.hello;
  /** What the client speaks. */
  readonly versions: Versions;
}

/** About one session. */
export interface Addressed {
  readonly requestId: number;
  readonly id: string;
}

interface Write extends Addressed {
  /** The reply waits for peers to have it. */
  readonly ack: AckRequest | undefined;
}

export interface GetRequest extends Addressed {
  readonly verb: typeof Verb.get;
  /** The reply waits until this write is included. */
  readonly atLeast: Stamp | undefined;
}

export interface DestroyRequest extends Write {
  readonly verb: typeof Verb.destroy;
}

export interface RotateRequest extends Write {
  readonly verb: typeof Verb.rotate;
  readonly newId: string;
}

export interface StoreRequest extends Write {
  readonly verb: typeof Verb.create | typeof Verb.set;
  readonly attributes: readonly NamedValue[];
  readonly lifetime: Lifetime;
}

export interface PatchRequest extends Write {
  readonly verb: typeof Verb.patch;
  readonly set: readonly NamedValue[];
  readonly unset: readonly string[];
  /** Only if that is the session's latest write. */
  readonly ifStamp: Stamp | undefined;
}

export interface TouchRequest extends Write {
  readonly verb: typeof Verb.touch;
  readonly idleMs: number | undefined;
}

export interface ListRequest {
  readonly requestId: number;
  readonly verb: typeof Verb.list;
  readonly query: ListQuery;
}

export interface DestroyAllRequest {
  readonly requestId: number;
  readonly verb: typeof Verb.destroyAll;
  readonly owner: Value;
  readonly except: string | undefined;
}

/** What a connection wants to be told from now on. */
export type FeedRequest =
  | { readonly requestId: number; readonly verb: typeof Verb.watch; readonly prefix: string }
  | { readonly requestId: number; readonly verb: typeof Verb.unwatch; readonly watch: number }
  | { readonly requestId: number; readonly verb: typeof Verb.track; readonly countMax: number };

/** Without arguments. */
export type PlainVerb =
  | typeof Verb.count
  | typeof Verb.stats
  | typeof Verb.ping
  | typeof Verb.reloadKeys;

export type WriteRequest =
  | StoreRequest
  | PatchRequest
  | TouchRequest
  | DestroyRequest
  | RotateRequest;

/** What is asked of the service, once the client has been greeted. */
export type ServiceRequest =
  | GetRequest
  | WriteRequest
  | ListRequest
  | DestroyAllRequest
  | FeedRequest
  | {
      readonly requestId: number;
      readonly verb: PlainVerb;
    };

export type Request = HelloRequest | ServiceRequest;

/** A frame that is no request to act on. `requestId` 0: the frame did not even tell that. */
export interface BadRequest {
  readonly requestId: number;
  readonly verb: 0;
  readonly reason: RefusalReason;
}
