import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestStream } from "../../src/api/request-stream.ts";
import type { BadRequest, Request } from "../../src/api/requests.ts";
import { limits } from "../../src/protocol/limits.ts";
import { frameOf } from "../support/raw-client.ts";

const { localRequestsAheadMax: aheadMax } = limits;
const get = (requestId: number) => frameOf([requestId, 2, `s-${requestId}`]);
const gets = (count: number) => Array.from({ length: count }, (_, index) => get(index + 1));
const idsOf = (requests: readonly (Request | BadRequest)[]) =>
  requests.map(({ requestId }) => requestId);

/** A stream, and what it has told of requests to come, batch by batch. */
function recorded(): { stream: RequestStream; told: number[][] } {
  const told: number[][] = [];
  return { stream: new RequestStream((requests) => told.push(idsOf(requests))), told };
}

function take(stream: RequestStream, countMax = Number.POSITIVE_INFINITY): number[] {
  const taken: (Request | BadRequest)[] = [];
  while (taken.length < countMax) {
    const request = stream.next(countMax - taken.length);
    if (request === undefined) break;
    taken.push(request);
  }
  return idsOf(taken);
}

test("requests come in their order, several told of before, wherever the stream is cut", () => {
  const all = Buffer.concat(gets(5));
  for (let cut = 0; cut <= all.length; cut++) {
    const { stream, told } = recorded();
    stream.feed(all.subarray(0, cut));
    const early = take(stream);
    stream.feed(all.subarray(cut));
    const late = take(stream);
    assert.deepEqual([...early, ...late], [1, 2, 3, 4, 5], `cut at ${cut}`);
    const severals = [early, late].filter((some) => some.length > 1);
    assert.deepEqual(told, severals, `cut at ${cut}`);
  }
});

test("so many are told of at once as are decoded ahead, and no sooner than need be", () => {
  const { stream, told } = recorded();
  stream.feed(Buffer.concat(gets(aheadMax + 2)));
  assert.equal(told.length, 0);
  assert.equal(stream.next(aheadMax + 2)?.requestId, 1);
  assert.deepEqual(
    told.map((some) => some.length),
    [aheadMax],
  );
  take(stream, aheadMax - 1);
  assert.equal(told.length, 1);
  assert.deepEqual(take(stream), [aheadMax + 1, aheadMax + 2]);
  assert.deepEqual(told[1], [aheadMax + 1, aheadMax + 2]);
});

test("no more are decoded than the caller takes", () => {
  const { stream, told } = recorded();
  stream.feed(Buffer.concat(gets(5)));
  assert.deepEqual(take(stream, 2), [1, 2]);
  assert.deepEqual(told, [[1, 2]]);
  assert.equal(stream.unread, 3 * get(1).length);
});

test("who stops among those decoded ahead goes on from there, though more has come", () => {
  const { stream } = recorded();
  stream.feed(Buffer.concat([get(1), get(2), get(3)]));
  assert.equal(stream.next(3)?.requestId, 1);
  stream.feed(get(4));
  assert.equal(stream.unread, get(4).length);
  assert.deepEqual(take(stream), [2, 3, 4]);
  assert.equal(stream.unread, 0);
});

test("a frame above the limit ends the stream once all before it were taken", () => {
  const { stream } = recorded();
  const header = Buffer.alloc(4);
  header.writeUInt32BE(limits.localFrameBytesMax + 1);
  stream.feed(Buffer.concat([get(1), get(2), header, get(3)]));
  assert.equal(stream.next(3)?.requestId, 1);
  assert.equal(stream.oversize, false);
  assert.equal(stream.next(2)?.requestId, 2);
  assert.equal(stream.oversize, true);
  assert.deepEqual(take(stream), []);
});

test("bytes that are no request come in their place", () => {
  const { stream } = recorded();
  stream.feed(Buffer.concat([get(1), frameOf("no request"), get(2)]));
  assert.deepEqual(take(stream), [1, 0, 2]);
});
