import { assert } from "../base/assert.ts";
import type { Lifetime, ListQuery, NamedValue } from "../core/commands.ts";
import { limits } from "../protocol/limits.ts";
import { localProtocolVersion, type RefusalReason, requestIdMax, Verb } from "./messages.ts";
import type { MsgpackReader, MsgpackWriter } from "./msgpack.ts";

/** An attribute as a client sends it: bytes that only clients interpret. */
export interface PackedAttribute {
  readonly name: string;
  readonly bytes: Uint8Array;
}

interface Addressed {
  readonly requestId: number;
  readonly id: string;
}

export interface StoreRequest extends Addressed {
  readonly verb: typeof Verb.create | typeof Verb.set;
  readonly attributes: readonly NamedValue[];
  readonly lifetime: Lifetime;
}

export interface PatchRequest extends Addressed {
  readonly verb: typeof Verb.patch;
  readonly set: readonly NamedValue[];
  readonly unset: readonly string[];
}

export interface TouchRequest extends Addressed {
  readonly verb: typeof Verb.touch;
  readonly idleMs: number | undefined;
}

export interface ListRequest {
  readonly requestId: number;
  readonly verb: typeof Verb.list;
  readonly query: ListQuery;
}

export type Request =
  | { readonly requestId: number; readonly verb: typeof Verb.hello; readonly version: number }
  | (Addressed & { readonly verb: typeof Verb.get | typeof Verb.destroy })
  | StoreRequest
  | PatchRequest
  | TouchRequest
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

export function encodeHello(writer: MsgpackWriter, requestId: number): void {
  const body = begin(writer, requestId, Verb.hello, 1);
  writer.number(localProtocolVersion);
  writer.endFrame(body);
}

/** For the verbs that take a session id and nothing else. */
export function encodeAddressed(
  writer: MsgpackWriter,
  requestId: number,
  request: { readonly verb: typeof Verb.get | typeof Verb.destroy; readonly id: string },
): void {
  const body = begin(writer, requestId, request.verb, 1);
  writer.text(request.id);
  writer.endFrame(body);
}

export function encodeStore(
  writer: MsgpackWriter,
  requestId: number,
  request: {
    readonly verb: typeof Verb.create | typeof Verb.set;
    readonly id: string;
    readonly attributes: readonly PackedAttribute[];
    readonly lifetime: Lifetime;
  },
): void {
  const body = begin(writer, requestId, request.verb, 4);
  writer.text(request.id);
  writeAttributes(writer, request.attributes);
  writeOptional(writer, request.lifetime.idleMs);
  writeOptional(writer, request.lifetime.absoluteMs);
  writer.endFrame(body);
}

export function encodePatch(
  writer: MsgpackWriter,
  requestId: number,
  request: {
    readonly id: string;
    readonly set: readonly PackedAttribute[];
    readonly unset: readonly string[];
  },
): void {
  const body = begin(writer, requestId, Verb.patch, 3);
  writer.text(request.id);
  writeAttributes(writer, request.set);
  writer.arrayHeader(request.unset.length);
  for (const name of request.unset) writer.text(name);
  writer.endFrame(body);
}

export function encodeTouch(
  writer: MsgpackWriter,
  requestId: number,
  request: { readonly id: string; readonly idleMs: number | undefined },
): void {
  const body = begin(writer, requestId, Verb.touch, 2);
  writer.text(request.id);
  writeOptional(writer, request.idleMs);
  writer.endFrame(body);
}

export function encodeList(writer: MsgpackWriter, requestId: number, query: ListQuery): void {
  const body = begin(writer, requestId, Verb.list, 3);
  writer.text(query.prefix);
  writer.number(query.limit);
  writer.text(query.cursor);
  writer.endFrame(body);
}

/** For the verbs without arguments. */
export function encodePlain(
  writer: MsgpackWriter,
  requestId: number,
  verb: typeof Verb.count | typeof Verb.stats | typeof Verb.ping,
): void {
  writer.endFrame(begin(writer, requestId, verb, 0));
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
    case Verb.destroy: {
      if (count !== 1) break;
      const id = reader.text();
      return isName(reader) ? { requestId, verb, id } : bad(requestId, "idInvalid");
    }
    case Verb.create:
    case Verb.set:
      if (count !== 4) break;
      return decodeStore(reader, requestId, verb);
    case Verb.patch:
      if (count !== 3) break;
      return decodePatch(reader, requestId);
    case Verb.touch:
      if (count !== 2) break;
      return decodeTouch(reader, requestId);
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

function decodeStore(
  reader: MsgpackReader,
  requestId: number,
  verb: typeof Verb.create | typeof Verb.set,
): Request | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  const attributes = decodeAttributes(reader);
  if (typeof attributes === "string") return bad(requestId, attributes, reader);
  const idleMs = readOptional(reader);
  const absoluteMs = readOptional(reader);
  if (!isDuration(idleMs) || !isDuration(absoluteMs)) return bad(requestId, "numberInvalid");
  return { requestId, verb, id, attributes, lifetime: { idleMs, absoluteMs } };
}

function decodePatch(reader: MsgpackReader, requestId: number): Request | BadRequest {
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
    if (hasRepetition(names)) return bad(requestId, "nameRepeated");
  }
  return { requestId, verb: Verb.patch, id, set, unset };
}

function decodeTouch(reader: MsgpackReader, requestId: number): Request | BadRequest {
  const id = reader.text();
  if (!isName(reader)) return bad(requestId, "idInvalid", reader);
  const idleMs = readOptional(reader);
  if (!isDuration(idleMs)) return bad(requestId, "numberInvalid");
  return { requestId, verb: Verb.touch, id, idleMs };
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
    const name = reader.text();
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

function isDuration(value: number | undefined): boolean {
  if (value === undefined) return true;
  return Number.isSafeInteger(value) && value >= 0 && value <= limits.durationMsMax;
}

/** `reader`: the rest of the frame is not worth reading; where it ends is known. */
function bad(requestId: number, reason: RefusalReason, reader?: MsgpackReader): BadRequest {
  if (reader !== undefined && !reader.failed) reader.skipRest();
  return { requestId, verb: 0, reason };
}

function begin(writer: MsgpackWriter, requestId: number, verb: number, count: number): number {
  const body = writer.beginFrame();
  writer.arrayHeader(2 + count);
  writer.number(requestId);
  writer.number(verb);
  return body;
}

function writeAttributes(writer: MsgpackWriter, attributes: readonly PackedAttribute[]): void {
  writer.mapHeader(attributes.length);
  for (const attribute of attributes) {
    writer.text(attribute.name);
    writer.bytes(attribute.bytes);
  }
}

function writeOptional(writer: MsgpackWriter, value: number | undefined): void {
  if (value === undefined) writer.nil();
  else writer.number(value);
}

function readOptional(reader: MsgpackReader): number | undefined {
  return reader.nil() ? undefined : reader.number();
}
