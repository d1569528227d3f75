import { limits } from "../protocol/limits.ts";

/**
 * The vocabulary of the local protocol. A request is `[requestId, verb, ...arguments]`, its reply
 * `[requestId, 0, result]` or `[requestId, 1, code, message]`; a watch goes on with
 * `[requestId, 2, events]`. PROTOCOL.md has all of it.
 *
 * The numbers are the protocol: only append, never renumber or reuse.
 */
export const Verb = {
  hello: 1,
  get: 2,
  create: 3,
  set: 4,
  patch: 5,
  touch: 6,
  destroy: 7,
  list: 8,
  count: 9,
  stats: 10,
  ping: 11,
  rotate: 12,
  destroyAll: 13,
  watch: 14,
  unwatch: 15,
  track: 16,
  reloadKeys: 17,
} as const;

export type Verb = (typeof Verb)[keyof typeof Verb];

/** What the stats socket serves: nothing that tells of a session or changes one. */
export const statsVerbs: ReadonlySet<Verb> = new Set([Verb.hello, Verb.stats, Verb.ping]);

export const Status = { done: 0, refused: 1, event: 2 } as const;

/** What may follow the arguments of a write, in a map by these numbers. */
export const Option = { ack: 1, ifStamp: 2, owner: 3 } as const;

/** What a watch tells of a session. Missed: there was more than the client took in. */
export const EventKind = { missed: 0, created: 1, changed: 2, destroyed: 3, expired: 4 } as const;

/** Request ids are 1 to this; 0 in a reply means that the request could not be told. */
export const requestIdMax = 4_294_967_295;

/** What a sidecar answers; apps may rely on these. */
export const ErrorCode = {
  invalid: "SESSIONCAST_INVALID",
  conflict: "SESSIONCAST_CONFLICT",
  tooLarge: "SESSIONCAST_TOO_LARGE",
  protocol: "SESSIONCAST_PROTOCOL",
  unavailable: "SESSIONCAST_UNAVAILABLE",
  behind: "SESSIONCAST_BEHIND",
  forbidden: "SESSIONCAST_FORBIDDEN",
  keys: "SESSIONCAST_KEYS",
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Why a request or a connection was refused: each has a counter, a code and a sentence. */
export const refusals = {
  oversizeFrame: [ErrorCode.protocol, "a frame is larger than the protocol allows"],
  malformedFrame: [ErrorCode.protocol, "a frame is not a well-formed request"],
  helloMissing: [ErrorCode.protocol, "the first request of a connection must be hello"],
  versionUnknown: [ErrorCode.protocol, "client and sidecar have no version in common"],
  verbUnknown: [ErrorCode.protocol, "this sidecar does not know the verb"],
  verbForbidden: [ErrorCode.forbidden, "not allowed on the stats socket"],
  idInvalid: [
    ErrorCode.invalid,
    `a session id has 1 to ${limits.sessionIdBytesMax} bytes of UTF-8`,
  ],
  nameInvalid: [
    ErrorCode.invalid,
    `the name of an attribute has 1 to ${limits.attributeNameBytesMax} bytes of UTF-8`,
  ],
  nameRepeated: [ErrorCode.invalid, "a request names an attribute twice"],
  numberInvalid: [ErrorCode.invalid, "a time is whole milliseconds from 0 up to ten years"],
  ownerInvalid: [ErrorCode.invalid, `an owner has 1 to ${limits.ownerBytesMax} bytes of UTF-8`],
  optionInvalid: [ErrorCode.invalid, "this write has no such option, or not twice"],
  ackInvalid: [
    ErrorCode.invalid,
    `an ack is a number of peers, 1 to ${limits.peersMax}, and 1 to ${limits.confirmMsMax} ms`,
  ],
  stampInvalid: [ErrorCode.invalid, "a stamp is what an earlier write was answered with"],
  listInvalid: [
    ErrorCode.invalid,
    `a list takes a prefix, a limit of 1 to ${limits.listPageMax}, and a cursor`,
  ],
  watchInvalid: [
    ErrorCode.invalid,
    `a watch takes a prefix; a connection has up to ${limits.watchesPerClientMax} of them`,
  ],
  trackInvalid: [
    ErrorCode.invalid,
    `up to ${limits.trackedPerClientMax} sessions are tracked for a connection`,
  ],
  attributesTooMany: [
    ErrorCode.tooLarge,
    `a session has at most ${limits.attributesPerSessionMax} attributes`,
  ],
  sessionTooLarge: [ErrorCode.tooLarge, `a session has at most ${limits.sessionBytesMax} bytes`],
  replyTooLarge: [ErrorCode.tooLarge, "the answer does not fit a frame"],
  sessionExists: [ErrorCode.conflict, "a session of this id is alive"],
  sessionChanged: [ErrorCode.conflict, "another write came first: the stamp is not the latest"],
  acksTooMany: [ErrorCode.unavailable, "the write is stored, but too many wait for their peers"],
  stillJoining: [ErrorCode.unavailable, "the sidecar has just started and does not know yet"],
  writeNotHere: [ErrorCode.behind, "the write asked for has not arrived at this node in time"],
  keysRefused: [ErrorCode.keys, "the key file cannot be used; the keys are as they were"],
  clientsTooMany: [ErrorCode.unavailable, "the sidecar has as many clients as it accepts"],
} as const satisfies Record<string, readonly [ErrorCode, string]>;

export type RefusalReason = keyof typeof refusals;
