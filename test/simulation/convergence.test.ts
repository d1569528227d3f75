import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { VirtualCluster, type VirtualNode } from "../support/virtual-cluster.ts";

const lifetime = { idleMs: undefined, absoluteMs: undefined };

/** One random command of a client on a random node. */
function act(prng: Prng, node: VirtualNode, wallNow: VirtualCluster["now"]): void {
  const id = `session-${prng.below(40)}`;
  const size = prng.chance(0.02) ? 20_000 : prng.below(200);
  const value = String.fromCharCode(prng.below(256)).repeat(size);
  const name = `attribute-${prng.below(4)}`;
  const { replica } = node;
  const draw = prng.fraction();
  if (draw < 0.25) replica.create(id, [{ name, value }], lifetime, wallNow);
  else if (draw < 0.4) replica.set(id, [{ name, value }], lifetime, wallNow);
  else if (draw < 0.8) replica.patch(id, [{ name, value }], [], wallNow);
  else if (draw < 0.87) replica.patch(id, [], [name], wallNow);
  else if (draw < 0.93) replica.touch(id, prng.below(4) * 600_000, wallNow);
  else replica.destroy(id, wallNow);
  node.wake();
}

function contents(node: VirtualNode, cluster: VirtualCluster): string {
  const lines: string[] = [];
  for (let number = 0; number < 40; number++) {
    const view = node.replica.get(`session-${number}`, cluster.now);
    const shown = view?.attributes.filter(({ value }) => value !== undefined);
    const sorted = shown?.map(({ name, value }) => `${name}=${value}`).sort();
    lines.push(`${number}: ${sorted?.join(" ") ?? "none"}`);
  }
  return lines.join("\n");
}

function run(seed: number): VirtualCluster {
  const draw = new Prng(seed);
  const cluster = new VirtualCluster({
    seed,
    nodes: 2 + draw.below(4),
    faults: {
      loss: draw.chance(0.5) ? draw.fraction() * 0.3 : 0,
      duplicate: draw.chance(0.5) ? draw.fraction() * 0.2 : 0,
      jitterMs: draw.chance(0.5) ? draw.fraction() * 20 : 0.2,
    },
  });
  cluster.startAll();
  cluster.advance(draw.below(2) * 700);
  for (let step = 0; step < 300; step++) {
    const node = cluster.nodes[draw.below(cluster.nodes.length)];
    if (node === undefined) continue;
    if (draw.chance(0.01) && cluster.live.length > 1 && node.running) node.kill();
    else if (!node.running && draw.chance(0.1)) node.start();
    else if (node.running) act(draw, node, cluster.now);
    if (draw.chance(0.01)) {
      const side = draw.below(cluster.nodes.length);
      cluster.linked = (from, to) => from < side === to < side;
    }
    if (draw.chance(0.05)) cluster.linked = () => true;
    if (draw.chance(0.3)) cluster.advance(draw.below(300));
  }
  cluster.linked = () => true;
  return cluster;
}

test("any mix of faults, once healed, ends with the same sessions on all live nodes", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const cluster = run(seed);
    Object.assign(cluster.faults, { loss: 0, duplicate: 0 });
    const healed = cluster.advanceUntil(() => cluster.ready && cluster.converged, 60_000);
    assert(healed, `seed ${seed}: no convergence within 60 s of virtual time`);
    const [first, ...others] = cluster.live.map((node) => contents(node, cluster));
    for (const other of others) assert.equal(other, first, `seed ${seed}`);
  }
});

test("a seed replays exactly", () => {
  const [left, right] = [run(7), run(7)].map((cluster) => {
    cluster.advance(10_000);
    return `${cluster.datagrams} ${cluster.live.map((node) => node.digest).join(" ")}`;
  });
  assert.equal(left, right);
});
