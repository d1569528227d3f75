import { assert } from "../base/assert.ts";
import type { AckRequest, Lifetime, ListQuery, NamedValue } from "../core/commands.ts";
import { limits } from "../protocol/limits.ts";
import type { Stamp } from "../session/stamp.ts";
import { type RefusalReason, requestIdMax, Verb } from "./messages.ts";
import type { MsgpackReader } from "./msgpack.ts";

interface Addressed {
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

export type WriteRequest =
  | StoreRequest
  | PatchRequest
  | TouchRequest
  | DestroyRequest
  | RotateRequest;

export type Request =
  | { readonly requestId: number; readonly verb: typeof Verb.hello; readonly version: number }
  | GetRequest
  | WriteRequest
  | ListRequest
  | {
      readonly requestId: number;
      readonly verb: typeof Verb.count | typeof Verb.stats | typeof Verb.ping;
    };

/** A frame that is no request to act on. `requestId` 0: the frame did not even tell that. */
export interface BadRequest {
  readonly requestId: number;
  readonly verb: 0;
  readonly reason: RefusalReason;
}

/** Foreign bytes: never throws; whatever is wrong with them comes out as a `BadRequest`. */
export function decodeRequest(reader: MsgpackReader): Request | BadRequest {
  const count = reader.arrayHeader();
  const requestId = reader.number();
  if (reader.failed || count < 2 || !isRequestId(requestId)) return bad(0, "malformedFrame");
  const verb = reader.number();
  const request = decodeArguments(reader, requestId, verb, count - 2);
  // Well-formedness comes first: a message about an argument would mislead if it was misread.
  return reader.finished ? request : bad(requestId, "malformedFrame");
}

function decodeArguments(
  reader: MsgpackReader,
  requestId: number,
  verb: number,
  count: number,
): Request | BadRequest {
  switch (verb) {
    case Verb.hello:
      if (count !== 1) break;
      return { requestId, verb, version: reader.number() };
    case Verb.get:
      if (count !== 1 && count !== 3) break;
      return decodeGet(reader, requestId, count === 3);
    case Verb.destroy:
      if (!isWrite(count, 1)) break;
      return withAck(reader, count > 1, decodeDestroy(reader, requestId));
    case Verb.create:
    case Verb.set:
      if (!isWrite(count, 4)) break;
      return withAck(reader, count > 4, decodeStore(reader, requestId, verb));
    case Verb.patch:
      if (!isWrite(count, 3)) break;
      return withAck(reader, count > 3, decodePatch(reader, requestId));
    case Verb.touch:
      if (!isWrite(count, 2)) break;
      return withAck(reader, count > 2, decodeTouch(reader, requestId));
    case Verb.rotate:
      if (!isWrite(count, 2)) break;
      return withAck(reader, count > 2, decodeRotate(reader, requestId));
    case Verb.list:
      if (count !== 3) break;
      return decodeList(reader, requestId);
    case Verb.count:
    case Verb.stats:
    case Verb.ping:
      if (count !== 0) break;
      return { requestId, verb };
    default:
      // A later version's verb: its arguments are not understood, but where it ends is known.
      if (!reader.failed) reader.skipRest();
      return bad(requestId, "verbUnknown");
  }
  return bad(requestId, "malformedFrame", reader);
}

function decodeGet(
  reader: MsgpackReader,
  requestId: number,
  hasStamp: boolean,
): Request | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  if (!hasStamp) return { requestId, verb: Verb.get, id, atLeast: undefined };
  const atLeast = { time: reader.number(), tag: reader.number() };
  if (!isStamp(atLeast)) return bad(requestId, "stampInvalid");
  return { requestId, verb: Verb.get, id, atLeast };
}

function decodeDestroy(reader: MsgpackReader, requestId: number): WriteRequest | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  return { requestId, verb: Verb.destroy, id, ack: undefined };
}

function decodeRotate(reader: MsgpackReader, requestId: number): WriteRequest | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  const newId = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  return { requestId, verb: Verb.rotate, id, newId, ack: undefined };
}

function decodeStore(
  reader: MsgpackReader,
  requestId: number,
  verb: typeof Verb.create | typeof Verb.set,
): WriteRequest | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  const attributes = decodeAttributes(reader);
  if (typeof attributes === "string") return bad(requestId, attributes, reader);
  const idleMs = readOptional(reader);
  const absoluteMs = readOptional(reader);
  const areDurations = isDuration(idleMs) && isDuration(absoluteMs);
  if (!areDurations) return bad(requestId, "numberInvalid", reader);
  return { requestId, verb, id, attributes, lifetime: { idleMs, absoluteMs }, ack: undefined };
}

