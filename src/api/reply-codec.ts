import { isUtf8 } from "node:buffer";
import type { DestroyedAll, ListPage, SessionView, WriteOutcome } from "../core/commands.ts";
import { limits } from "../protocol/limits.ts";
import { ownerName, type Value } from "../session/record.ts";
import type { Stamp } from "../session/stamp.ts";
import { frameHeaderBytes } from "./framing.ts";
import { type RefusalReason, refusals, Status } from "./messages.ts";
import type { MsgpackReader } from "./msgpack-reader.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";

/** The start of a reply; what follows depends on the request that it answers. */
export interface ReplyHead {
  readonly requestId: number;
  /** It is no reply: what a watch tells follows. */
  readonly isEvent: boolean;
  /** Undefined: the request was done and its result follows. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface WriteReply {
  readonly applied: boolean;
  /** The zero stamp when nothing was written. */
  readonly stamp: Stamp;
  /** How many peers have applied it; undefined: that was not asked for. */
  readonly confirmations: number | undefined;
}

export interface SessionReply {
  readonly stamp: Stamp;
  /** Milliseconds since 1970; 0: never. */
  readonly expiresAtMs: number;
  readonly owner: string | undefined;
}

export type AllDestroyed = Omit<DestroyedAll, "more">;

/**
 * The reply that everything is built for: no object is made, the record's own strings are written
 * where the kernel will read them.
 */
export function encodeGetReply(
  writer: MsgpackWriter,
  requestId: number,
  view: SessionView | undefined,
): void {
  const body = begin(writer, requestId);
  if (view === undefined) {
    writer.nil();
    writer.endFrame(body);
    return;
  }
  writer.arrayHeader(5);
  writer.number(view.stamp.time);
  writer.number(view.stamp.tag);
  writer.number(view.expiresAtMs);
  let shown = 0;
  let owner: Value | undefined;
  for (const { name, value } of view.attributes) {
    if (name === ownerName) owner = value;
    else if (value !== undefined) shown += 1;
  }
  // A peer may have written what no client could read.
  if (owner === undefined || !isText(owner)) writer.nil();
  else writer.textValue(owner);
  writer.mapHeader(shown);
  for (const { name, value } of view.attributes) {
    if (value === undefined || name === ownerName) continue;
    writer.text(name);
    writer.value(value);
  }
  endFrame(writer, requestId, body);
}

/** Whether octets are a text that an owner may be. */
function isText(value: Value): boolean {
  return value.length <= limits.ownerBytesMax && isUtf8(Buffer.from(value, "latin1"));
}

/** The merge of several writers' attributes may be larger than what any of them could write. */
function endFrame(writer: MsgpackWriter, requestId: number, body: number): void {
  if (writer.position - body <= limits.localFrameBytesMax) {
    writer.endFrame(body);
    return;
  }
  writer.truncate(body - frameHeaderBytes);
  encodeRefusal(writer, requestId, "replyTooLarge");
}

export function encodeWriteReply(
  writer: MsgpackWriter,
  requestId: number,
  outcome: WriteOutcome,
  confirmations?: number,
): void {
  const body = begin(writer, requestId);
  writer.arrayHeader(confirmations === undefined ? 3 : 4);
  writer.boolean(outcome.applied);
  writer.number(outcome.stamp?.time ?? 0);
  writer.number(outcome.stamp?.tag ?? 0);
  if (confirmations !== undefined) writer.number(confirmations);
  writer.endFrame(body);
}

export function encodeDestroyAllReply(
  writer: MsgpackWriter,
  requestId: number,
  { count, stamp, complete }: AllDestroyed,
): void {
  const body = begin(writer, requestId);
  writer.arrayHeader(4);
  writer.number(count);
  writer.number(stamp?.time ?? 0);
  writer.number(stamp?.tag ?? 0);
  writer.boolean(complete);
  writer.endFrame(body);
}

export function encodeListReply(writer: MsgpackWriter, requestId: number, page: ListPage): void {
  const body = begin(writer, requestId);
  writer.arrayHeader(2);
  writer.arrayHeader(page.sessions.length);
  for (const session of page.sessions) {
    writer.arrayHeader(2);
    writer.text(session.id);
    writer.number(session.expiresAtMs);
  }
  writer.text(page.cursor);
  writer.endFrame(body);
}

export function encodeCountReply(writer: MsgpackWriter, requestId: number, count: number): void {
  const body = begin(writer, requestId);
  writer.number(count);
  writer.endFrame(body);
}

/** Whether there was what was to end. */
export function encodeUnwatchReply(
  writer: MsgpackWriter,
  requestId: number,
  existed: boolean,
): void {
  const body = begin(writer, requestId);
  writer.boolean(existed);
  writer.endFrame(body);
}

/** Done, and there is nothing to say about it. */
export function encodeNilReply(writer: MsgpackWriter, requestId: number): void {
  const body = begin(writer, requestId);
  writer.nil();
  writer.endFrame(body);
}

