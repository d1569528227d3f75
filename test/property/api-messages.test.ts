import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pack } from "msgpackr";
import {
  decodeInvalidations,
  decodeWatchEvents,
  encodeInvalidations,
  encodeWatchEvents,
} from "../../src/api/event-codec.ts";
import { FrameSplitter } from "../../src/api/framing.ts";
import { EventKind, type RefusalReason, refusals, Verb } from "../../src/api/messages.ts";
import { MsgpackReader } from "../../src/api/msgpack-reader.ts";
import { MsgpackWriter } from "../../src/api/msgpack-writer.ts";
import {
  decodeCountReply,
  decodeGetReply,
  decodeListReply,
  decodeReplyHead,
  decodeReportReply,
  decodeWriteReply,
  encodeCountReply,
  encodeGetReply,
  encodeListReply,
  encodeRefusal,
  encodeWriteReply,
} from "../../src/api/reply-codec.ts";
import { decodeRequest } from "../../src/api/request-decoder.ts";
import {
  encodeDestroy,
  encodeDestroyAll,
  encodeGet,
  encodeHello,
  encodeList,
  encodePatch,
  encodePlain,
  encodeRotate,
  encodeStore,
  encodeTouch,
  encodeTrack,
  encodeUnwatch,
  encodeWatch,
} from "../../src/api/request-encoder.ts";
import { commonVersion, type Versions } from "../../src/api/versions.ts";
import { limits } from "../../src/protocol/limits.ts";
import { ownerName } from "../../src/session/record.ts";

const requestIds = fc.integer({ min: 1, max: 4_294_967_295 });
const names = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
  .filter((name) => Buffer.byteLength(name) <= 255);
const times = fc.option(fc.nat({ max: limits.durationMsMax }), { nil: undefined });
const stamps = fc.record(
  { time: fc.maxSafeNat(), tag: fc.nat({ max: 4_294_967_295 }) },
  { noNullPrototype: true },
);
const writes = fc.option(
  stamps.map(({ time, tag }) => ({ time: Math.max(time, 1), tag })),
  { nil: undefined },
);
const acks = fc.option(
  fc.record(
    {
      peers: fc.integer({ min: 1, max: limits.peersMax }),
      timeoutMs: fc.integer({ min: 1, max: limits.confirmMsMax }),
    },
    { noNullPrototype: true },
  ),
  { nil: undefined },
);
const packed = fc.uniqueArray(
  fc.record({ name: names, bytes: fc.uint8Array({ maxLength: 400 }) }, { noNullPrototype: true }),
  { selector: ({ name }) => name, maxLength: 20 },
);

/** Written as one frame, cut out again, and handed to a reader. */
function readerOf(write: (writer: MsgpackWriter) => void): MsgpackReader {
  const writer = new MsgpackWriter(16);
  write(writer);
  const splitter = new FrameSplitter(2_097_152);
  splitter.feed(Buffer.from(writer.written()));
  assert.ok(splitter.next());
  const reader = new MsgpackReader();
  reader.reset(splitter.buffer, splitter.start, splitter.end);
  return reader;
}

function asValues(attributes: readonly { name: string; bytes: Uint8Array }[]) {
  return attributes.map(({ name, bytes }) => ({
    name,
    value: Buffer.from(bytes).toString("latin1"),
  }));
}

test("requests that store come out as they went in", () => {
  const verbs = fc.constantFrom(Verb.create, Verb.set);
  fc.assert(
    fc.property(requestIds, verbs, names, packed, times, times, acks, (...drawn) => {
      const [requestId, verb, id, attributes, idleMs, absoluteMs, ack] = drawn;
      const lifetime = { idleMs, absoluteMs };
      const reader = readerOf((writer) => {
        encodeStore(writer, requestId, { verb, id, attributes, lifetime, ack });
      });
      const expected = { requestId, verb, id, attributes: asValues(attributes), lifetime, ack };
      assert.deepEqual(decodeRequest(reader), expected);
    }),
  );
});

