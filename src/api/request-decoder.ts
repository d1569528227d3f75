import type { NamedValue } from "../core/commands.ts";
import { limits } from "../protocol/limits.ts";
import { type RefusalReason, Verb } from "./messages.ts";
import type { MsgpackReader } from "./msgpack-reader.ts";
import {
  areVersions,
  bad,
  isDuration,
  isName,
  isOwner,
  isRequestId,
  isStamp,
  isWithin,
} from "./request-rules.ts";
import type { BadRequest, FeedRequest, Request, WriteRequest } from "./requests.ts";
import { isWrite, withOptions } from "./write-options.ts";

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
      if (count !== 1 && count !== 2) break;
      return decodeHello(reader, requestId, count === 2);
    case Verb.get:
      if (count !== 1 && count !== 3) break;
      return decodeGet(reader, requestId, count === 3);
    case Verb.destroy:
      if (!isWrite(count, 1)) break;
      return withOptions(reader, count > 1, decodeDestroy(reader, requestId));
    case Verb.create:
    case Verb.set:
      if (!isWrite(count, 4)) break;
      return withOptions(reader, count > 4, decodeStore(reader, requestId, verb));
    case Verb.patch:
      if (!isWrite(count, 3)) break;
      return withOptions(reader, count > 3, decodePatch(reader, requestId));
    case Verb.touch:
      if (!isWrite(count, 2)) break;
      return withOptions(reader, count > 2, decodeTouch(reader, requestId));
    case Verb.rotate:
      if (!isWrite(count, 2)) break;
      return withOptions(reader, count > 2, decodeRotate(reader, requestId));
    case Verb.list:
      if (count !== 3 && count !== 4) break;
      return decodeList(reader, requestId, count === 4);
    case Verb.destroyAll:
      if (count !== 2) break;
      return decodeDestroyAll(reader, requestId);
    case Verb.watch:
    case Verb.unwatch:
    case Verb.track:
      if (count !== 1) break;
      return decodeFeed(reader, requestId, verb);
    case Verb.count:
    case Verb.stats:
    case Verb.ping:
    case Verb.reloadKeys:
      if (count !== 0) break;
      return { requestId, verb };
    default:
      // A later version's verb: its arguments are not understood, but where it ends is known.
      if (!reader.failed) reader.skipRest();
      return bad(requestId, "verbUnknown");
  }
  return bad(requestId, "malformedFrame", reader);
}

function decodeHello(
  reader: MsgpackReader,
  requestId: number,
  isRange: boolean,
): Request | BadRequest {
  const lowest = reader.number();
  const highest = isRange ? reader.number() : lowest;
  const versions = { lowest, highest };
  if (!areVersions(versions)) return bad(requestId, "malformedFrame", reader);
  return { requestId, verb: Verb.hello, versions };
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
  return { requestId, verb: Verb.patch, id, set, unset, ack: undefined, ifStamp: undefined };
}

function decodeTouch(reader: MsgpackReader, requestId: number): WriteRequest | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  const idleMs = readOptional(reader);
  if (!isDuration(idleMs)) return bad(requestId, "numberInvalid", reader);
  return { requestId, verb: Verb.touch, id, idleMs, ack: undefined };
}

function decodeList(
  reader: MsgpackReader,
  requestId: number,
  hasOwner: boolean,
): Request | BadRequest {
  const prefix = reader.text();
  const prefixFits = reader.textBytes <= limits.sessionIdBytesMax;
  const limit = reader.number();
  const limitFits = Number.isInteger(limit) && limit >= 1 && limit <= limits.listPageMax;
  const cursor = reader.text();
  const cursorFits = reader.textBytes <= limits.localCursorBytesMax;
  if (!prefixFits || !limitFits || !cursorFits) return bad(requestId, "listInvalid", reader);
  const owner = hasOwner ? reader.textValue() : undefined;
  if (hasOwner && !isOwner(reader)) return bad(requestId, "ownerInvalid", reader);
  return { requestId, verb: Verb.list, query: { prefix, owner, limit, cursor } };
}

function decodeDestroyAll(reader: MsgpackReader, requestId: number): Request | BadRequest {
  const owner = reader.textValue();
  if (!isOwner(reader)) return bad(requestId, "ownerInvalid", reader);
  const except = reader.nil() ? undefined : reader.text();
  if (except !== undefined && !isName(reader)) return bad(requestId, "idInvalid", reader);
  return { requestId, verb: Verb.destroyAll, owner, except };
}

function decodeFeed(
  reader: MsgpackReader,
  requestId: number,
  verb: FeedRequest["verb"],
): Request | BadRequest {
  if (verb === Verb.watch) {
    const prefix = reader.text();
    const isShort = reader.textBytes <= limits.sessionIdBytesMax;
    return isShort ? { requestId, verb, prefix } : bad(requestId, "watchInvalid", reader);
  }
  const number = reader.number();
  if (verb === Verb.unwatch) return { requestId, verb, watch: number };
  if (number !== 0 && !isWithin(number, limits.trackedPerClientMax)) {
    return bad(requestId, "trackInvalid", reader);
  }
  return { requestId, verb, countMax: number };
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

function hasRepetition(names: readonly string[]): boolean {
  return new Set(names).size !== names.length;
}

function readOptional(reader: MsgpackReader): number | undefined {
  return reader.nil() ? undefined : reader.number();
}