function decodePatch(reader: MsgpackReader, requestId: number): WriteRequest | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  const set = decodeAttributes(reader);
  if (typeof set === "string") return bad(requestId, set, reader);
  const count = reader.arrayHeader();
  if (count > limits.attributesPerSessionMax) return bad(requestId, "attributesTooMany", reader);
  const unset: string[] = [];
  for (let index = 0; index < count && !reader.failed; index++) {
    unset.push(reader.text());
    if (!isName(reader)) return bad(requestId, "nameInvalid", reader);
  }
  if (set.length + unset.length > 1) {
    const names = [...set.map((attribute) => attribute.name), ...unset];
    if (hasRepetition(names)) return bad(requestId, "nameRepeated", reader);
  }
  return { requestId, verb: Verb.patch, id, set, unset, ack: undefined };
}

function decodeTouch(reader: MsgpackReader, requestId: number): WriteRequest | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  const idleMs = readOptional(reader);
  if (!isDuration(idleMs)) return bad(requestId, "numberInvalid", reader);
  return { requestId, verb: Verb.touch, id, idleMs, ack: undefined };
}

function decodeList(reader: MsgpackReader, requestId: number): Request | BadRequest {
  const prefix = reader.text();
  const prefixFits = reader.textBytes <= limits.sessionIdBytesMax;
  const limit = reader.number();
  const limitFits = Number.isInteger(limit) && limit >= 1 && limit <= limits.listPageMax;
  const cursor = reader.text();
  const cursorFits = reader.textBytes <= limits.localCursorBytesMax;
  if (!prefixFits || !limitFits || !cursorFits) return bad(requestId, "listInvalid");
  return { requestId, verb: Verb.list, query: { prefix, limit, cursor } };
}

function decodeAttributes(reader: MsgpackReader): NamedValue[] | RefusalReason {
  const count = reader.mapHeader();
  if (count > limits.attributesPerSessionMax) return "attributesTooMany";
  const attributes: NamedValue[] = [];
  for (let index = 0; index < count && !reader.failed; index++) {
    const name = reader.name();
    if (!isName(reader)) return "nameInvalid";
    attributes.push({ name, value: reader.value() });
  }
  // Most requests carry one; this comes by for each of them.
  if (attributes.length < 2) return attributes;
  return hasRepetition(attributes.map((attribute) => attribute.name)) ? "nameRepeated" : attributes;
}

/** About the text that was read last: whether it may be a session id or an attribute's name. */
function isName(reader: MsgpackReader): boolean {
  return reader.textBytes >= 1 && reader.textBytes <= limits.sessionIdBytesMax;
}

assert(
  limits.sessionIdBytesMax === limits.attributeNameBytesMax,
  "one rule serves for ids and names",
);

function hasRepetition(names: readonly string[]): boolean {
  return new Set(names).size !== names.length;
}

function isRequestId(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= requestIdMax;
}

function isStamp({ time, tag }: Stamp): boolean {
  return isWithin(time, Number.MAX_SAFE_INTEGER) && (tag === 0 || isWithin(tag, 4_294_967_295));
}

function isDuration(value: number | undefined): boolean {
  if (value === undefined) return true;
  return Number.isSafeInteger(value) && value >= 0 && value <= limits.durationMsMax;
}

/** `reader`: the rest of the frame is not worth reading; where it ends is known. */
function bad(requestId: number, reason: RefusalReason, reader?: MsgpackReader): BadRequest {
  if (reader !== undefined && !reader.failed) reader.skipRest();
  return { requestId, verb: 0, reason };
}

/** Whether a write that takes so many arguments has them, and perhaps an ack behind them. */
function isWrite(count: number, taken: number): boolean {
  return count === taken || count === taken + 1;
}

/** The write with the ack that follows its arguments: `[peers, timeoutMs]`, or nil. */
function withAck(
  reader: MsgpackReader,
  hasAck: boolean,
  write: WriteRequest | BadRequest,
): WriteRequest | BadRequest {
  if (write.verb === 0 || !hasAck || reader.nil()) return write;
  if (reader.arrayHeader() !== 2) reader.fail();
  const ack = { peers: reader.number(), timeoutMs: reader.number() };
  const isValid =
    isWithin(ack.peers, limits.peersMax) && isWithin(ack.timeoutMs, limits.confirmMsMax);
  return isValid ? { ...write, ack } : bad(write.requestId, "ackInvalid");
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

function readOptional(reader: MsgpackReader): number | undefined {
  return reader.nil() ? undefined : reader.number();
}