test("all other requests come out as they went in", () => {
  const both = (write: (writer: MsgpackWriter) => void, expected: unknown) => {
    assert.deepEqual(decodeRequest(readerOf(write)), expected);
  };
  fc.assert(
    fc.property(requestIds, names, packed, times, acks, writes, (...drawn) => {
      const [requestId, id, attributes, idleMs, ack, atLeast] = drawn;
      const newId = "new";
      both((writer) => encodeGet(writer, requestId, { id, atLeast }), {
        requestId,
        verb: Verb.get,
        id,
        atLeast,
      });
      both((writer) => encodeDestroy(writer, requestId, { id, ack }), {
        requestId,
        verb: Verb.destroy,
        id,
        ack,
      });
      both((writer) => encodeRotate(writer, requestId, { id, newId, ack }), {
        requestId,
        verb: Verb.rotate,
        id,
        newId,
        ack,
      });
      for (const verb of [Verb.count, Verb.stats, Verb.ping, Verb.reloadKeys]) {
        both((writer) => encodePlain(writer, requestId, verb), { requestId, verb });
      }
      both((writer) => encodeTouch(writer, requestId, { id, idleMs, ack }), {
        requestId,
        verb: Verb.touch,
        id,
        idleMs,
        ack,
      });
      const half = attributes.length >> 1;
      const set = attributes.slice(0, half);
      const unset = attributes.slice(half).map(({ name }) => name);
      both((writer) => encodePatch(writer, requestId, { id, set, unset, ack }), {
        requestId,
        verb: Verb.patch,
        id,
        set: asValues(set),
        unset,
        ack,
        ifStamp: undefined,
      });
    }),
  );
});

test("versions come out as they went in, and the highest of both is chosen", () => {
  const versions = fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.nat({ max: 4 }))
    .map(([lowest, more]) => ({ lowest, highest: lowest + more }));
  fc.assert(
    fc.property(requestIds, versions, versions, (requestId, own, offered) => {
      const reader = readerOf((writer) => encodeHello(writer, requestId, offered));
      const expected = { requestId, verb: Verb.hello, versions: offered };
      assert.deepEqual(decodeRequest(reader), expected);
      const speaks = ({ lowest, highest }: Versions, version: number) =>
        version >= lowest && version <= highest;
      const common = Array.from({ length: 13 }, (_, index) => index + 1).filter(
        (version) => speaks(own, version) && speaks(offered, version),
      );
      assert.equal(commonVersion(own, offered), common.at(-1));
      assert.equal(commonVersion(offered, own), common.at(-1));
    }),
  );
});

test("lists, options, watches and what else there is come out as they went in", () => {
  const both = (write: (writer: MsgpackWriter) => void, expected: unknown) => {
    assert.deepEqual(decodeRequest(readerOf(write)), expected);
  };
  const pageLimits = fc.integer({ min: 1, max: 1_000 });
  const owners = fc.option(names, { nil: undefined });
  fc.assert(
    fc.property(requestIds, names, owners, pageLimits, acks, writes, (...drawn) => {
      const [requestId, id, owner, limit, ack, ifStamp] = drawn;
      const value = owner === undefined ? undefined : Buffer.from(owner).toString("latin1");
      const page = { prefix: id, limit, cursor: owner ?? "" };
      both((writer) => encodeList(writer, requestId, { ...page, owner }), {
        requestId,
        verb: Verb.list,
        query: { ...page, owner: value },
      });
      const patch = { id, set: [], unset: [], owner: owner ?? null, ifStamp, ack };
      both((writer) => encodePatch(writer, requestId, patch), {
        requestId,
        verb: Verb.patch,
        id,
        set: value === undefined ? [] : [{ name: ownerName, value }],
        unset: value === undefined ? [ownerName] : [],
        ifStamp,
        ack,
      });
      const all = { owner: id, except: owner };
      both((writer) => encodeDestroyAll(writer, requestId, all), {
        requestId,
        verb: Verb.destroyAll,
        owner: Buffer.from(id).toString("latin1"),
        except: owner,
      });
      both((writer) => encodeWatch(writer, requestId, id), {
        requestId,
        verb: Verb.watch,
        prefix: id,
      });
      both((writer) => encodeUnwatch(writer, requestId, limit), {
        requestId,
        verb: Verb.unwatch,
        watch: limit,
      });
      both((writer) => encodeTrack(writer, requestId, limit), {
        requestId,
        verb: Verb.track,
        countMax: limit,
      });
    }),
  );
});

