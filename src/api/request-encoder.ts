import type { AckRequest, Lifetime, ListQuery } from "../core/commands.ts";
import type { Stamp } from "../session/stamp.ts";
import { Option, Verb } from "./messages.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";
import type { PlainVerb } from "./requests.ts";
import { localVersions, type Versions } from "./versions.ts";

/** An attribute as a client sends it: bytes that only clients interpret. */
export interface PackedAttribute {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Options of a write as clients ask for them; null: the session is to have no owner. */
export interface WriteExtras {
  readonly ack?: AckRequest | undefined;
  readonly ifStamp?: Stamp | undefined;
  readonly owner?: string | null | undefined;
}

export function encodeHello(
  writer: MsgpackWriter,
  requestId: number,
  versions: Versions = localVersions,
): void {
  const body = begin(writer, requestId, Verb.hello, 2);
  writer.number(versions.lowest);
  writer.number(versions.highest);
  writer.endFrame(body);
}

export function encodeGet(
  writer: MsgpackWriter,
  requestId: number,
  request: { readonly id: string; readonly atLeast: Stamp | undefined },
): void {
  const { id, atLeast } = request;
  const body = begin(writer, requestId, Verb.get, atLeast === undefined ? 1 : 3);
  writer.text(id);
  if (atLeast !== undefined) {
    writer.number(atLeast.time);
    writer.number(atLeast.tag);
  }
  writer.endFrame(body);
}

export function encodeDestroy(
  writer: MsgpackWriter,
  requestId: number,
  request: WriteExtras & { readonly id: string },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.destroy, count: 1 }, request);
  writer.text(request.id);
  endWrite(writer, body, request);
}

export function encodeRotate(
  writer: MsgpackWriter,
  requestId: number,
  request: WriteExtras & { readonly id: string; readonly newId: string },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.rotate, count: 2 }, request);
  writer.text(request.id);
  writer.text(request.newId);
  endWrite(writer, body, request);
}

export function encodeStore(
  writer: MsgpackWriter,
  requestId: number,
  request: WriteExtras & {
    readonly verb: typeof Verb.create | typeof Verb.set;
    readonly id: string;
    readonly attributes: readonly PackedAttribute[];
    readonly lifetime: Lifetime;
  },
): void {
  const body = beginWrite(writer, requestId, { verb: request.verb, count: 4 }, request);
  writer.text(request.id);
  writeAttributes(writer, request.attributes);
  writeOptional(writer, request.lifetime.idleMs);
  writeOptional(writer, request.lifetime.absoluteMs);
  endWrite(writer, body, request);
}

export function encodePatch(
  writer: MsgpackWriter,
  requestId: number,
  request: WriteExtras & {
    readonly id: string;
    readonly set: readonly PackedAttribute[];
    readonly unset: readonly string[];
  },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.patch, count: 3 }, request);
  writer.text(request.id);
  writeAttributes(writer, request.set);
  writer.arrayHeader(request.unset.length);
  for (const name of request.unset) writer.text(name);
  endWrite(writer, body, request);
}

export function encodeTouch(
  writer: MsgpackWriter,
  requestId: number,
  request: WriteExtras & { readonly id: string; readonly idleMs: number | undefined },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.touch, count: 2 }, request);
  writer.text(request.id);
  writeOptional(writer, request.idleMs);
  endWrite(writer, body, request);
}

export function encodeList(
  writer: MsgpackWriter,
  requestId: number,
  query: Omit<ListQuery, "owner"> & { readonly owner: string | undefined },
): void {
  const { prefix, limit, cursor, owner } = query;
  const body = begin(writer, requestId, Verb.list, owner === undefined ? 3 : 4);
  writer.text(prefix);
  writer.number(limit);
  writer.text(cursor);
  if (owner !== undefined) writer.text(owner);
  writer.endFrame(body);
}

export function encodeDestroyAll(
  writer: MsgpackWriter,
  requestId: number,
  request: { readonly owner: string; readonly except: string | undefined },
): void {
  const body = begin(writer, requestId, Verb.destroyAll, 2);
  writer.text(request.owner);
  if (request.except === undefined) writer.nil();
  else writer.text(request.except);
  writer.endFrame(body);
}

export function encodeWatch(writer: MsgpackWriter, requestId: number, prefix: string): void {
  const body = begin(writer, requestId, Verb.watch, 1);
  writer.text(prefix);
  writer.endFrame(body);
}

export function encodeUnwatch(writer: MsgpackWriter, requestId: number, watch: number): void {
  const body = begin(writer, requestId, Verb.unwatch, 1);
  writer.number(watch);
  writer.endFrame(body);
}

/** Of so many sessions that this connection reads it wants to know when they change. */
export function encodeTrack(writer: MsgpackWriter, requestId: number, countMax: number): void {
  const body = begin(writer, requestId, Verb.track, 1);
  writer.number(countMax);
  writer.endFrame(body);
}

/** For the verbs without arguments. */
export function encodePlain(writer: MsgpackWriter, requestId: number, verb: PlainVerb): void {
  writer.endFrame(begin(writer, requestId, verb, 0));
}

function beginWrite(
  writer: MsgpackWriter,
  requestId: number,
  { verb, count }: { readonly verb: number; readonly count: number },
  extras: WriteExtras,
): number {
  return begin(writer, requestId, verb, optionCount(extras) === 0 ? count : count + 1);
}

function endWrite(writer: MsgpackWriter, body: number, extras: WriteExtras): void {
  const count = optionCount(extras);
  if (count > 0) {
    const { ack, ifStamp, owner } = extras;
    writer.mapHeader(count);
    if (ack !== undefined) writePair(writer, Option.ack, ack.peers, ack.timeoutMs);
    if (ifStamp !== undefined) writePair(writer, Option.ifStamp, ifStamp.time, ifStamp.tag);
    if (owner !== undefined) {
      writer.number(Option.owner);
      if (owner === null) writer.nil();
      else writer.text(owner);
    }
  }
  writer.endFrame(body);
}

function optionCount({ ack, ifStamp, owner }: WriteExtras): number {
  return Number(ack !== undefined) + Number(ifStamp !== undefined) + Number(owner !== undefined);
}

function writePair(writer: MsgpackWriter, option: number, first: number, second: number): void {
  writer.number(option);
  writer.arrayHeader(2);
  writer.number(first);
  writer.number(second);
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
