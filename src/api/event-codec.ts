import { Status } from "./messages.ts";
import type { MsgpackReader } from "./msgpack-reader.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";
import { beginReply } from "./reply-codec.ts";

export interface WatchEvent {
  /** An `EventKind`, or one of a later version. */
  readonly kind: number;
  readonly id: string;
}

export function encodeWatchEvents(
  writer: MsgpackWriter,
  requestId: number,
  events: readonly WatchEvent[],
): void {
  const body = beginReply(writer, requestId, Status.event);
  writer.arrayHeader(events.length);
  for (const { kind, id } of events) {
    writer.arrayHeader(2);
    writer.number(kind);
    writer.text(id);
  }
  writer.endFrame(body);
}

/** Undefined: of all sessions. */
export function encodeInvalidations(
  writer: MsgpackWriter,
  requestId: number,
  ids: readonly string[] | undefined,
): void {
  const body = beginReply(writer, requestId, Status.event);
  if (ids === undefined) writer.nil();
  else {
    writer.arrayHeader(ids.length);
    for (const id of ids) writer.text(id);
  }
  writer.endFrame(body);
}

export function decodeWatchEvents(reader: MsgpackReader): WatchEvent[] {
  const events: WatchEvent[] = [];
  const count = reader.arrayHeader();
  for (let index = 0; index < count && !reader.failed; index++) {
    if (reader.arrayHeader() !== 2) reader.fail();
    events.push({ kind: reader.number(), id: reader.text() });
  }
  return events;
}

/** Undefined: of all sessions. */
export function decodeInvalidations(reader: MsgpackReader): string[] | undefined {
  if (reader.nil()) return undefined;
  const ids: string[] = [];
  const count = reader.arrayHeader();
  for (let index = 0; index < count && !reader.failed; index++) ids.push(reader.text());
  return ids;
}