test("events come out as they went in", () => {
  const kinds = fc.constantFrom(...Object.values(EventKind));
  const events = fc.array(fc.record({ kind: kinds, id: names }, { noNullPrototype: true }));
  const invalid = fc.option(fc.array(names), { nil: undefined });
  fc.assert(
    fc.property(requestIds, events, invalid, (requestId, told, ids) => {
      const event = (write: (writer: MsgpackWriter) => void) => {
        const reader = readerOf(write);
        const head = { requestId, isEvent: true, error: undefined };
        assert.deepEqual(decodeReplyHead(reader), head);
        return reader;
      };
      const watched = event((writer) => encodeWatchEvents(writer, requestId, told));
      assert.deepEqual(decodeWatchEvents(watched), told);
      const tracked = event((writer) => encodeInvalidations(writer, requestId, ids));
      assert.deepEqual(decodeInvalidations(tracked), ids);
      assert.ok(watched.finished && tracked.finished);
    }),
  );
});

test("a session comes out of a reply as it went in, without what was removed", () => {
  const removals = fc.array(names, { maxLength: 3 });
  const owners = fc.option(names, { nil: undefined });
  fc.assert(
    fc.property(requestIds, stamps, fc.maxSafeNat(), packed, removals, owners, (...drawn) => {
      const [requestId, stamp, expiresAtMs, attributes, removed, owner] = drawn;
      const shown = asValues(attributes).map((attribute) => ({ ...attribute, stamp }));
      if (owner !== undefined) {
        const value = Buffer.from(owner).toString("latin1");
        shown.push({ name: ownerName, value, stamp });
      }
      const hidden = removed.map((name) => ({ name, stamp, value: undefined }));
      const view = { attributes: [...hidden, ...shown], stamp, expiresAtMs };
      const reader = readerOf((writer) => encodeGetReply(writer, requestId, view));
      assert.deepEqual(decodeReplyHead(reader), { requestId, isEvent: false, error: undefined });
      const found: { name: string; bytes: Uint8Array }[] = [];
      const session = decodeGetReply(reader, (name, buffer, start, end) => {
        found.push({ name, bytes: new Uint8Array(buffer.subarray(start, end)) });
      });
      assert.deepEqual(session, { stamp, expiresAtMs, owner });
      assert.deepEqual(
        found,
        attributes.map(({ name, bytes }) => ({ name, bytes: Uint8Array.from(bytes) })),
      );
      assert.ok(reader.finished);
    }),
  );
});

test("all other replies come out as they went in", () => {
  const sessions = fc.array(
    fc.record({ id: names, expiresAtMs: fc.maxSafeNat() }, { noNullPrototype: true }),
  );
  const reasons = fc.constantFrom(...(Object.keys(refusals) as RefusalReason[]));
  fc.assert(
    fc.property(requestIds, stamps, fc.boolean(), sessions, reasons, acks, (...drawn) => {
      const [requestId, stamp, applied, listed, reason, ack] = drawn;
      const done = (write: (writer: MsgpackWriter) => void) => {
        const reader = readerOf(write);
        assert.deepEqual(decodeReplyHead(reader), { requestId, isEvent: false, error: undefined });
        return reader;
      };
      const outcome = { applied, stamp: applied ? stamp : undefined, refusal: undefined };
      const confirmations = ack?.peers;
      const written = done((writer) => {
        encodeWriteReply(writer, requestId, outcome, confirmations);
      });
      const expected = { applied, stamp: applied ? stamp : { time: 0, tag: 0 }, confirmations };
      assert.deepEqual(decodeWriteReply(written), expected);
      const page = { sessions: listed, cursor: listed.at(-1)?.id ?? "" };
      const list = done((writer) => encodeListReply(writer, requestId, page));
      assert.deepEqual(decodeListReply(list), page);
      const count = done((writer) => encodeCountReply(writer, requestId, stamp.time));
      assert.equal(decodeCountReply(count), stamp.time);
      for (const reader of [written, list, count]) assert.ok(reader.finished);

      const detail = listed[0]?.id;
      const refused = readerOf((writer) => encodeRefusal(writer, requestId, reason, detail));
      const [code, sentence] = refusals[reason];
      const message = detail ?? sentence;
      assert.deepEqual(decodeReplyHead(refused), {
        requestId,
        isEvent: false,
        error: { code, message },
      });
    }),
  );
});

