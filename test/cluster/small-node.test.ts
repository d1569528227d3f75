import { strict as assert } from "node:assert";
import { test } from "node:test";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";

const sessionCount = 2_000;
const room = sessionCount / 10;

/** Nobody begins rounds or pulls anything while so many heartbeats come. */
async function atRest(nodes: readonly SidecarProcess[]): Promise<boolean> {
  const look = async () => {
    const all = await Promise.all(nodes.map((node) => node.stats()));
    const work = all.map(({ reconcile }) => {
      const { rounds, refills, transfersIn } = reconcile;
      return `${rounds} ${refills} ${transfersIn}`;
    });
    return { work: work.join(), heard: Math.min(...all.map((each) => heartbeats(each))) };
  };
  const before = await look();
  let after = before;
  await eventually(async () => {
    after = await look();
    return after.heard >= before.heard + 20;
  }, "twenty heartbeats");
  return after.work === before.work;
}

function heartbeats({ membership }: { readonly membership: Record<string, number> }): number {
  return membership.heartbeatsReceived ?? 0;
}

test("a node with room for a tenth finds every session, and all come to rest", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const [one, two] = [cluster.add("one"), cluster.add("two")];
    const small = cluster.add("small", { SESSIONCAST_SESSIONS_COUNT_MAX: String(room) });
    await Promise.all([one.start(), two.start(), small.start()]);
    const writers = [await one.client(), await two.client()];
    for (let number = 0; number < sessionCount; number += 200) {
      const ids = Array.from({ length: 200 }, (_, offset) => number + offset);
      await Promise.all(ids.map((id) => writers[id % 2]?.create(`session-${id}`, { number: id })));
    }
    await cluster.converged();
    const reader = await small.client();
    for (let number = 0; number < sessionCount; number++) {
      const session = await reader.get<{ number: number }>(`session-${number}`);
      assert.equal(session?.attributes.number, number);
    }
    // To one that it does not hold, a write on the small node is one like any other.
    await reader.patch("session-0", { set: { small: true } });
    await writers[0]?.patch("session-1", { set: { changed: true } });
    assert.equal((await reader.destroy("session-2")).applied, true);
    await cluster.converged();
    const changed = await reader.get("session-1");
    assert.deepEqual(changed?.attributes, { number: 1, changed: true });
    await eventually(() => atRest([one, two, small]), "nobody reconciles any more");
    for (const node of [one, two]) {
      const { sessions } = await node.stats();
      assert.deepEqual([sessions.count, sessions.stubs], [sessionCount - 1, 0], node.node);
    }
    const { sessions } = await small.stats();
    assert.equal(sessions.count <= room, true, `${sessions.count} sessions`);
    assert.equal(sessions.count + sessions.stubs, sessionCount - 1);
    assert.equal(await reader.get("session-2"), undefined);
    assert.equal(await reader.get("nobody's"), undefined);
  } finally {
    await cluster.close();
  }
});
