import assert from "node:assert/strict";
import {
  decodeInvalidations,
  decodeWatchEvents,
  encodeInvalidations,
  encodeWatchEvents,
} from "../../src/api/event-codec.ts";
import { MsgpackReader } from "../../src/api/msgpack-reader.ts";
import type { MsgpackWriter } from "../../src/api/msgpack-writer.ts";
import {
  decodeCountReply,
  decodeDestroyAllReply,
  decodeListReply,
  decodeNilReply,
  decodeReplyHead,
  decodeReportReply,
  decodeUnwatchReply,
  decodeWriteReply,
  encodeCountReply,
  encodeDestroyAllReply,
  encodeGetReply,
  encodeListReply,
  encodeNilReply,
  encodeRefusal,
  encodeReportReply,
  encodeUnwatchReply,
  encodeWriteReply,
} from "../../src/api/reply-codec.ts";
import { readHello } from "../../src/api/socket-probe.ts";
import { SessioncastError } from "../../src/client/errors.ts";
import { NearCache } from "../../src/client/near-cache.ts";
import { decodeSession } from "../../src/client/session.ts";
import { packAttributes, unpackReport, unpackValue } from "../../src/client/values.ts";
import type { ListPage, SessionView } from "../../src/core/commands.ts";
import { written } from "./server-targets.ts";
import { type Features, type FuzzTarget, sized } from "./target.ts";

const stamp = { time: 911_812_147_200_000, tag: 305_441_741 };

/** Of all kinds that may be stored, and names that must mean nothing. */
const samples: readonly unknown[] = [
  { user: "ada", cart: [{ sku: "a-1", n: 2, price: 9.99 }], at: new Date(1_700_000_000_123) },
  [null, true, -1, 2 ** 40, 0.1, undefined, "é€😀", "x".repeat(200), -(2 ** 40)],
  [10n, 2n ** 64n, new Set([1, new Set(["a"])]), new Uint16Array([1, 2]), new Date(Number.NaN)],
  [Buffer.alloc(300, 1), new ArrayBuffer(3), new Date(-5), new Date(0)],
  JSON.parse('{"constructor":1,"toString":{"__proto__":{"x":1}},"hasOwnProperty":[],"length":9}'),
  Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`key ${index}`, index])),
  Array.from({ length: 20 }, (_, index) => [[[index]]]),
];

function packed(value: unknown): Buffer {
  return Buffer.from(packAttributes({ value }).attributes[0]?.bytes ?? []);
}

/** Whatever was read, the objects that all share are as they were. */
const sharedNames = [Object.prototype, Array.prototype].map((shared) =>
  Object.getOwnPropertyNames(shared).join(),
);

function checkShared(): void {
  const names = [Object.prototype, Array.prototype].map((shared) =>
    Object.getOwnPropertyNames(shared).join(),
  );
  assert.deepEqual(names, sharedNames, "no prototype has changed");
}

/** What is made of an input is in proportion to it; told by kinds. */
function kindsOf(value: unknown, features: Set<string>, budget: { left: number }): void {
  budget.left -= 1;
  assert(budget.left >= 0, "no more is made than there are octets");
  const isObject = typeof value === "object" && value !== null;
  const prototype: unknown = isObject ? Object.getPrototypeOf(value) : undefined;
  features.add(isObject ? String(Object(prototype).constructor?.name) : typeof value);
  if (Array.isArray(value) || value instanceof Set) {
    features.add(sized("items", Array.isArray(value) ? value.length : value.size));
    for (const item of value) kindsOf(item, features, budget);
  } else if (prototype === Object.prototype) {
    for (const item of Object.values(Object(value))) kindsOf(item, features, budget);
  }
}

const values: FuzzTarget = {
  name: "value",
  about: "stored values: plain data that can be stored again, or SESSIONCAST_INVALID",
  bytesMax: 2_048,
  executions: 10_000,
  corpus: () => samples.map(packed),
  run(input) {
    // As in what a socket received: between the octets of others.
    const around = Buffer.concat([Buffer.from([0x92]), input, Buffer.from("a3616263", "hex")]);
    let value: unknown;
    try {
      value = unpackValue(around, 1, 1 + input.length);
    } catch (error) {
      if (error instanceof SessioncastError && error.code === "SESSIONCAST_INVALID") {
        return ["refused"];
      }
      throw error;
    } finally {
      checkShared();
    }
    // Some other program stored it; whoever stores that session again does without the attribute.
    if (value === undefined) return ["absent"];
    const features = new Set<string>();
    kindsOf(value, features, { left: input.length });
    const again = packed(value);
    const twice = packed(unpackValue(again, 0, again.length));
    assert.equal(twice.toString("hex"), again.toString("hex"));
    return [...features];
  },
};

