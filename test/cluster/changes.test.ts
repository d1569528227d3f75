/** What clients of one node are told of the writes of another. */
import { strict as assert } from "node:assert";
import { type TestContext, test } from "node:test";
import { connect, type SessionEvent } from "../../src/client/connect.ts";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

async function pair(t: TestContext) {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const [one, two] = [cluster.add("one"), cluster.add("two")];
  await Promise.all([one.start(), two.start()]);
  return { cluster, one, two, writer: await one.client(), reader: await two.client() };
}

test("a watch tells of what clients of another node do, and of what expires", async (t) => {
  const { writer, reader } = await pair(t);
  const events: SessionEvent[] = [];
  const watch = await reader.watch({ prefix: "shop:" }, (event) => events.push(event));
  const told = (type: SessionEvent["type"], id: string) =>
    eventually(async () => {
      await reader.ping();
      return events.some((event) => event.type === type && event.id === id);
    }, `${type} ${id} is told`);
  await writer.create("shop:1", { a: 1 });
  await writer.create("other:1", { a: 1 });
  await told("created", "shop:1");
  await writer.patch("shop:1", { set: { a: 2 } });
  await told("changed", "shop:1");
  await writer.rotate("shop:1", "shop:2");
  await told("destroyed", "shop:1");
  await told("created", "shop:2");
  await writer.create("shop:3", {}, { idleMs: 1 });
  await told("expired", "shop:3");
  assert(events.every(({ id }) => id.startsWith("shop:")));
  await watch.close();
});

test("a copy of a session ends by the write of another node", async (t) => {
  const { writer, two } = await pair(t);
  const nearCache = { maxCount: 100, maxBytes: 100_000 };
  const near = await connect({ socket: two.socket, timeoutMs: 60_000, nearCache });
  t.after(() => near.close());
  const { stamp } = await writer.create("s", { count: 0 });
  await near.get("s", { atLeast: stamp });
  for (let count = 1; count <= 20; count++) {
    await near.get("s");
    const write = await writer.patch("s", { set: { count } });
    // Without a word of the sidecar it would be the old one for ever.
    await eventually(async () => {
      return (await near.get<{ count: number }>("s"))?.attributes.count === count;
    }, `write ${count} is seen`);
    const seen = await near.get<{ count: number }>("s", { atLeast: write.stamp });
    assert.equal(seen?.attributes.count, count);
  }
  assert((near.nearCacheStats?.hits ?? 0) > 0);
});

test("an owner is logged out everywhere, from whatever node", async (t) => {
  const { cluster, writer, reader } = await pair(t);
  for (const id of ["s-1", "s-2", "s-3"]) await writer.create(id, {}, { owner: "ada" });
  await writer.create("other", {}, { owner: "bob" });
  await cluster.converged(4);
  const { sessions } = await reader.list({ owner: "ada" });
  assert.deepEqual(
    sessions.map(({ id }) => id),
    ["s-1", "s-2", "s-3"],
  );
  assert.equal((await reader.get("s-1"))?.owner, "ada");
  const { count, complete } = await reader.destroyAll({ owner: "ada", except: "s-2" });
  assert.deepEqual([count, complete], [2, true]);
  await cluster.converged(2);
  const left = (await writer.list()).sessions.map(({ id }) => id);
  assert.deepEqual(left, ["other", "s-2"]);
});

test("of writes to one stamp one comes through, and the others learn that", async (t) => {
  const { writer } = await pair(t);
  const { stamp } = await writer.create("s", { seats: 1 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, seats) => writer.patch("s", { set: { seats }, ifStamp: stamp })),
  );
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assert(refused.every(({ reason }) => reason.code === "SESSIONCAST_CONFLICT"));
});