/** What hello, stats and reloadKeys answer: a map, in a `bin`, so that it may grow freely. */
export function encodeReportReply(
  writer: MsgpackWriter,
  requestId: number,
  report: Readonly<Record<string, unknown>>,
): void {
  const frame = begin(writer, requestId);
  writer.nested(() => writeReport(writer, report, 0));
  endFrame(writer, requestId, frame);
}

export function encodeRefusal(
  writer: MsgpackWriter,
  requestId: number,
  reason: RefusalReason,
  detail?: string,
): void {
  const [code, sentence] = refusals[reason];
  const body = writer.beginFrame();
  writer.arrayHeader(4);
  writer.number(requestId);
  writer.number(Status.refused);
  writer.text(code);
  writer.text(detail ?? sentence);
  writer.endFrame(body);
}

/** Undefined: these bytes are no reply. With a head of no error, the result is read next. */
export function decodeReplyHead(reader: MsgpackReader): ReplyHead | undefined {
  const count = reader.arrayHeader();
  const requestId = reader.number();
  const status = reader.number();
  if (reader.failed) return undefined;
  const isEvent = status === Status.event;
  if ((status === Status.done || isEvent) && count === 3) {
    return { requestId, isEvent, error: undefined };
  }
  if (status !== Status.refused || count !== 4) return undefined;
  const error = { code: reader.text(), message: reader.text() };
  return reader.finished ? { requestId, isEvent, error } : undefined;
}

/**
 * Undefined: no such session. Each attribute's bytes lie in the buffer from start to end, during
 * the call: a view of each would cost as much as to unpack it.
 */
export function decodeGetReply(
  reader: MsgpackReader,
  attribute: (name: string, buffer: Buffer, start: number, end: number) => void,
): SessionReply | undefined {
  if (reader.nil()) return undefined;
  if (reader.arrayHeader() !== 5) return malformed(reader);
  const stamp = { time: reader.number(), tag: reader.number() };
  const expiresAtMs = reader.number();
  const owner = reader.nil() ? undefined : reader.text();
  const count = reader.mapHeader();
  for (let index = 0; index < count && !reader.failed; index++) {
    const name = reader.name();
    const start = reader.skipBytes();
    if (!reader.failed) attribute(name, reader.buffer, start, reader.position);
  }
  return { stamp, expiresAtMs, owner };
}

export function decodeWriteReply(reader: MsgpackReader): WriteReply {
  const count = reader.arrayHeader();
  if (count !== 3 && count !== 4) malformed(reader);
  const applied = reader.boolean();
  const stamp = { time: reader.number(), tag: reader.number() };
  return { applied, stamp, confirmations: count === 4 ? reader.number() : undefined };
}

export function decodeDestroyAllReply(reader: MsgpackReader): AllDestroyed {
  if (reader.arrayHeader() !== 4) malformed(reader);
  const count = reader.number();
  const stamp = { time: reader.number(), tag: reader.number() };
  const complete = reader.boolean();
  return { count, stamp: stamp.time === 0 ? undefined : stamp, complete };
}

export function decodeListReply(reader: MsgpackReader): ListPage {
  if (reader.arrayHeader() !== 2) malformed(reader);
  const sessions: { id: string; expiresAtMs: number }[] = [];
  const count = reader.arrayHeader();
  for (let index = 0; index < count && !reader.failed; index++) {
    if (reader.arrayHeader() !== 2) malformed(reader);
    sessions.push({ id: reader.text(), expiresAtMs: reader.number() });
  }
  return { sessions, cursor: reader.text() };
}

export function decodeCountReply(reader: MsgpackReader): number {
  return reader.number();
}

export function decodeUnwatchReply(reader: MsgpackReader): boolean {
  return reader.boolean();
}

export function decodeNilReply(reader: MsgpackReader): void {
  if (!reader.nil()) malformed(reader);
}

/** The packed map, as a view that is valid during the call. */
export function decodeReportReply(reader: MsgpackReader): Buffer {
  return reader.bytes();
}

const { reportDepthMax } = limits;

function writeReport(writer: MsgpackWriter, value: unknown, depth: number): void {
  if (typeof value === "string") writer.text(value);
  else if (typeof value === "number") writer.number(value);
  else if (typeof value === "bigint") writer.number(Number(value));
  else if (typeof value === "boolean") writer.boolean(value);
  else if (typeof value !== "object" || value === null || depth > reportDepthMax) writer.nil();
  else if (Array.isArray(value)) {
    writer.arrayHeader(value.length);
    for (const item of value) writeReport(writer, item, depth + 1);
  } else {
    const entries = Object.entries(value);
    writer.mapHeader(entries.length);
    for (const [key, item] of entries) {
      writer.text(key);
      writeReport(writer, item, depth + 1);
    }
  }
}

function malformed(reader: MsgpackReader): undefined {
  reader.fail();
  return undefined;
}

function begin(writer: MsgpackWriter, requestId: number): number {
  return beginReply(writer, requestId, Status.done);
}

/** The head of what is no refusal; returns where the body starts, for `endFrame`. */
export function beginReply(writer: MsgpackWriter, requestId: number, status: number): number {
  const body = writer.beginFrame();
  writer.arrayHeader(3);
  writer.number(requestId);
  writer.number(status);
  return body;
}
