import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { NginxProcess, withoutNginx } from "../support/nginx-process.ts";
import { Browser, type Page, ShopProcess } from "../support/shop-process.ts";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";

const roundRobin = fileURLToPath(
  new URL("../../../config/nginx-round-robin.conf", import.meta.url),
);
const ipHash = fileURLToPath(new URL("../../../config/nginx-ip-hash.conf", import.meta.url));
const readme = fileURLToPath(new URL("../../../README.md", import.meta.url));
const skip = withoutNginx();

test("behind nginx with round robin no user notices that a node dies", { skip }, async (t) => {
  const { users } = await shopping(t, roundRobin, appFirst);
  assert.equal(new Set(users.flatMap(({ nodes }) => [...nodes])).size, 3, "all nodes had users");
});

test("behind nginx with ip_hash its users go on on other nodes", { skip }, async (t) => {
  const { users, killed } = await shopping(t, ipHash, appFirst);
  const homes = users.map(({ nodes }) => [...nodes][0]);
  assert.equal(new Set(homes).size, 3, "all nodes had users");
  for (const { name, nodes } of users) {
    const [home] = nodes;
    // Asked at the moment of its death the node may be the first of two that nginx names.
    if (home !== killed) assert.deepEqual([...nodes], [home], `${name} stayed on one node`);
  }
});

for (const [name, example] of Object.entries({ "round robin": roundRobin, ip_hash: ipHash })) {
  test(`with ${name} nobody is logged out by a node that dies at once`, { skip }, async (t) => {
    await shopping(t, example, atOnce);
  });

  test(`with ${name} nobody is logged out by an app without its sidecar`, { skip }, async (t) => {
    const { users, killed } = await shopping(t, example, onlySidecar);
    const passedOver = users.some((user) => user.passedOver);
    assert(passedOver, `${killed} has said that its sidecar is gone`);
  });
}

test("the examples of the README are the ones that are tested", () => {
  const text = readFileSync(readme, "utf8");
  for (const example of [roundRobin, ipHash]) {
    assert(text.includes(readFileSync(example, "utf8").trim()), example);
  }
});

/** How the first node dies. */
interface Death {
  kill(shop: ShopProcess, sidecar: SidecarProcess): Promise<unknown>;
  /** What was written at the last moment may not have left the node. */
  readonly isSudden: boolean;
}

/** The app must not answer anybody while it has no sidecar, as no dead host does. */
const appFirst: Death = {
  isSudden: false,
  async kill(shop, sidecar) {
    await shop.kill();
    await sidecar.kill("SIGKILL");
  },
};

const atOnce: Death = {
  isSudden: true,
  async kill(shop, sidecar) {
    const gone = shop.kill();
    sidecar.signal("SIGKILL");
    await Promise.all([gone, sidecar.kill("SIGKILL")]);
  },
};

const onlySidecar: Death = {
  isSudden: true,
  kill: (_shop, sidecar) => sidecar.kill("SIGKILL"),
};

/** Users shop at three nodes behind nginx; meanwhile the first node dies. */
async function shopping(
  t: TestContext,
  example: string,
  death: Death,
): Promise<{ users: readonly ShopUser[]; killed: string }> {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const nodes = ["one", "two", "three"].map((name) => cluster.add(name));
  await Promise.all(nodes.map((node) => node.start()));
  const shops = nodes.map((node) => new ShopProcess(node.socket));
  t.after(() => Promise.all(shops.map((shop) => shop.kill())));
  await Promise.all(shops.map((shop) => shop.start()));
  const addresses = shops.map(({ address }) => address);
  const nginx = await NginxProcess.start(example, addresses);
  t.after(() => nginx.close());

  let closed = false;
  let onKilled = () => {};
  const killed = new Promise<void>((resolve) => {
    onKilled = resolve;
  });
  const doomed = addresses[0] ?? "";
  const place: Place = { nginx, shops, closed: () => closed, doomed, killed };
  // nginx tells clients apart by the first three numbers of their address.
  const users = Array.from({ length: 12 }, (_, index) => new ShopUser(place, index));
  const days = Promise.all(users.map((user) => user.shop())).finally(() => {
    closed = true;
  });
  await Promise.race([days, roundsMore(users, 5, place.closed)]);
  const [[shop], [sidecar]] = [shops, nodes];
  assert(shop && sidecar);
  if (death.isSudden) for (const user of users) user.nodeDies();
  await death.kill(shop, sidecar);
  onKilled();
  await Promise.race([days, roundsMore(users, 5, place.closed)]);
  closed = true;
  await days;
  if (shop.running) await sidecar.start();
  await cluster.converged();
  await Promise.all(users.map((user) => user.hasAllEverywhere()));
  return { users, killed: doomed };
}

