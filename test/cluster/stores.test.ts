/** Sites of the three frameworks beside real sidecars, on several nodes. */
import { strict as assert } from "node:assert";
import { type TestContext, test } from "node:test";
import { CookieJar } from "../support/cookie-jar.ts";
import { type Framework, frameworks, type Site } from "../support/framework-sites.ts";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";

/** The machine that runs tests may be busy with others for longer than users would wait. */
const timeoutMs = 30_000;
const maxAge = 600_000;
/** Of the adapter: at most a twentieth of the idle time, and ten seconds. */
const adapterWindowMs = 10_000;
/** Of the sidecar: a twentieth of the idle time. */
const sidecarWindowMs = 30_000;

interface Node {
  readonly sidecar: SidecarProcess;
  readonly site: Site;
  readonly behind: () => number;
}

type StoreOptions = Parameters<Framework["openStore"]>[0];

async function openNodes(
  t: TestContext,
  framework: Framework,
  environments: readonly Record<string, string>[],
  options: StoreOptions & { readonly rolling?: boolean } = {},
): Promise<{ readonly cluster: ProcessCluster; readonly nodes: readonly Node[] }> {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const sidecars = environments.map((environment, index) =>
    cluster.add(`node-${index}`, environment),
  );
  await Promise.all(sidecars.map((sidecar) => sidecar.start()));
  const nodes = sidecars.map(async (sidecar) => {
    const store = framework.openStore({ socket: sidecar.socket, timeoutMs, ...options });
    t.after(() => store.close());
    let behind = 0;
    store.on("behind", () => {
      behind += 1;
    });
    const { rolling = false } = options;
    const site = await framework.serve(t, store, { maxAge, rolling, resave: rolling });
    return { sidecar, site, behind: () => behind };
  });
  await cluster.converged(0);
  return { cluster, nodes: await Promise.all(nodes) };
}

async function visit(node: Node, path: string, jar: CookieJar): Promise<unknown> {
  const { status, body } = await jar.visit(node.site.origin + path);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

for (const framework of frameworks) {
  const { name } = framework;

  test(`${name}: changes that two nodes make at the same time both count`, async (t) => {
    const { cluster, nodes } = await openNodes(t, framework, [{}, {}]);
    const [one, two] = nodes;
    assert(one && two);
    const jar = new CookieJar();
    await visit(one, "/login/ada", jar);
    await cluster.converged(1);
    const arrived = one.site.gate.arrival();
    const slow = visit(one, "/hold/slow/1", jar.copy());
    await arrived;
    await visit(two, "/put/fast/2", jar);
    await cluster.converged(1);
    one.site.gate.release();
    await slow;
    await cluster.converged(1);
    for (const node of nodes) {
      const seen = (await visit(node, "/show", jar)) as object;
      assert.deepEqual(Object.entries(seen).sort(), [
        ["fast", "2"],
        ["slow", "1"],
        ["user", "ada"],
      ]);
    }
  });

  test(`${name}: a redirect never meets a stale node, though datagrams are lost`, async (t) => {
    const options = { consistency: "session", consistencySecret: "shared" } as const;
    const deaf = { SESSIONCAST_GOSSIP_FAULT_DROP_RATE: "0.5" };
    const { nodes } = await openNodes(t, framework, [{}, deaf], options);
    const [one, two] = nodes;
    assert(one && two);
    let behindBefore = 0;
    /**
     * The second node shows what the first has done. If it has said that it cannot, this browser
     * does not ask any more for what it had written until then.
     */
    const follows = async (jar: CookieJar, expected: object) => {
      const seen = await visit(two, "/show", jar);
      if (two.behind() === behindBefore) assert.deepEqual(seen, expected);
    };
    for (let run = 0; run < 15; run += 1) {
      behindBefore = two.behind();
      const jar = new CookieJar();
      await visit(one, `/login/user-${run}`, jar);
      await follows(jar, { user: `user-${run}` });
      await visit(one, "/put/cart/book", jar);
      await follows(jar, { user: `user-${run}`, cart: "book" });
      await visit(one, "/logout", jar);
      await follows(jar, {});
    }
    assert(two.behind() < 15, "most browsers see what they have done");
  });

  test(`${name}: a sidecar is killed and comes back while requests are served`, async (t) => {
    const { cluster, nodes } = await openNodes(t, framework, [{}, {}]);
    const [one] = nodes;
    assert(one);
    const jar = new CookieJar();
    await visit(one, "/login/ada", jar);
    await cluster.converged(1);
    const load = new Load(one, jar);
    await eventually(() => load.served > 100, "requests are served");
    await one.sidecar.kill("SIGKILL");
    await eventually(() => load.failed > 10, "requests fail");
    await one.sidecar.start();
    const { served } = load;
    await eventually(() => load.served > served + 100, "requests are served again");
    await load.stop();
    assert.deepEqual(load.surprises, []);
    const codes = one.site.errors.map(({ code }) => code);
    assert.deepEqual([...new Set(codes)], ["SESSIONCAST_UNAVAILABLE"]);
  });
}

/** Browsers of one session that read and write without a pause. */
class Load {
  served = 0;
  failed = 0;
  /** What should not have been answered. */
  readonly surprises: unknown[] = [];
  readonly #workers: Promise<void>[];
  #isOver = false;

  constructor(node: Node, jar: CookieJar) {
    this.#workers = Array.from({ length: 8 }, (_, index) => this.#work(node, jar.copy(), index));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#workers);
  }

  async #work(node: Node, jar: CookieJar, index: number): Promise<void> {
    for (let count = 0; !this.#isOver; count += 1) {
      const path = count % 2 === 0 ? "/show" : `/put/worker-${index}/${count}`;
      const { status, body } = await jar.visit(node.site.origin + path);
      const { user, code } = body as { user?: string; code?: string };
      if (status === 200 && user === "ada") this.served += 1;
      else if (status === 500 && code === "SESSIONCAST_UNAVAILABLE") this.failed += 1;
      else this.surprises.push({ path, status, body });
    }
  }
}

for (const framework of frameworks) {
  test(`${framework.name}: a storm of uses is few touches, and fewer to the peers`, async (t) => {
    const options = { rolling: true } as const;
    const { nodes } = await openNodes(t, framework, [{}, {}], options);
    const [one] = nodes;
    assert(one);
    const jar = new CookieJar();
    await visit(one, "/login/ada", jar);
    const startMs = performance.now();
    const before = await one.sidecar.stats();
    const client = await one.sidecar.client();
    const visits = 300;
    for (let count = 0; count < visits; count += 1) await visit(one, "/show", jar);
    const { local } = await one.sidecar.stats();
    const touches = Number(local.requests) - Number(before.local.requests) - visits - 1;
    const windows = (windowMs: number) => 1 + Math.floor((performance.now() - startMs) / windowMs);
    assert(touches >= 0 && touches <= windows(adapterWindowMs), `${touches} touches`);
    const [{ id = "" } = {}] = (await client.list()).sessions;
    const storm = Array.from({ length: 1_000 }, () => client.touch(id, { idleMs: maxAge }));
    await Promise.all(storm);
    const { stream } = await one.sidecar.stats();
    const replicated = Number(stream.deltasSent) - Number(before.stream.deltasSent);
    assert(replicated <= windows(sidecarWindowMs), `${replicated} touches replicated`);
  });
}