/** Bytes that are nearly a message are likelier to get far into a decoder than random ones. */
const nearlyMessages = fc
  .tuple(
    fc.array(fc.oneof(fc.nat(), fc.string(), fc.uint8Array(), fc.anything(), names), {
      maxLength: 7,
    }),
    fc.nat({ max: 60 }),
    fc.nat({ max: 255 }),
    fc.nat({ max: 60 }),
  )
  .map(([message, at, byte, cut]) => {
    let bytes: Buffer;
    try {
      bytes = Buffer.from(pack(message));
    } catch {
      bytes = Buffer.from([0x93, 1, 2]);
    }
    if (at < bytes.length) bytes[at] = byte;
    return cut < 30 ? bytes.subarray(0, bytes.length - cut) : bytes;
  });
const foreignBytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), nearlyMessages);

test("no bytes make a decoder throw, and none that are left over pass", () => {
  const decoders: ((reader: MsgpackReader) => unknown)[] = [
    decodeRequest,
    decodeReplyHead,
    (reader) => decodeGetReply(reader, () => {}),
    decodeWriteReply,
    decodeListReply,
    decodeCountReply,
    decodeReportReply,
  ];
  fc.assert(
    fc.property(foreignBytes, (bytes) => {
      const buffer = Buffer.from(bytes);
      for (const decode of decoders) {
        const reader = new MsgpackReader();
        reader.reset(buffer, 0, buffer.length);
        decode(reader);
        if (reader.finished) continue;
        // Stopped early or failed: asked again, a reader still has an answer to everything.
        for (const again of decoders) again(reader);
      }
    }),
    { numRuns: 5_000 },
  );
});

test("frames survive any cutting of the stream", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 50 })), (bodies, sizes) => {
      const stream = Buffer.concat(
        bodies.flatMap((body) => {
          const header = Buffer.alloc(4);
          header.writeUInt32BE(body.length);
          return [header, body];
        }),
      );
      const splitter = new FrameSplitter(300);
      const found: string[] = [];
      let at = 0;
      for (let turn = 0; at < stream.length; turn++) {
        const size = sizes[turn] ?? stream.length;
        splitter.feed(stream.subarray(at, at + size));
        at += size;
        // Every third turn the caller does not pull, and the chunks pile up.
        if (turn % 3 === 2 && at < stream.length) continue;
        while (splitter.next()) {
          found.push(splitter.buffer.toString("hex", splitter.start, splitter.end));
        }
      }
      assert.deepEqual(
        found,
        bodies.map((body) => Buffer.from(body).toString("hex")),
      );
    }),
  );
});

test("a time beyond ten years is refused: a deadline made of it would not be exact", () => {
  const tooLong = fc.integer({ min: limits.durationMsMax + 1, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(requestIds, names, tooLong, (requestId, id, idleMs) => {
      const writer = new MsgpackWriter();
      encodeTouch(writer, requestId, { id, idleMs, ack: undefined });
      const reader = new MsgpackReader();
      const bytes = writer.written();
      reader.reset(bytes, 4, bytes.length);
      assert.deepEqual(decodeRequest(reader), { requestId, verb: 0, reason: "numberInvalid" });
    }),
  );
});