/** Also resolves when the shop is closed, as it is when something has failed. */
async function roundsMore(
  users: readonly ShopUser[],
  more: number,
  closed: () => boolean,
): Promise<void> {
  const before = users.map(({ rounds }) => rounds);
  await eventually(
    () => closed() || users.every(({ rounds }, index) => rounds >= (before[index] ?? 0) + more),
    "users go on shopping",
  );
}

interface Place {
  readonly nginx: NginxProcess;
  readonly shops: readonly ShopProcess[];
  readonly closed: () => boolean;
  /** Address of the app that will be killed. */
  readonly doomed: string;
  /** Resolves when nothing of the killed node runs any more. */
  readonly killed: Promise<void>;
}

/** Logs in once, and then fills a cart; what was acknowledged must be in it on every page. */
class ShopUser {
  readonly name: string;
  /** Addresses of the nodes that answered. */
  readonly nodes = new Set<string>();
  rounds = 0;
  /** Whether the dying node was asked and did not answer. */
  passedOver = false;
  readonly #place: Place;
  readonly #browser: Browser;
  readonly #acknowledged: string[] = [];
  /** Which node acknowledged the last of them, and may have taken it along. */
  #last = "";
  #isDying = false;

  constructor(place: Place, index: number) {
    this.#place = place;
    this.name = `user-${index}`;
    this.#browser = new Browser(`127.0.${index}.1`);
  }

  async shop(): Promise<void> {
    assert.equal(await this.#ask("POST", `/login/${this.name}`), 200);
    for (; !this.#place.closed(); this.rounds++) {
      await this.#look();
      await this.#buy(`item-${this.rounds}`);
    }
  }

  /**
   * A page comes from another node when one dies. Only one that the dying node had begun to send
   * is broken off, as express-session sends a page before the session is stored, but for its end.
   */
  async #look(): Promise<void> {
    let status = await this.#ask("GET", "/");
    if (status === "broken off") {
      await this.#place.killed;
      status = await this.#ask("GET", "/");
    }
    assert.equal(status, 200);
  }

  /** What this node has acknowledged last, or will yet, may be lost with it. */
  nodeDies(): void {
    this.#isDying = true;
    if (this.#last === this.#place.doomed) this.#acknowledged.pop();
  }

  /** What died with its node may have been done or not, so nginx does not repeat it. */
  async #buy(item: string): Promise<void> {
    const status = await this.#ask("POST", `/cart/${item}`);
    if (status === 200) {
      if (!this.#isDying || this.#last !== this.#place.doomed) this.#acknowledged.push(item);
      return;
    }
    const isExpected = status === 502 || status === 503 || status === "broken off";
    assert(isExpected, `${this.name} buys ${item}: ${status}`);
    // The dead app's last word to its sidecar must not come after what the user does next.
    await this.#place.killed;
  }

  /** Asked without nginx, node by node. */
  async hasAllEverywhere(): Promise<void> {
    await eventually(async () => {
      const running = this.#place.shops.filter((shop) => shop.running);
      const pages = await Promise.all(running.map((shop) => this.#browser.get(shop)));
      return pages.every((page) => this.#isComplete(page));
    }, `all nodes have what ${this.name} has bought`);
  }

  async #ask(method: string, path: string): Promise<number | "broken off"> {
    const { status, headers, body } = await this.#browser.send(this.#place.nginx, method, path);
    const asked = String(headers["x-upstream"]).split(", ");
    for (const node of asked) this.nodes.add(node);
    this.#last = asked.at(-1) ?? "";
    const isPassedOver = asked.length > 1 || status === 503;
    if (isPassedOver && asked.includes(this.#place.doomed)) this.passedOver = true;
    if (status !== 200 || body === undefined) {
      assert(asked.includes(this.#place.doomed), `${method} ${path} of a live node: ${status}`);
      return body === undefined ? "broken off" : status;
    }
    if (path === "/") {
      assert(this.#isComplete(body as Page), `${this.name} is shown ${JSON.stringify(body)}`);
    }
    return status;
  }

  #isComplete({ user, cart }: Page): boolean {
    return user === this.name && this.#acknowledged.every((item) => cart?.includes(item));
  }
}
