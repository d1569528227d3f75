import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type LabHost, NetworkLab, withoutLab } from "../support/network-lab.ts";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

const skip = withoutLab();

test("hosts find each other by IPv6 multicast, and answer by unicast", { skip }, async () => {
  const lab = new NetworkLab(4);
  const cluster = await ProcessCluster.open();
  const add = (host: LabHost, index: number, address: string) =>
    cluster.add(
      `host-${index}`,
      {
        SESSIONCAST_GOSSIP_GROUP: "ff15::5343",
        SESSIONCAST_GOSSIP_INTERFACE: address,
        SESSIONCAST_GOSSIP_INSECURE_PLAINTEXT: "true",
      },
      host.prefix,
    );
  try {
    const nodes = lab.hosts.slice(0, 3).map((host, index) => add(host, index, host.interface));
    const [one, two] = nodes;
    assert(one && two);
    await Promise.all(nodes.map((node) => node.start()));
    await (await one.client()).create("first", { a: 1 });
    await (await two.client()).create("second", { a: 2 });
    await cluster.converged(2);
    for (const [index, node] of nodes.entries()) {
      const { datagrams, paths, peers } = await node.stats();
      assert.equal(datagrams.address.startsWith(`[${lab.hosts[index]?.address6}]:`), true);
      assert.equal(paths.copiesSent, 0);
      assert.equal(peers.length, 2);
      for (const { multicast } of peers) assert.equal(multicast, true);
    }
    // A link-local address has the link behind it, in the sources of datagrams too.
    const last = lab.hosts[3] as LabHost;
    const late = add(last, 3, lab.linkLocalOf(last));
    await late.start();
    await cluster.converged(2);
    await eventually(async () => (await late.stats()).peers.length === 3, "late sees all");
    const { peers } = await one.stats();
    const address = peers.find(({ node }) => node === "host-3")?.address ?? "";
    assert.match(address, /^\[fe80::[0-9a-f:]+%eth0\]:\d+$/);
  } finally {
    await cluster.close();
    lab.remove();
  }
});
