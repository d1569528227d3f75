import type { ListPage, SessionView, WriteOutcome } from "../core/commands.ts";
import { limits } from "../protocol/limits.ts";
import type { Stamp } from "../session/stamp.ts";
import { type RefusalReason, refusals, Status } from "./messages.ts";
import type { MsgpackReader, MsgpackWriter } from "./msgpack.ts";

/** The start of a reply; what follows depends on the request that it answers. */
export interface ReplyHead {
  readonly requestId: number;
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
}

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
  writer.arrayHeader(4);
  writer.number(view.stamp.time);
  writer.number(view.stamp.tag);
  writer.number(view.expiresAtMs);
  let shown = 0;
  for (const attribute of view.attributes) if (attribute.value !== undefined) shown += 1;
  writer.mapHeader(shown);
  for (const attribute of view.attributes) {
    if (attribute.value === undefined) continue;
    writer.text(attribute.name);
    writer.value(attribute.value);
  }
  writer.endFrame(body);
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

export function encodePongReply(writer: MsgpackWriter, requestId: number): void {
  const body = begin(writer, requestId);
  writer.nil();
  writer.endFrame(body);
}

/** What hello and stats answer: a map for people, in a `bin`, so that it may grow freely. */
export function encodeReportReply(
  writer: MsgpackWriter,
  requestId: number,
  report: Readonly<Record<string, unknown>>,
): void {
  const frame = begin(writer, requestId);
  writer.nested(() => writeReport(writer, report, 0));
  if (writer.position - frame <= limits.localFrameBytesMax) {
    writer.endFrame(frame);
    return;
  }
  writer.truncate(frame - 4);
  encodeRefusal(writer, requestId, "replyTooLarge");
}

export function encodeRefusal(
  writer: MsgpackWriter,
  requestId: number,
  reason: RefusalReason,
): void {
  const [code, message] = refusals[reason];
  const body = writer.beginFrame();
  writer.arrayHeader(4);
  writer.number(requestId);
  writer.number(Status.refused);
  writer.text(code);
  writer.text(message);
  writer.endFrame(body);
}

/** Undefined: these bytes are no reply. With a head of no error, the result is read next. */
export function decodeReplyHead(reader: MsgpackReader): ReplyHead | undefined {
  const count = reader.arrayHeader();
  const requestId = reader.number();
  const status = reader.number();
  if (reader.failed) return undefined;
  if (status === Status.done && count === 3) return { requestId, error: undefined };
  if (status !== Status.refused || count !== 4) return undefined;
  const error = { code: reader.text(), message: reader.text() };
  return reader.finished ? { requestId, error } : undefined;
}

/** Undefined: no such session. Each attribute's bytes are a view, valid during the call. */
export function decodeGetReply(
  reader: MsgpackReader,
  attribute: (name: string, bytes: Buffer) => void,
): SessionReply | undefined {
  if (reader.nil()) return undefined;
  if (reader.arrayHeader() !== 4) return malformed(reader);
  const stamp = { time: reader.number(), tag: reader.number() };
  const expiresAtMs = reader.number();
  const count = reader.mapHeader();
  for (let index = 0; index < count && !reader.failed; index++) {
    const name = reader.text();
    const bytes = reader.bytes();
    if (!reader.failed) attribute(name, bytes);
  }
  return { stamp, expiresAtMs };
}

export function decodeWriteReply(reader: MsgpackReader): WriteReply {
  const count = reader.arrayHeader();
  if (count !== 3 && count !== 4) malformed(reader);
  const applied = reader.boolean();
  const stamp = { time: reader.number(), tag: reader.number() };
  return { applied, stamp, confirmations: count === 4 ? reader.number() : undefined };
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

export function decodePongReply(reader: MsgpackReader): void {
  if (!reader.nil()) malformed(reader);
}

/** The packed map, as a view that is valid during the call. */
export function decodeReportReply(reader: MsgpackReader): Buffer {
  return reader.bytes();
}

/** Structures of our own making nest a few levels; this stops one that refers to itself. */
const reportDepthMax = 16;

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
  const body = writer.beginFrame();
  writer.arrayHeader(3);
  writer.number(requestId);
  writer.number(Status.done);
  return body;
}
