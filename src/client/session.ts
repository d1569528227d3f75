import type { MsgpackReader } from "../api/msgpack-reader.ts";
import { decodeGetReply } from "../api/reply-codec.ts";
import { stampText } from "./stamp-text.ts";
import { setOwn, unpackValue } from "./values.ts";

export interface Session<T extends object = Record<string, unknown>> {
  readonly id: string;
  readonly attributes: T;
  /** Names the latest write that this session holds; equal stamps mean equal content. */
  readonly stamp: string;
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined;
  /** Whose session it is; undefined: nobody's. */
  readonly owner: string | undefined;
}

/** Undefined: there is no such session. */
export function decodeSession(id: string, reader: MsgpackReader): Session | undefined {
  const attributes: Record<string, unknown> = {};
  const reply = decodeGetReply(reader, (name, buffer, start, end) => {
    setOwn(attributes, name, unpackValue(buffer, start, end));
  });
  if (reply === undefined) return undefined;
  return {
    id,
    attributes,
    stamp: stampText(reply.stamp),
    expiresAt: reply.expiresAtMs === 0 ? undefined : reply.expiresAtMs,
    owner: reply.owner,
  };
}
