/** Names that mean something to the language are names like any other, wherever they stand. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { startServer } from "../../src/api/server.ts";
import { type ClientOptions, connect } from "../../src/client/connect.ts";
import { loadConfiguration, resolveNodeName } from "../../src/daemon/configuration.ts";
import { Tag } from "../../src/protocol/frames.ts";
import { socketPathFor } from "../support/local-server.ts";
import { created, LoneReplica, peerHeartbeat, withReadyPeer } from "../support/lone-replica.ts";
import { ReplicaService } from "../support/replica-service.ts";

const names = ["constructor", "toString", "hasOwnProperty", "valueOf", "prototype", "__proto__"];
const shared = [Object.prototype, Array.prototype, Function.prototype];
const before = shared.map((each) => Object.getOwnPropertyNames(each).join());

/** A client of a real server over a real replica. */
async function served(t: TestContext, options: Partial<ClientOptions> = {}) {
  const lone = new LoneReplica();
  lone.settle();
  const path = socketPathFor(t);
  const server = await startServer({ path, service: new ReplicaService(lone).service });
  const client = await connect({ socket: path, timeoutMs: 60_000, ...options });
  t.after(async () => {
    await client.close();
    await server.close();
  });
  return { client, lone };
}

function named<T>(value: (name: string) => T): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}

test.afterEach(() => {
  const after = shared.map((each) => Object.getOwnPropertyNames(each).join());
  assert.deepEqual(after, before, "no prototype has changed");
});

for (const nearCache of [undefined, { maxCount: 100, maxBytes: 100_000 }]) {
  const kept = nearCache === undefined ? "" : ", also where copies are kept";

  test(`sessions, attributes and owners may be called anything${kept}`, async (t) => {
    const { client } = await served(t, { nearCache });
    const attributes = named((name) => ({ of: name }));
    for (const id of names) {
      assert.equal(await client.get(id), undefined);
      await client.create(id, attributes, { owner: id });
      for (const mutable of [false, true]) {
        const session = await client.get(id, { mutable });
        assert(session !== undefined);
        assert.deepEqual([session.id, session.owner], [id, id]);
        assert.deepEqual(Object.entries(session.attributes), Object.entries(attributes));
        assert.equal(Object.getPrototypeOf(session.attributes), Object.prototype);
      }
    }
    const listed = await client.list();
    const ids = listed.sessions.map(({ id }) => id);
    assert.deepEqual(ids, names.toSorted());
  });

  test(`they are changed, moved and ended one by one${kept}`, async (t) => {
    const { client } = await served(t, { nearCache });
    for (const id of names) {
      await client.create(id, {});
      await client.patch(id, { set: named(() => 1) });
      for (const [index, name] of names.entries()) {
        await client.patch(id, { unset: [name] });
        const { attributes = {} } = (await client.get(id)) ?? {};
        assert.deepEqual(Object.keys(attributes), names.slice(index + 1));
      }
      await client.patch(id, { set: JSON.parse('{"__proto__":7}') });
      await client.rotate(id, `${id}2`);
      assert.equal(await client.get(id), undefined);
      assert.equal((await client.destroy(`${id}2`)).applied, true);
    }
    assert.equal(await client.count(), 0);
  });
}

test("watches and lists by prefix and by owner find them", async (t) => {
  const { client } = await served(t);
  for (const name of names) {
    const events: string[] = [];
    const watch = await client.watch({ prefix: name }, ({ type, id }) => events.push(type + id));
    await client.create(name, {}, { owner: name });
    await client.create("other", {});
    for (const query of [{ prefix: name }, { owner: name }]) {
      const { sessions } = await client.list(query);
      assert.deepEqual(
        sessions.map(({ id }) => id),
        [name],
      );
    }
    assert.equal((await client.destroyAll({ owner: name })).count, 1);
    await client.ping();
    await watch.close();
    assert.deepEqual(events, [`created${name}`, `destroyed${name}`]);
    await client.destroy("other");
  }
});

test("so may nodes and clusters, in the configuration and as peers", () => {
  for (const name of names) {
    const { configuration } = loadConfiguration({
      environment: { SESSIONCAST_NODE: name, SESSIONCAST_CLUSTER: name },
      flags: {},
    });
    assert.deepEqual([configuration.node, configuration.cluster], [name, name]);
    assert.equal(resolveNodeName("", name), name);
    const lone = withReadyPeer();
    lone.receive(peerHeartbeat({ name }));
    assert.deepEqual(
      [...lone.replica.peers.all()].map((peer) => [peer.name, peer.state]),
      [[name, "up"]],
    );
  }
});

test("what peers write under such names is merged and passed on", () => {
  const lone = withReadyPeer();
  for (const [index, id] of names.entries()) {
    const delta = created(id, lone.peerTime);
    const stamp = { time: lone.peerTime, tag: 2 };
    const attributes = names.map((name) => ({ name, stamp, value: name }));
    lone.receiveDeltas(1 + index, { ...delta, attributes });
    lone.receive({ tag: Tag.fetch, nonce: index, id });
  }
  const shown = names.map((id) => lone.replica.get(id, lone.now)?.attributes.length);
  assert.deepEqual(
    shown,
    names.map(() => names.length),
  );
  assert.equal(lone.outbox.framesOf(Tag.found).length, names.length);
});
