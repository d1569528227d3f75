/** Requests that come in one piece are decoded together, and still served one after the other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { statsVerbs, Verb } from "../../src/api/messages.ts";
import { startServer } from "../../src/api/server.ts";
import { limits } from "../../src/protocol/limits.ts";
import { serveFake, socketPathFor } from "../support/local-server.ts";
import { LoneReplica } from "../support/lone-replica.ts";
import { frameOf, helloFrame, RawClient } from "../support/raw-client.ts";
import { ReplicaService } from "../support/replica-service.ts";
import { until } from "../support/until.ts";

const get = (requestId: number, id: string) => frameOf([requestId, Verb.get, id]);
const creation = (id: string) => [Verb.create, id, {}, null, null];
const create = (requestId: number, id: string) => frameOf([requestId, ...creation(id)]);
const destroy = (requestId: number, id: string) => frameOf([requestId, Verb.destroy, id]);
const malformed = frameOf("no request");

async function replies(client: RawClient, count: number): Promise<unknown[][]> {
  const all: unknown[][] = [];
  while (all.length < count) all.push((await client.reply()) as unknown[]);
  return all;
}

test("their sessions are sought together, and that of a lone request is not", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  client.send(
    get(2, "a"),
    frameOf([3, Verb.ping]),
    frameOf([4, Verb.touch, "b", null]),
    get(5, "c"),
  );
  await replies(client, 4);
  await client.ask([6, Verb.get, "alone"]);
  assert.deepEqual(service.prefetched, [["a", "b", "c"]]);
});

test("nothing is sought for who is not going to be served", async (t) => {
  const { path, service } = await serveFake(t, { verbs: statsVerbs });
  const client = await RawClient.greet(t, path);
  client.send(get(2, "a"), get(3, "b"));
  await replies(client, 2);
  const apps = await serveFake(t);
  const stranger = await RawClient.connect(t, apps.path);
  stranger.send(get(2, "a"), get(3, "b"));
  await stranger.closed;
  assert.deepEqual([service.prefetched, apps.service.prefetched], [[], []]);
});

test("no more are sought than have their turn", async (t) => {
  const { path, service } = await serveFake(t, { requestsPerTurnMax: 3 });
  const client = await RawClient.greet(t, path);
  client.send(...Array.from({ length: 7 }, (_, index) => get(index + 2, `s-${index}`)));
  await replies(client, 7);
  assert.deepEqual(
    service.prefetched.map((some) => some.length),
    [3, 3],
  );
});

test("each sees what those before it have done", async (t) => {
  const lone = new LoneReplica();
  lone.settle();
  const path = socketPathFor(t);
  const server = await startServer({ path, service: new ReplicaService(lone).service });
  t.after(() => server.close());
  const client = await RawClient.greet(t, path);
  client.send(get(2, "a"), create(3, "a"), get(4, "a"), destroy(5, "a"), get(6, "a"));
  const isThere = (reply: unknown[] | undefined) => reply?.[2] !== null;
  const [before, , between, , after] = await replies(client, 5);
  assert.deepEqual([before, between, after].map(isThere), [false, true, false]);
});

test("what is behind bytes that are no request is not done", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  await client.ask([2, ...creation("a")]);
  client.send(get(3, "a"), malformed, destroy(4, "a"));
  const [served, refused] = await replies(client, 2);
  assert.equal(served?.[0], 3);
  assert.deepEqual(refused?.slice(0, 3), [0, 1, "SESSIONCAST_PROTOCOL"]);
  await client.closed;
  assert.notEqual(service.get("a"), undefined);
});

test("a frame above the limit is refused once what came before it has been read", async (t) => {
  const { path, server } = await serveFake(t, { backlogBytesMax: 100_000 });
  const client = await RawClient.greet(t, path);
  await client.ask([2, Verb.create, "large", { a: Buffer.alloc(500_000) }, null, null]);
  const oversize = Buffer.alloc(4);
  oversize.writeUInt32BE(limits.localFrameBytesMax + 1);
  client.socket.pause();
  client.send(get(3, "large"), oversize);
  await until(() => server.counters.clientsPaused === 1);
  assert.equal(server.counters.refusals.oversizeFrame, 0);
  client.socket.resume();
  const [served, refused] = await replies(client, 2);
  assert.deepEqual([served?.[0], refused?.[0]], [3, 0]);
  assert.equal(server.counters.refusals.oversizeFrame, 1);
});

test("a greeting may come with them", async (t) => {
  const { path } = await serveFake(t);
  const client = await RawClient.connect(t, path);
  client.send(helloFrame, create(2, "a"), get(3, "a"));
  const all = await replies(client, 3);
  assert.deepEqual(
    all.map(([requestId, status]) => [requestId, status]),
    [
      [1, 0],
      [2, 0],
      [3, 0],
    ],
  );
});