const report: FuzzTarget = {
  name: "report",
  about: "what a sidecar tells of itself, to clients and to one that finds its socket taken",
  bytesMax: 1_024,
  executions: 10_000,
  corpus: () => [
    ...[
      { a: 1, b: [null, "x", 0.5], c: { d: true } },
      { protocol: 2, node: "n", pid: 7 },
    ].map((map) => written((writer) => encodeReportReply(writer, 1, map)).subarray(9)),
    packed(samples[4]),
  ],
  run(input) {
    const map = unpackReport(input);
    checkShared();
    const frame = written((writer) => {
      const body = writer.beginFrame();
      writer.arrayHeader(3);
      writer.number(1);
      writer.number(0);
      writer.bytes(input);
      writer.endFrame(body);
    }).subarray(4);
    const fields = readHello(frame);
    assert(fields.size <= input.length);
    if (map === undefined) return ["refused", sized("fields", fields.size)];
    assert.equal(typeof map, "object");
    const features = new Set<string>([sized("fields", fields.size)]);
    kindsOf(map, features, { left: input.length });
    return [...features];
  },
};

const view: SessionView = {
  stamp,
  expiresAtMs: 1_800_000_000_000,
  attributes: [
    ...samples.slice(0, 5).map((value, index) => ({
      name: ["cart", "__proto__", "constructor", "toString", "é"][index] ?? "",
      stamp,
      value: packed(value).toString("latin1"),
    })),
    { name: "", stamp, value: "ada" },
  ],
};
const page: ListPage = { sessions: [{ id: "__proto__", expiresAtMs: 0 }], cursor: "s" };
const wrote = { applied: true, stamp, refusal: undefined };

/** By the first octet of an input: what was asked, and so how the reply is read. */
const kinds: readonly ((reader: MsgpackReader) => unknown)[] = [
  (reader) => decodeSession("s", reader),
  (reader) => new NearCache({ maxCount: 2, maxBytes: 9_999 }).keep("s", reader, false),
  decodeWriteReply,
  decodeListReply,
  decodeCountReply,
  decodeDestroyAllReply,
  decodeUnwatchReply,
  decodeNilReply,
  (reader) => decodeReportReply(reader).length,
  decodeWatchEvents,
  decodeInvalidations,
];

const replies: readonly (readonly [kind: number, write: (writer: MsgpackWriter) => void])[] = [
  [0, (writer) => encodeGetReply(writer, 7, view)],
  [0, (writer) => encodeGetReply(writer, 7, undefined)],
  [1, (writer) => encodeGetReply(writer, 7, view)],
  [2, (writer) => encodeWriteReply(writer, 7, wrote, 2)],
  [2, (writer) => encodeWriteReply(writer, 7, wrote)],
  [3, (writer) => encodeListReply(writer, 7, page)],
  [4, (writer) => encodeCountReply(writer, 7, 70_000)],
  [5, (writer) => encodeDestroyAllReply(writer, 7, { count: 1, stamp, complete: true })],
  [6, (writer) => encodeUnwatchReply(writer, 7, true)],
  [7, (writer) => encodeNilReply(writer, 7)],
  [8, (writer) => encodeReportReply(writer, 7, { a: 1 })],
  [9, (writer) => encodeWatchEvents(writer, 7, [{ kind: 1, id: "s-1" }])],
  [10, (writer) => encodeInvalidations(writer, 7, ["s-1", "__proto__"])],
  [10, (writer) => encodeInvalidations(writer, 7, undefined)],
  [2, (writer) => encodeRefusal(writer, 7, "sessionExists")],
];

/** The frames of all replies that a sidecar may give, as they go over the socket. */
export function replyFrames(): Buffer[] {
  return replies.map(([, write]) => written(write));
}

function readReply(input: Buffer): Features {
  const [kind = 0] = input;
  const decode = kinds[kind % kinds.length];
  const reader = new MsgpackReader();
  reader.reset(input, 1, input.length);
  const head = decodeReplyHead(reader);
  if (head === undefined) return ["no reply"];
  if (head.error !== undefined) return [sized("refused", head.error.code.length)];
  const name = `kind ${kind % kinds.length}`;
  try {
    const result = decode?.(reader);
    if (!reader.finished) return [`${name} malformed`];
    const features = new Set<string>();
    kindsOf(result, features, { left: 10 * input.length + 20 });
    return [...features].map((feature) => `${name} ${feature}`);
  } catch (error) {
    if (!(error instanceof SessioncastError)) throw error;
    return [`${name} ${error.code}`];
  } finally {
    checkShared();
  }
}

const reply: FuzzTarget = {
  name: "reply",
  about: "replies and events as the client library reads them: results, or coded errors",
  bytesMax: 2_048,
  executions: 10_000,
  corpus: () =>
    replies.map(([kind, write]) =>
      Buffer.concat([Buffer.from([kind]), written(write).subarray(4)]),
    ),
  run: readReply,
};

export const clientTargets: readonly FuzzTarget[] = [values, report, reply];
