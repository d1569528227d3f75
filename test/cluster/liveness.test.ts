import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";

async function started(names: readonly string[]): Promise<[ProcessCluster, SidecarProcess[]]> {
  const cluster = await ProcessCluster.open();
  const nodes = await Promise.all(names.map((name) => cluster.add(name).start()));
  for (const node of nodes) await until(node, names.length - 1, "up");
  return [cluster, nodes];
}

function until(node: SidecarProcess, count: number, state: string): Promise<void> {
  return eventually(
    async () => (await node.stats()).peers.filter((peer) => peer.state === state).length === count,
    `${node.node} has ${count} peers ${state}`,
  );
}

/** What a node has logged of its peers, in order. */
function logged(node: SidecarProcess): string[] {
  return [...node.log.matchAll(/peer_(?:up|down|left)/g)].map(([event]) => event);
}

test("a killed node is found out by its silence, once", async (t) => {
  const [cluster, [one, two]] = await started(["one", "two"]);
  t.after(() => cluster.close());
  assert(one && two);
  await two.kill("SIGKILL");
  await until(one, 1, "down");
  const [peer] = (await one.stats()).peers;
  // Its own count of the silence, so that a slow machine does not fail this test.
  assert(peer !== undefined && peer.lastHeardMs >= 2_800, `${peer?.lastHeardMs}`);
  assert.deepEqual(logged(one), ["peer_up", "peer_down"]);
});

test("two nodes of one name are named by all who see them, and lose nothing", async (t) => {
  const [cluster, [one, two, three]] = await started(["one", "two", "three"]);
  t.after(() => cluster.close());
  assert(one && two && three);
  const twin = await cluster.add("twin", { SESSIONCAST_NODE: "three" }).start();
  const said = /several nodes are named three/;
  for (const node of [one, two, three, twin]) {
    await eventually(
      async () => said.test((await node.stats()).warnings.join()),
      `${node.node} says that a name is taken`,
    );
    assert.match(node.log, /name_taken/);
    await (await node.client()).set(`by ${node.node}`, { a: 1 });
  }
  await cluster.converged(4);
});

test("a node stopped for two seconds is not down, and blames nobody", async (t) => {
  const [cluster, [one, two, three]] = await started(["one", "two", "three"]);
  t.after(() => cluster.close());
  assert(one && two && three);
  let longestMs = 0;
  for (let times = 0; times < 3; times++) {
    const stoppedMs = performance.now();
    two.signal("SIGSTOP");
    await pause(2_000);
    two.signal("SIGCONT");
    longestMs = Math.max(longestMs, performance.now() - stoppedMs);
    await (await one.client()).set(`s${times}`, { times });
    await cluster.converged(times + 1);
  }
  if (longestMs > 2_150) t.skip(`this machine made ${Math.round(longestMs)} ms of two seconds`);
  else for (const node of [one, two, three]) assert.deepEqual(logged(node), ["peer_up", "peer_up"]);
});

test("a frozen node is down, blames nobody when it thaws, and catches up", async (t) => {
  const [cluster, [one, two, three]] = await started(["one", "two", "three"]);
  t.after(() => cluster.close());
  assert(one && two && three);
  two.signal("SIGSTOP");
  await until(one, 1, "down");
  await until(three, 1, "down");
  const client = await one.client();
  for (let index = 0; index < 200; index++) await client.set(`s${index}`, { index });
  two.signal("SIGCONT");
  await cluster.converged(200);
  for (const node of [one, two, three]) await until(node, 2, "up");
  assert.deepEqual(logged(two), ["peer_up", "peer_up"]);
  assert((await two.stats()).membership.ownPauses >= 1);
});
