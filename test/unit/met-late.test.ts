import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../src/protocol/limits.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";

const byDefault = { idleMs: undefined, absoluteMs: undefined };
const soonMs = limits.mismatchMs / 2;

/** Two nodes that are ready and hold a session each; a third has not been started. */
function twoOfThree(): VirtualCluster {
  const cluster = new VirtualCluster({ seed: 1, nodes: 3 });
  for (const index of [0, 1]) cluster.node(index).start();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  for (const index of [0, 1]) write(cluster, index, `first-${index}`);
  cluster.advance(5_000);
  assert(cluster.converged);
  return cluster;
}

function write(cluster: VirtualCluster, index: number, id: string): void {
  const node = cluster.node(index);
  node.replica.create(id, [{ name: "a", value: "v" }], byDefault, node.now);
  node.wake();
}

function holds(cluster: VirtualCluster, index: number, id: string): boolean {
  return cluster.node(index).replica.store.has(id);
}

/** Joins while it hears nothing of node 0, nor that of it. */
function joinApart(cluster: VirtualCluster): void {
  cluster.linked = (from, to) => from + to !== 2;
  cluster.node(2).start();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
}

test("what a new start wrote before a node heard of it comes soon after", () => {
  const cluster = twoOfThree();
  joinApart(cluster);
  write(cluster, 2, "early");
  cluster.advance(1);
  assert(holds(cluster, 1, "early") && !holds(cluster, 0, "early"));
  cluster.linked = () => true;
  assert(cluster.advanceUntil(() => holds(cluster, 0, "early"), soonMs));
});

test("what a peer wrote before a node that has joined heard of it comes soon after", () => {
  const cluster = twoOfThree();
  joinApart(cluster);
  write(cluster, 0, "early");
  cluster.advance(1);
  assert(holds(cluster, 1, "early") && !holds(cluster, 2, "early"));
  cluster.linked = () => true;
  assert(cluster.advanceUntil(() => holds(cluster, 2, "early"), soonMs));
});

test("a join by itself leads to no comparison", () => {
  const cluster = twoOfThree();
  cluster.node(2).start();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  cluster.advance(5_000);
  assert(cluster.converged);
  for (const { replica } of cluster.nodes) assert.equal(replica.counters.reconcile.rounds, 0);
});
