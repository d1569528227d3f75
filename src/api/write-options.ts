import type { AckRequest } from "../core/commands.ts";
import { limits } from "../protocol/limits.ts";
import { ownerName, type Value } from "../session/record.ts";
import type { Stamp } from "../session/stamp.ts";
import { Option, type RefusalReason, Verb } from "./messages.ts";
import type { MsgpackReader } from "./msgpack-reader.ts";
import { bad, isOwner, isStamp, isWithin } from "./request-rules.ts";
import type { BadRequest, WriteRequest } from "./requests.ts";

/** What clients ask for at the end of a write; see `Option`. */
interface WriteOptions {
  readonly ack?: AckRequest;
  readonly ifStamp?: Stamp;
  /** Null: from now on it has none. */
  readonly owner?: Value | null;
}

/** Whether a write that takes so many arguments has them, and perhaps options behind them. */
export function isWrite(count: number, taken: number): boolean {
  return count === taken || count === taken + 1;
}

/** The write with the options that follow its arguments. */
export function withOptions(
  reader: MsgpackReader,
  hasOptions: boolean,
  write: WriteRequest | BadRequest,
): WriteRequest | BadRequest {
  if (write.verb === 0 || !hasOptions) return write;
  const options = decodeOptions(reader);
  if (typeof options === "string") return bad(write.requestId, options, reader);
  const { ack, ifStamp, owner } = options;
  const isAllowed =
    (ifStamp === undefined || write.verb === Verb.patch) &&
    (owner === undefined || write.verb === Verb.patch || isStart(write));
  if (!isAllowed) return bad(write.requestId, "optionInvalid");
  const owned = owner === undefined ? write : withOwner(write, owner);
  return { ...owned, ack, ...(owned.verb === Verb.patch && { ifStamp }) };
}

function isStart({ verb }: WriteRequest): boolean {
  return verb === Verb.create || verb === Verb.set;
}

/** The owner is an attribute to the core. */
function withOwner(write: WriteRequest, owner: Value | null): WriteRequest {
  const named = owner === null ? [] : [{ name: ownerName, value: owner }];
  if (write.verb === Verb.patch) {
    const unset = owner === null ? [...write.unset, ownerName] : write.unset;
    return { ...write, set: [...write.set, ...named], unset };
  }
  if (write.verb !== Verb.create && write.verb !== Verb.set) return write;
  return { ...write, attributes: [...write.attributes, ...named] };
}

function decodeOptions(reader: MsgpackReader): WriteOptions | RefusalReason {
  const count = reader.mapHeader();
  let options: WriteOptions = {};
  let seen = 0;
  for (let index = 0; index < count && !reader.failed; index++) {
    const option = reader.number();
    if (!isWithin(option, Option.owner) || seen & (1 << option)) {
      return "optionInvalid";
    }
    seen |= 1 << option;
    const decoded = decodeOption(reader, option);
    if (typeof decoded === "string") return decoded;
    options = { ...options, ...decoded };
  }
  return options;
}

function decodeOption(reader: MsgpackReader, option: number): WriteOptions | RefusalReason {
  if (option === Option.owner) {
    if (reader.nil()) return { owner: null };
    const owner = reader.textValue();
    return isOwner(reader) ? { owner } : "ownerInvalid";
  }
  if (reader.arrayHeader() !== 2) reader.fail();
  const [first, second] = [reader.number(), reader.number()];
  if (option === Option.ifStamp) {
    const ifStamp = { time: first, tag: second };
    return isStamp(ifStamp) ? { ifStamp } : "stampInvalid";
  }
  const isValid = isWithin(first, limits.peersMax) && isWithin(second, limits.confirmMsMax);
  return isValid ? { ack: { peers: first, timeoutMs: second } } : "ackInvalid";
}
