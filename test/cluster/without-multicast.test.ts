import { strict as assert } from "node:assert";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";

/** Ports that are free at this moment on the given address, all different. */
async function freePorts(host: string, count: number): Promise<number[]> {
  const type = host.includes(":") ? "udp6" : "udp4";
  const sockets = Array.from({ length: count }, () => createSocket(type));
  const ports: number[] = [];
  for (const socket of sockets) {
    socket.bind(0, host);
    await once(socket, "listening");
    ports.push(socket.address().port);
  }
  for (const socket of sockets) socket.close();
  return ports;
}

interface Place {
  /** As in `gossip.interface`, and as the address of the sockets is shown. */
  readonly setting: string;
  readonly shown: string;
  /** As hosts are named in `gossip.peers`, in turns. */
  readonly hosts: readonly string[];
  /** Where to look for free ports. */
  readonly host: string;
}

const loopback: Place = {
  setting: "loopback",
  shown: "127.0.0.1",
  hosts: ["127.0.0.1", "localhost"],
  host: "127.0.0.1",
};
const loopbackIpv6: Place = { setting: "::1", shown: "[::1]", hosts: ["[0::1]"], host: "::1" };

async function addNodes(cluster: ProcessCluster, place: Place): Promise<SidecarProcess[]> {
  const ports = await freePorts(place.host, 3);
  const hostOf = (at: number) => place.hosts[at % place.hosts.length];
  const peers = ports.map((port, at) => `${hostOf(at)}:${port}`).join();
  return ports.map((port, at) =>
    cluster.add(`node-${at}`, {
      SESSIONCAST_GOSSIP_MODE: "unicast",
      SESSIONCAST_GOSSIP_INTERFACE: place.setting,
      SESSIONCAST_GOSSIP_PORT: String(port),
      SESSIONCAST_GOSSIP_PEERS: peers,
    }),
  );
}

async function seesUp(node: SidecarProcess, names: readonly string[]): Promise<boolean> {
  const { peers } = await node.stats();
  const up = peers.filter(({ state }) => state === "up").map(({ node: name }) => name);
  return up.sort().join() === [...names].sort().join();
}

/** Three nodes meet, exchange writes, and one of them restarts with its memory lost. */
async function liveTogether(place: Place): Promise<void> {
  const cluster = await ProcessCluster.open();
  try {
    const nodes = await addNodes(cluster, place);
    const [first, second, third] = nodes;
    assert(first && second && third);
    await Promise.all(nodes.map((node) => node.start()));
    const others = (self: SidecarProcess) =>
      nodes.filter((node) => node !== self).map(({ node }) => node);
    for (const node of nodes) {
      await eventually(() => seesUp(node, others(node)), `${node.node} sees all:\n${node.log}`);
    }
    for (const node of nodes) await (await node.client()).create(node.node, { by: node.node });
    await cluster.converged(3);
    await third.kill("SIGKILL");
    await eventually(() => seesUp(first, [second.node]), "the third is down");
    await (await first.client()).create("meanwhile", { a: 1 });
    await third.start();
    await cluster.converged(4);
    const { datagrams, paths } = await first.stats();
    const address = datagrams.address;
    assert.equal(address.slice(0, address.lastIndexOf(":")), place.shown);
    assert.equal(paths.mode, "unicast");
    assert.notEqual(paths.copiesSent, 0);
    assert.equal(paths.copiesAsked, 0);
  } finally {
    await cluster.close();
  }
}

test("nodes without multicast find each other by addresses and names", () =>
  liveTogether(loopback));

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === "::1"),
);
const withoutIpv6 = hasIpv6 ? false : "this machine has no IPv6 loopback address";

test("nodes without multicast find each other over IPv6", { skip: withoutIpv6 }, () =>
  liveTogether(loopbackIpv6),
);

test("a peer that cannot be resolved is logged once and stops no start", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const peers = { SESSIONCAST_GOSSIP_PEERS: "nowhere.invalid" };
    const one = await cluster.add("one", peers).start();
    const lines = one.log.split("\n").filter((line) => line.includes("peer_not_resolved"));
    assert.equal(lines.length, 1, one.log);
    assert.match(lines[0] ?? "", /peer=nowhere\.invalid/);
  } finally {
    await cluster.close();
  }
});
