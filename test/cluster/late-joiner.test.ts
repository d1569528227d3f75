import { strict as assert } from "node:assert";
import { test } from "node:test";
import { ProcessCluster } from "../support/sidecar-process.ts";

const sessionCount = 10_000;

for (const dropRate of ["0", "0.1"]) {
  test(`a node joining under load of 10000 sessions gets all, ${dropRate} of datagrams lost`, () =>
    joinLate(dropRate));
}

async function joinLate(dropRate: string): Promise<void> {
  const cluster = await ProcessCluster.open();
  try {
    const faults = { SESSIONCAST_GOSSIP_FAULT_DROP_RATE: dropRate };
    const one = await cluster.add("one", faults).start();
    await cluster.add("two", faults).start();
    const client = await one.client();
    const create = (number: number) =>
      client.create(`session-${number}`, { number, text: "x".repeat(number % 300) });
    let joined: Promise<unknown> | undefined;
    for (let number = 0; number < sessionCount; number += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, offset) => create(number + offset)));
      if (number >= sessionCount / 2) joined ??= cluster.add("three", faults).start();
    }
    await joined;
    await cluster.converged(sessionCount);
    const three = await cluster.nodes[2]?.client();
    const last = await three?.get(`session-${sessionCount - 1}`);
    assert.deepEqual(last?.attributes, {
      number: sessionCount - 1,
      text: "x".repeat((sessionCount - 1) % 300),
    });
  } finally {
    await cluster.close();
  }
}

test("a session far larger than a datagram arrives with every tenth one lost", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const faults = { SESSIONCAST_GOSSIP_FAULT_DROP_RATE: "0.1" };
    const [one, two] = [cluster.add("one", faults), cluster.add("two", faults)];
    await Promise.all([one.start(), two.start()]);
    const large = "0123456789".repeat(60_000);
    await (await one.client()).create("large", { large });
    await cluster.converged(1);
    const three = await cluster.add("three", faults).start();
    await cluster.converged(1);
    for (const node of [two, three]) {
      const session = await (await node.client()).get<{ large: string }>("large");
      assert.equal(session?.attributes.large === large, true);
    }
  } finally {
    await cluster.close();
  }
});

test("a node that is still joining knows every session, and says truly what is none", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const [one, two] = [cluster.add("one"), cluster.add("two")];
    await Promise.all([one.start(), two.start()]);
    const writer = await one.client();
    const text = "x".repeat(2_000);
    for (let number = 0; number < sessionCount; number += 500) {
      const ids = Array.from({ length: 500 }, (_, offset) => `session-${number + offset}`);
      await Promise.all(ids.map((id) => writer.create(id, { text })));
    }
    await cluster.converged(sessionCount);
    const late = await cluster.add("late").launch();
    const reader = await late.client();
    let reads = 0;
    do {
      // From the end: the state arrives in another order, so some are always missing still.
      const id = `session-${sessionCount - 1 - (reads % sessionCount)}`;
      assert.notEqual(await reader.get(id), undefined, id);
      assert.equal(await reader.get(`nobody-${reads}`), undefined);
      reads += 1;
    } while ((await late.stats()).state === "joining");
    await cluster.converged(sessionCount);
  } finally {
    await cluster.close();
  }
});
