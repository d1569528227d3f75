import { strict as assert } from "node:assert";
import { test } from "node:test";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

test("a write that a peer has confirmed outlives the node that took it", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const survivor = await cluster
    .add("survivor", { SESSIONCAST_GOSSIP_FAULT_DROP_RATE: "0.2" })
    .start();
  const reader = await survivor.client();
  for (let run = 0; run < 10; run++) {
    const writer = await cluster.add(`writer-${run}`).start();
    const client = await writer.client();
    const attributes = { run, text: "x".repeat(run * 500) };
    const { confirmations } = await client.create(`s${run}`, attributes, {
      ack: 1,
      ackTimeoutMs: 10_000,
    });
    assert.equal(confirmations, 1);
    await writer.kill("SIGKILL");
    assert.deepEqual((await reader.get(`s${run}`))?.attributes, attributes);
  }
});

test("every kind of write that asks to waits until a peer has it", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const [one, two] = [cluster.add("one"), cluster.add("two")];
  const [writer, reader] = [await (await one.start()).client(), await (await two.start()).client()];
  const ack = { ack: 1, ackTimeoutMs: 10_000 };
  const shown = async (id: string) => (await reader.get(id))?.attributes;
  assert.equal((await writer.create("s", { a: 1 }, ack)).confirmations, 1);
  assert.deepEqual(await shown("s"), { a: 1 });
  assert.equal((await writer.patch("s", { set: { b: 2 }, ...ack })).confirmations, 1);
  assert.deepEqual(await shown("s"), { a: 1, b: 2 });
  assert.equal((await writer.set("s", { c: 3 }, ack)).confirmations, 1);
  assert.deepEqual(await shown("s"), { c: 3 });
  const before = (await reader.get("s"))?.expiresAt ?? 0;
  assert.equal((await writer.touch("s", { idleMs: 7_200_000, ...ack })).confirmations, 1);
  assert(((await reader.get("s"))?.expiresAt ?? 0) > before);
  assert.equal((await writer.rotate("s", "t", ack)).confirmations, 1);
  assert.deepEqual([await shown("s"), await shown("t")], [undefined, { c: 3 }]);
  assert.equal((await writer.destroy("t", ack)).confirmations, 1);
  assert.equal(await shown("t"), undefined);
  const { confirmations } = await one.stats();
  assert.deepEqual([confirmations.asked, confirmations.tooFew], [6, 0]);
});

test("without peers the answer comes after the time asked for, and says nobody", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const alone = await (await cluster.add("alone").start()).client();
  const outcome = await alone.create("s", { a: 1 }, { ack: 1, ackTimeoutMs: 50 });
  assert.deepEqual([outcome.applied, outcome.confirmations], [true, 0]);
  assert.deepEqual((await alone.get("s"))?.attributes, { a: 1 });
});

test("a read that names a write includes it, on any node, also under loss", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const lossy = { SESSIONCAST_GOSSIP_FAULT_DROP_RATE: "0.2" };
  const [one, two] = [cluster.add("one"), cluster.add("two", lossy)];
  const [writer, reader] = [await (await one.start()).client(), await (await two.start()).client()];
  for (let visits = 0; visits < 300; visits++) {
    const { stamp } = await writer.set("s", { visits });
    const session = await reader.get<{ visits: number }>("s", { atLeast: stamp });
    assert.equal(session?.attributes.visits, visits);
  }
  const { stamp } = await writer.destroy("s");
  assert.equal(await reader.get("s", { atLeast: stamp }), undefined);
});

test("a rotated session is found under its new id alone, on every node", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const [one, two] = [cluster.add("one"), cluster.add("two")];
  const [writer, reader] = [await (await one.start()).client(), await (await two.start()).client()];
  await writer.create("before-login", { user: "ada" });
  await cluster.converged(1);
  const { stamp } = await writer.rotate("before-login", "after-login");
  const moved = await reader.get("after-login", { atLeast: stamp });
  assert.deepEqual(moved?.attributes, { user: "ada" });
  assert.equal(await reader.get("before-login"), undefined);
  assert.equal((await reader.patch("before-login", { set: { user: "eve" } })).applied, false);
  await eventually(() => cluster.converged(1).then(() => true), "both hold one session");
});
