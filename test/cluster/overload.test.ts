import { strict as assert } from "node:assert";
import { test } from "node:test";
import { LoadWriter } from "../support/load-writer.ts";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

const sessions = 1_000;
/** A hundred writes a second with such a ballast; a writer does that also on a slow machine. */
const ballastBytes = 1_000;
const slow = { SESSIONCAST_GOSSIP_RATE_BYTES_PER_SECOND_MAX: "131072" };

test("more writes than may be sent: throttled, merged, and nothing is lost", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const [one, two, three] = [
    cluster.add("one", slow),
    cluster.add("two", slow),
    cluster.add("three"),
  ];
  await Promise.all([one.start(), two.start(), three.start()]);
  const client = await one.client();
  for (let id = 0; id < sessions; id += 100) {
    const some = Array.from({ length: 100 }, (_, at) => `load-${id + at}`);
    await Promise.all(some.map((name) => client.create(name, { text: "x".repeat(200) })));
  }
  await cluster.converged(sessions);
  const before = await one.stats();
  const writers = [
    new LoadWriter(client, "by-one", sessions, ballastBytes),
    new LoadWriter(await two.client(), "by-two", sessions, ballastBytes),
  ];
  await eventually(async () => {
    const { pacing } = await one.stats();
    return (pacing.limitedMs ?? 0) > 2_000 && (pacing.lagMs ?? 0) > 500;
  }, "the writer is throttled");
  // So much more than was sent that it cannot all be waiting: it was merged.
  await eventually(async () => {
    const { pacing, stream } = await one.stats();
    assert((pacing.dirtyRecords ?? 0) <= sessions, `${pacing.dirtyRecords} wait`);
    const sent = (stream.deltasSent ?? 0) - (before.stream.deltasSent ?? 0);
    return (writers[0]?.writes ?? 0) > sent + 2 * sessions;
  }, "writes are merged");
  for (const writer of writers) await writer.stop();
  await cluster.converged(sessions);
  await eventually(async () => (await one.stats()).pacing.dirtyRecords === 0, "nothing waits");
  for (const node of cluster.nodes) {
    for (const writer of writers) assert.deepEqual(await writer.lackedBy(await node.client()), []);
  }
});
