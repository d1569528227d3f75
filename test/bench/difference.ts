import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampTimeOf } from "../../src/session/stamp.ts";
import { VirtualCluster, type VirtualNode } from "../support/virtual-cluster.ts";

export interface Difference {
  /** Octets of all datagrams that both nodes sent for it: what comes in an idle cluster is out. */
  readonly bytes: number;
  /** Of them, the digests. */
  readonly walkBytes: number;
}

const lifetime = { idleMs: undefined, absoluteMs: undefined };
const value = "v".repeat(200);
const whenIdle: ReadonlySet<number> = new Set([Tag.heartbeat, Tag.ping, Tag.ack]);

/**
 * In the virtual cluster, where a write can be kept from the stream and octets counted exactly: two
 * nodes with many sessions of 200 octets, of which one has a write that the other has not, many
 * times over, on either side. Datagrams are as they are on the network, without UDP's header.
 */
export function repairDifferences(sessions: number, repairs: number): Difference[] {
  const cluster = new VirtualCluster({ seed: 1, nodes: 2 });
  cluster.startAll();
  advanceUntil(cluster, () => cluster.ready);
  const [one, two] = [cluster.node(0), cluster.node(1)];
  for (let index = 0; index < sessions; index++) {
    one.replica.create(`s${index}`, [{ name: "value", value }], lifetime, cluster.now);
    if (index % 100 === 0) {
      one.wake();
      cluster.advance(1);
    }
  }
  one.wake();
  advanceUntil(cluster, () => cluster.converged);
  cluster.advance(5_000);
  const sum = { bytes: 0, walkBytes: 0 };
  const transmit = cluster.transmit.bind(cluster);
  cluster.transmit = (from, to, bytes, via) => {
    transmit(from, to, bytes, via);
    const tag = bytes[limits.headerBytes + limits.preambleBytes] ?? 0;
    if (whenIdle.has(tag)) return;
    sum.bytes += bytes.length;
    if (tag === Tag.digest) sum.walkBytes += bytes.length;
  };
  return Array.from({ length: repairs }, (_, repair) => {
    Object.assign(sum, { bytes: 0, walkBytes: 0 });
    writeUnsent(cluster, repair % 2 === 0 ? one : two, `s${(repair * 7_919) % sessions}`);
    advanceUntil(cluster, () => cluster.converged);
    cluster.advance(5_000);
    return { ...sum };
  });
}

/** Into the store, where the stream does not see it. */
function writeUnsent(cluster: VirtualCluster, node: VirtualNode, id: string): void {
  const { wallMs } = cluster.now;
  const stamp = { time: stampTimeOf(wallMs), tag: 1 };
  const attributes = [{ name: "value", stamp, value }];
  const delta = { id, life: undefined, floor: undefined, attributes, expiry: undefined };
  node.replica.store.apply(delta, wallMs);
}

function advanceUntil(cluster: VirtualCluster, condition: () => boolean): void {
  if (!cluster.advanceUntil(condition, 60_000)) throw new Error("the nodes do not become equal");
}
