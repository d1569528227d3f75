import { strict as assert } from "node:assert";
import { test } from "node:test";
import { NetworkNamespace, withoutNamespaces } from "../support/network-namespace.ts";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

const skip = withoutNamespaces();

test("nodes find each other by IPv6 multicast, and answer by unicast", { skip }, async () => {
  const namespace = new NetworkNamespace();
  const cluster = await ProcessCluster.open();
  try {
    const nodes = ["one", "two", "three"].map((name) =>
      cluster.add(
        name,
        {
          SESSIONCAST_GOSSIP_GROUP: "ff15::5343",
          SESSIONCAST_GOSSIP_INTERFACE: namespace.interface,
          SESSIONCAST_GOSSIP_INSECURE_PLAINTEXT: "true",
        },
        namespace.prefix,
      ),
    );
    const [one, two] = nodes;
    assert(one && two);
    await Promise.all(nodes.map((node) => node.start()));
    await (await one.client()).create("first", { a: 1 });
    await (await two.client()).create("second", { a: 2 });
    await cluster.converged(2);
    for (const node of nodes) {
      const { datagrams, paths, peers } = await node.stats();
      assert.equal(datagrams.address.startsWith(`[${namespace.address}]:`), true);
      assert.equal(paths.copiesSent, 0);
      assert.equal(peers.length, 2);
      for (const { multicast } of peers) assert.equal(multicast, true);
    }
    // A link-local address has the link behind it, in the sources of datagrams too.
    const late = cluster.add(
      "late",
      {
        SESSIONCAST_GOSSIP_GROUP: "ff15::5343",
        SESSIONCAST_GOSSIP_INTERFACE: namespace.linkLocal,
        SESSIONCAST_GOSSIP_INSECURE_PLAINTEXT: "true",
      },
      namespace.prefix,
    );
    await late.start();
    await cluster.converged(2);
    await eventually(async () => (await late.stats()).peers.length === 3, "late sees all");
    const { peers } = await one.stats();
    const address = peers.find(({ node }) => node === "late")?.address ?? "";
    assert.match(address, /^\[fe80::[0-9a-f:]+%va\]:\d+$/);
  } finally {
    await cluster.close();
    namespace.remove();
  }
});
