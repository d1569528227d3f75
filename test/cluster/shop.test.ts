import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Browser, ShopProcess } from "../support/shop-process.ts";
import { eventually, ProcessCluster } from "../support/sidecar-process.ts";

/** Share of arriving datagrams that each sidecar throws away. */
for (const dropRate of ["0", "0.1"]) {
  test(`a user stays logged in while nodes die and return, ${dropRate} of datagrams lost`, () =>
    shopping(dropRate));
}

async function shopping(dropRate: string): Promise<void> {
  const cluster = await ProcessCluster.open();
  const shops: ShopProcess[] = [];
  try {
    const faults = { SESSIONCAST_GOSSIP_FAULT_DROP_RATE: dropRate };
    const nodes = ["one", "two", "three"].map((name) => cluster.add(name, faults));
    const [one, two, three] = nodes;
    assert(one !== undefined && two !== undefined && three !== undefined);
    await Promise.all(nodes.map((node) => node.start()));
    shops.push(...nodes.map((node) => new ShopProcess(node.socket)));
    await Promise.all(shops.map((shop) => shop.start()));
    await journey(cluster, shops);
  } finally {
    await Promise.all(shops.map((shop) => shop.kill()));
    await cluster.close();
  }
}

async function journey(cluster: ProcessCluster, shops: readonly ShopProcess[]): Promise<void> {
  const [first] = cluster.nodes;
  const [app1, app2, app3] = shops;
  assert(first && app1 && app2 && app3);
  const browser = new Browser();
  /** Replication does not make the request wait, so a read elsewhere may come a moment early. */
  const shows = (shop: ShopProcess, user: string | null, cart: string[] | null) =>
    eventually(
      async () => {
        const seen = await browser.get(shop);
        return seen.user === user && JSON.stringify(seen.cart) === JSON.stringify(cart);
      },
      `${shop.origin} shows ${user} with ${cart?.join(" and ") ?? "no cart"}`,
    );

  await browser.post(app1, "/login/ada");
  await shows(app2, "ada", []);
  await browser.post(app2, "/cart/book");
  await shows(app3, "ada", ["book"]);

  await Promise.all([first.kill("SIGKILL"), app1.kill()]);
  await shows(app3, "ada", ["book"]);
  await browser.post(app2, "/cart/lamp");
  await shows(app3, "ada", ["book", "lamp"]);

  await first.start();
  await app1.start();
  await shows(app1, "ada", ["book", "lamp"]);

  await browser.post(app3, "/logout");
  for (const shop of shops) await shows(shop, null, null);
  await cluster.converged();
}
