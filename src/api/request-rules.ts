import { assert } from "../base/assert.ts";
import { limits } from "../protocol/limits.ts";
import type { Stamp } from "../session/stamp.ts";
import { type RefusalReason, requestIdMax } from "./messages.ts";
import type { MsgpackReader } from "./msgpack-reader.ts";
import type { BadRequest } from "./requests.ts";
import type { Versions } from "./versions.ts";

/** About the text that was read last: whether it may be a session id or an attribute's name. */
export function isName(reader: MsgpackReader): boolean {
  return reader.textBytes >= 1 && reader.textBytes <= limits.sessionIdBytesMax;
}

assert(
  limits.sessionIdBytesMax === limits.attributeNameBytesMax,
  "one rule serves for ids and names",
);

/** Likewise, an owner. */
export function isOwner(reader: MsgpackReader): boolean {
  return reader.textBytes >= 1 && reader.textBytes <= limits.ownerBytesMax;
}

export function isRequestId(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= requestIdMax;
}

export function areVersions({ lowest, highest }: Versions): boolean {
  return isWithin(highest, Number.MAX_SAFE_INTEGER) && isWithin(lowest, highest);
}

export function isStamp({ time, tag }: Stamp): boolean {
  return isWithin(time, Number.MAX_SAFE_INTEGER) && (tag === 0 || isWithin(tag, 4_294_967_295));
}

export function isDuration(value: number | undefined): boolean {
  if (value === undefined) return true;
  return Number.isSafeInteger(value) && value >= 0 && value <= limits.durationMsMax;
}

export function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

/** `reader`: the rest of the frame is not worth reading; where it ends is known. */
export function bad(requestId: number, reason: RefusalReason, reader?: MsgpackReader): BadRequest {
  if (reader !== undefined && !reader.failed) reader.skipRest();
  return { requestId, verb: 0, reason };
}
