import assert from "node:assert/strict";
import { FrameSplitter } from "../../src/api/framing.ts";
import { Verb } from "../../src/api/messages.ts";
import { MsgpackReader } from "../../src/api/msgpack-reader.ts";
import { MsgpackWriter } from "../../src/api/msgpack-writer.ts";
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
import type { BadRequest, Request } from "../../src/api/requests.ts";
import { Prng } from "../../src/base/prng.ts";
import type { NamedValue } from "../../src/core/commands.ts";
import { limits } from "../../src/protocol/limits.ts";
import { ownerName } from "../../src/session/record.ts";
import { type FuzzTarget, sized } from "./target.ts";

type Write = (writer: MsgpackWriter) => void;

/** One frame after the other, each with its length. */
export function written(...writes: readonly Write[]): Buffer {
  const writer = new MsgpackWriter(64);
  for (const write of writes) write(writer);
  return Buffer.from(writer.written());
}

/** Bodies of the frames that are whole; undefined in place of one that is too large. */
export function plainFrames(stream: Uint8Array, bodyBytesMax: number): (Buffer | undefined)[] {
  const octets = Buffer.from(stream);
  const bodies: (Buffer | undefined)[] = [];
  for (let at = 0; at + 4 <= octets.length; ) {
    const length = octets.readUInt32BE(at);
    if (length > bodyBytesMax) return [...bodies, undefined];
    if (at + 4 + length > octets.length) break;
    bodies.push(octets.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return bodies;
}

/** Cut at places that the first octet decides. */
export function* piecesOf(input: Buffer): Generator<Buffer> {
  const [cut = 0] = input;
  const prng = new Prng(cut);
  for (let at = 1; at < input.length; ) {
    const end = cut === 0 ? input.length : at + 1 + prng.below(cut);
    yield input.subarray(at, end);
    at = end;
  }
}

export function frameOf(body: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

const splitterBytesMax = 512;

const splitter: FuzzTarget = {
  name: "splitter",
  about: "frames of the local socket, cut anywhere: the same bodies, whatever the cuts",
  bytesMax: 2_048,
  executions: 5_000,
  corpus: () =>
    [0, 1, 3, 200].map((cut) =>
      Buffer.concat([
        Buffer.from([cut]),
        ...[0, 1, 40, 512].map((size) => frameOf(Buffer.alloc(size, 7))),
      ]),
    ),
  run(input) {
    const frames = new FrameSplitter(splitterBytesMax);
    const bodies: (Buffer | undefined)[] = [];
    for (const piece of piecesOf(input)) {
      frames.feed(piece);
      while (frames.next())
        bodies.push(Buffer.from(frames.buffer.subarray(frames.start, frames.end)));
    }
    if (frames.oversize) bodies.push(undefined);
    assert.deepEqual(bodies, plainFrames(input.subarray(1), splitterBytesMax));
    return [sized("frames", bodies.length), `oversize ${frames.oversize}`];
  },
};

const attributes = [
  { name: "cart", bytes: Buffer.from("930102a161", "hex") },
  { name: "__proto__", bytes: Buffer.alloc(40, 1) },
];
const lifetime = { idleMs: 60_000, absoluteMs: undefined };
const ack = { peers: 1, timeoutMs: 100 };
const stamp = { time: 911_812_147_200_000, tag: 305_441_741 };

/** One of each, all about a few sessions. */
export const requests: readonly Write[] = [
  (writer) => encodeHello(writer, 1, { lowest: 1, highest: 3 }),
  (writer) => encodeTrack(writer, 2, 10),
  (writer) => encodeWatch(writer, 3, "s"),
  (writer) =>
    encodeStore(writer, 4, { verb: Verb.create, id: "s-1", attributes, lifetime, owner: "ada" }),
  (writer) =>
    encodeStore(writer, 5, { verb: Verb.set, id: "__proto__", attributes, lifetime, ack }),
  (writer) => encodeGet(writer, 6, { id: "s-1", atLeast: undefined }),
  (writer) => encodeGet(writer, 7, { id: "s-1", atLeast: stamp }),
  (writer) => encodePatch(writer, 8, { id: "s-1", set: attributes, unset: ["a"], ifStamp: stamp }),
  (writer) => encodePatch(writer, 9, { id: "s-1", set: [], unset: ["cart"], owner: null, ack }),
  (writer) => encodeTouch(writer, 10, { id: "s-1", idleMs: 5_000 }),
  (writer) => encodeRotate(writer, 11, { id: "s-1", newId: "s-2", ack }),
  (writer) => encodeList(writer, 12, { prefix: "s", owner: "ada", limit: 9, cursor: "s-1" }),
  (writer) => encodePlain(writer, 13, Verb.count),
  (writer) => encodePlain(writer, 14, Verb.stats),
  (writer) => encodePlain(writer, 15, Verb.ping),
  (writer) => encodeDestroyAll(writer, 16, { owner: "ada", except: "s-9" }),
  (writer) => encodeDestroy(writer, 17, { id: "s-2" }),
  (writer) => encodeUnwatch(writer, 18, 3),
  (writer) => encodePlain(writer, 19, Verb.reloadKeys),
];

function asPacked(values: readonly NamedValue[]) {
  return values
    .filter(({ name }) => name !== ownerName)
    .map(({ name, value }) => ({ name, bytes: Buffer.from(value, "latin1") }));
}

function ownerOf(values: readonly NamedValue[]): string | undefined {
  const owner = values.find(({ name }) => name === ownerName)?.value;
  return owner === undefined ? undefined : Buffer.from(owner, "latin1").toString();
}

/** The request as our own client would write it. */
function rewrite(request: Request): Write {
  const { requestId } = request;
  switch (request.verb) {
    case Verb.hello:
      return (writer) => encodeHello(writer, requestId, request.versions);
    case Verb.get:
      return (writer) => encodeGet(writer, requestId, request);
    case Verb.create:
    case Verb.set: {
      const owner = ownerOf(request.attributes);
      const packed = { ...request, attributes: asPacked(request.attributes), owner };
      return (writer) => encodeStore(writer, requestId, packed);
    }
    case Verb.patch: {
      const owner = request.unset.includes(ownerName) ? null : ownerOf(request.set);
      const unset = request.unset.filter((name) => name !== ownerName);
      const packed = { ...request, set: asPacked(request.set), unset, owner };
      return (writer) => encodePatch(writer, requestId, packed);
    }
    case Verb.touch:
      return (writer) => encodeTouch(writer, requestId, request);
    case Verb.destroy:
      return (writer) => encodeDestroy(writer, requestId, request);
    case Verb.rotate:
      return (writer) => encodeRotate(writer, requestId, request);
    case Verb.list: {
      const { query } = request;
      const owner = query.owner && Buffer.from(query.owner, "latin1").toString();
      return (writer) => encodeList(writer, requestId, { ...query, owner });
    }
    case Verb.destroyAll: {
      const owner = Buffer.from(request.owner, "latin1").toString();
      return (writer) => encodeDestroyAll(writer, requestId, { ...request, owner });
    }
    case Verb.watch:
      return (writer) => encodeWatch(writer, requestId, request.prefix);
    case Verb.unwatch:
      return (writer) => encodeUnwatch(writer, requestId, request.watch);
    case Verb.track:
      return (writer) => encodeTrack(writer, requestId, request.countMax);
    default:
      return (writer) => encodePlain(writer, requestId, request.verb);
  }
}

function decoded(body: Buffer): Request | BadRequest {
  const reader = new MsgpackReader();
  reader.reset(body, 0, body.length);
  return decodeRequest(reader);
}

/** Of all that a request may ask for. */
function checkLimits(read: Request): void {
  const ids = [
    ...("id" in read ? [read.id] : []),
    ...("newId" in read ? [read.newId] : []),
    ...("unset" in read ? read.unset.filter((name) => name !== ownerName) : []),
  ];
  for (const id of ids) assert(id !== "" && Buffer.byteLength(id) <= limits.sessionIdBytesMax);
  if ("unset" in read) assert(read.unset.length <= limits.attributesPerSessionMax + 1);
  const values = "attributes" in read ? read.attributes : "set" in read ? read.set : [];
  assert(values.length <= limits.attributesPerSessionMax + 1);
  const times = "lifetime" in read ? Object.values(read.lifetime) : [];
  if ("idleMs" in read) times.push(read.idleMs);
  for (const time of times)
    assert(time === undefined || (time >= 0 && time <= limits.durationMsMax));
  if ("query" in read) assert(read.query.limit >= 1 && read.query.limit <= limits.listPageMax);
  if ("ack" in read && read.ack !== undefined) {
    assert(read.ack.peers <= limits.peersMax && read.ack.timeoutMs <= limits.confirmMsMax);
  }
}

const request: FuzzTarget = {
  name: "request",
  about: "requests of apps: read within their limits and written again alike, or refused",
  bytesMax: 2_048,
  executions: 10_000,
  corpus: () => requests.map((write) => written(write).subarray(4)),
  run(input) {
    const read = decoded(input);
    if (read.verb === 0) return [`${read.reason} ${read.requestId > 0}`];
    checkLimits(read);
    assert.deepEqual(decoded(written(rewrite(read)).subarray(4)), read);
    return [sized(`verb ${read.verb}`, JSON.stringify(read).length), ...Object.keys(read)];
  },
};

export const serverTargets: readonly FuzzTarget[] = [splitter, request];
