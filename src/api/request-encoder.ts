import type { AckRequest, Lifetime, ListQuery } from "../core/commands.ts";
import type { Stamp } from "../session/stamp.ts";
import { localProtocolVersion, Verb } from "./messages.ts";
import type { MsgpackWriter } from "./msgpack.ts";

/** An attribute as a client sends it: bytes that only clients interpret. */
export interface PackedAttribute {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export function encodeHello(writer: MsgpackWriter, requestId: number): void {
  const body = begin(writer, requestId, Verb.hello, 1);
  writer.number(localProtocolVersion);
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
  request: { readonly id: string; readonly ack: AckRequest | undefined },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.destroy, count: 1, ack: request.ack });
  writer.text(request.id);
  endWrite(writer, body, request.ack);
}

export function encodeRotate(
  writer: MsgpackWriter,
  requestId: number,
  request: {
    readonly id: string;
    readonly newId: string;
    readonly ack: AckRequest | undefined;
  },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.rotate, count: 2, ack: request.ack });
  writer.text(request.id);
  writer.text(request.newId);
  endWrite(writer, body, request.ack);
}

export function encodeStore(
  writer: MsgpackWriter,
  requestId: number,
  request: {
    readonly verb: typeof Verb.create | typeof Verb.set;
    readonly id: string;
    readonly attributes: readonly PackedAttribute[];
    readonly lifetime: Lifetime;
    readonly ack: AckRequest | undefined;
  },
): void {
  const { verb, ack } = request;
  const body = beginWrite(writer, requestId, { verb, count: 4, ack });
  writer.text(request.id);
  writeAttributes(writer, request.attributes);
  writeOptional(writer, request.lifetime.idleMs);
  writeOptional(writer, request.lifetime.absoluteMs);
  endWrite(writer, body, ack);
}

export function encodePatch(
  writer: MsgpackWriter,
  requestId: number,
  request: {
    readonly id: string;
    readonly set: readonly PackedAttribute[];
    readonly unset: readonly string[];
    readonly ack: AckRequest | undefined;
  },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.patch, count: 3, ack: request.ack });
  writer.text(request.id);
  writeAttributes(writer, request.set);
  writer.arrayHeader(request.unset.length);
  for (const name of request.unset) writer.text(name);
  endWrite(writer, body, request.ack);
}

export function encodeTouch(
  writer: MsgpackWriter,
  requestId: number,
  request: {
    readonly id: string;
    readonly idleMs: number | undefined;
    readonly ack: AckRequest | undefined;
  },
): void {
  const body = beginWrite(writer, requestId, { verb: Verb.touch, count: 2, ack: request.ack });
  writer.text(request.id);
  writeOptional(writer, request.idleMs);
  endWrite(writer, body, request.ack);
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

function beginWrite(
  writer: MsgpackWriter,
  requestId: number,
  write: {
    readonly verb: number;
    readonly count: number;
    readonly ack: AckRequest | undefined;
  },
): number {
  const count = write.ack === undefined ? write.count : write.count + 1;
  return begin(writer, requestId, write.verb, count);
}

function endWrite(writer: MsgpackWriter, body: number, ack: AckRequest | undefined): void {
  if (ack !== undefined) {
    writer.arrayHeader(2);
    writer.number(ack.peers);
    writer.number(ack.timeoutMs);
  }
  writer.endFrame(body);
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
