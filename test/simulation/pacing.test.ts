import { strict as assert } from "node:assert";
import { test } from "node:test";
import { VirtualCluster } from "../support/virtual-cluster.ts";

/** Whole clusters that are offered more than their senders' rate. */

const lifetime = { idleMs: undefined, absoluteMs: undefined };
const rateBytesPerSecondMax = 300_000;
const datagramsPerSecond = rateBytesPerSecondMax / 1_372;
const sessions = 1_000;

interface Load {
  readonly cluster: VirtualCluster;
  /** Numbers of the first node's stream that the second has. */
  readonly goodput: number;
}

/** The first node is written to at twice its rate for so long. */
function overload(cluster: VirtualCluster, ms: number): Load {
  cluster.startAll();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  const [writer, reader] = cluster.nodes;
  assert(writer && reader);
  const value = "v".repeat(1_000);
  let written = 0;
  for (let passedMs = 0; passedMs < ms; passedMs += 10) {
    for (let write = 0; write < (2 * rateBytesPerSecondMax) / 100_000; write++) {
      const id = `s${written++ % sessions}`;
      writer.replica.set(id, [{ name: "a", value }], lifetime, cluster.now);
    }
    writer.wake();
    cluster.advance(10);
  }
  const [peer] = [...reader.replica.peers.all()].filter(({ name }) => name === "node-0");
  assert(peer);
  return { cluster, goodput: peer.incoming.highest - peer.incoming.missingCount };
}

/** One node takes in datagrams at a rate of its own, out of a small buffer. */
function slowDown(cluster: VirtualCluster, node: number, perSecond: number): void {
  let waiting = 0;
  let atMs = cluster.nowMs;
  cluster.linked = (_from, to) => {
    if (to !== node) return true;
    waiting = Math.max(0, waiting - ((cluster.nowMs - atMs) * perSecond) / 1_000);
    atMs = cluster.nowMs;
    if (waiting >= 64) return false;
    waiting += 1;
    return true;
  };
}

function fourNodes(): VirtualCluster {
  return new VirtualCluster({ seed: 1, nodes: 4, replica: { rateBytesPerSecondMax } });
}

test("under overload nodes converge as soon as it ends, and deltas are merged meanwhile", () => {
  const { cluster } = overload(fourNodes(), 6_000);
  const [writer] = cluster.nodes;
  assert(writer);
  const { dirtyRecords = 0, limitedMs = 0 } = writer.replica.pacing(cluster.now.wallMs);
  assert(dirtyRecords > 250 && dirtyRecords <= sessions, `${dirtyRecords} wait`);
  assert(limitedMs > 5_000, `limited for ${limitedMs} ms`);
  assert(cluster.advanceUntil(() => cluster.converged && !writer.replica.pending, 10_000));
});

test("one laggard costs the others less than a tenth of their goodput", () => {
  const { goodput } = overload(fourNodes(), 10_000);
  const cluster = fourNodes();
  slowDown(cluster, 3, datagramsPerSecond / 10);
  const slowed = overload(cluster, 10_000);
  assert(slowed.goodput >= 0.9 * goodput, `${slowed.goodput} instead of ${goodput}`);
  const [writer] = cluster.nodes;
  assert(writer);
  const events = writer.events.map(({ event }) => event);
  assert.equal(events.filter((event) => event === "peer_lags").length, 1);
  const repairs = writer.replica.counters.naks.repairsUnicast;
  cluster.linked = () => true;
  assert(cluster.advanceUntil(() => cluster.converged && !writer.replica.pending, 60_000));
  assert(repairs < slowed.goodput / 10, `${repairs} repairs`);
  cluster.advance(10_000);
  assert.equal(writer.events.at(-1)?.event, "peer_keeps_up");
});

test("a tenth of all datagrams lost costs less than half of the goodput", () => {
  const { goodput } = overload(fourNodes(), 10_000);
  const cluster = fourNodes();
  cluster.faults.loss = 0.1;
  const lossy = overload(cluster, 10_000);
  assert(lossy.goodput >= 0.5 * goodput, `${lossy.goodput} instead of ${goodput}`);
  const [writer] = cluster.nodes;
  assert(writer);
  const { rateBytesPerSecond = 0 } = writer.replica.pacing(cluster.now.wallMs);
  const isKept = rateBytesPerSecond > 0.75 * rateBytesPerSecondMax;
  assert(isKept, `loss at any rate leaves ${rateBytesPerSecond} octets/s`);
  assert(cluster.advanceUntil(() => cluster.converged, 30_000));
});

test("with a tenth of all datagrams lost, 99 of 100 lone writes arrive within 30 ms", () => {
  const cluster = new VirtualCluster({ seed: 1, nodes: 2, faults: { loss: 0.1 } });
  cluster.startAll();
  assert(cluster.advanceUntil(() => cluster.ready, 5_000));
  cluster.advance(1_000);
  const [writer, reader] = cluster.nodes;
  assert(writer && reader);
  const writes = 1_000;
  let late = 0;
  for (let write = 0; write < writes; write++) {
    writer.replica.create(`s${write}`, [{ name: "a", value: "v" }], lifetime, cluster.now);
    writer.wake();
    cluster.advance(30);
    if (!reader.replica.store.has(`s${write}`)) late += 1;
    cluster.advance(200);
  }
  assert(late <= writes / 100, `${late} of ${writes} arrived later`);
});
