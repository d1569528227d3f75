/** A real sidecar that is gone, or stopped, under a load of requests of all kinds. */
import { strict as assert } from "node:assert";
import { type TestContext, test } from "node:test";
import { SessioncastStore } from "../../src/adapters/express.ts";
import { type Client, createClient } from "../../src/client/connect.ts";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";

const workers = 4;
const inFlight = 8;

/** Each asks for something of its own, by the id that it is given. */
type Ask = (id: string) => Promise<unknown>;

function asksOf(client: Client): Ask[] {
  return [
    (id) => client.create(id, { user: "ada" }),
    (id) => client.set(id, { user: "ada" }, { owner: "ada" }),
    (id) => client.get(id),
    (id) => client.patch("kept", { set: { [id.slice(-1)]: id } }),
    (id) => client.touch(id, { idleMs: 60_000 }),
    (id) => client.rotate(id, `${id}-new`),
    (id) => client.destroy(`${id}-new`),
    (id) => client.destroyAll({ owner: id }),
    () => client.list({ limit: 2 }),
    () => client.count(),
    () => client.stats(),
    () => client.hello(),
    () => client.ping(),
    async () => (await client.watch({}, () => {})).close(),
  ];
}

/** What express-session calls: each tells its end by its callback, and once only. */
function asksOfStore(store: SessioncastStore): Ask[] {
  const session = { cookie: { maxAge: 60_000 }, user: "ada" };
  const promised =
    (call: (id: string, callback: (error?: unknown) => void) => void): Ask =>
    (id) =>
      new Promise<void>((resolve, reject) => {
        let calls = 0;
        call(id, (error) => {
          calls += 1;
          if (calls > 1) throw new Error("called back twice");
          if (error) reject(error);
          else resolve();
        });
      });
  return [
    promised((id, callback) => store.set(id, session, callback)),
    promised((id, callback) => store.get(id, callback)),
    promised((id, callback) => store.touch(id, session, callback)),
    promised((id, callback) => store.destroy(id, callback)),
    promised((_id, callback) => store.length(callback)),
  ];
}

/** Asks without a pause; whatever fails is asked no more, the next is. */
class Load {
  served = 0;
  readonly codes = new Map<unknown, number>();
  readonly open = new Set<Promise<void>>();
  asked = 0;
  isOver = false;
  readonly #name: string;
  readonly #asks: readonly Ask[];

  constructor(name: string, asks: readonly Ask[]) {
    this.#name = name;
    this.#asks = asks;
    for (let index = 0; index < workers; index++) void this.#work();
  }

  get failed(): number {
    return [...this.codes.values()].reduce((sum, count) => sum + count, 0);
  }

  async #work(): Promise<void> {
    while (!this.isOver) {
      await Promise.all(Array.from({ length: inFlight }, () => this.#ask()));
    }
  }

  #ask(): Promise<void> {
    this.asked += 1;
    const ask = this.#asks[this.asked % this.#asks.length];
    assert(ask !== undefined);
    const end = ask(`${this.#name}-${this.asked}`).then(
      () => {
        this.served += 1;
      },
      (error: { readonly code?: string }) => {
        // What has no code is shown as it is.
        const code = error.code ?? error;
        this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
      },
    );
    this.open.add(end);
    return end.finally(() => this.open.delete(end));
  }
}

interface Outage {
  readonly what: string;
  begin(sidecar: SidecarProcess): Promise<unknown>;
  end(sidecar: SidecarProcess): Promise<unknown>;
}

const outages: readonly Outage[] = [
  {
    what: "killed",
    begin: (sidecar) => sidecar.kill("SIGKILL"),
    end: (sidecar) => sidecar.start(),
  },
  {
    what: "stopped",
    begin: async (sidecar) => sidecar.signal("SIGSTOP"),
    end: async (sidecar) => sidecar.signal("SIGCONT"),
  },
];

async function loads(t: TestContext, sidecar: SidecarProcess): Promise<Load[]> {
  const { socket } = sidecar;
  const clients = [{}, { nearCache: { maxCount: 10, maxBytes: 10_000 } }].map((options) =>
    createClient({ socket, ...options }),
  );
  const store = new SessioncastStore({ socket });
  await clients[0]?.create("kept", {});
  const kinds = [...clients.map(asksOf), asksOfStore(store)];
  const all = kinds.map((asks, index) => new Load(`load-${index}`, asks));
  t.after(() => {
    for (const load of all) load.isOver = true;
    return Promise.all([...clients, store].map((each) => each.close()));
  });
  return all;
}

for (const { what, begin, end } of outages) {
  test(`of a sidecar that is ${what} under load each request ends, with a code`, async (t) => {
    const cluster = await ProcessCluster.open();
    t.after(() => cluster.close());
    const sidecar = await cluster.add("one").start();
    const all = await loads(t, sidecar);
    await eventually(() => all.every(({ served }) => served > 500), "requests are served");
    await begin(sidecar);
    // These were on their way; others are asked while there is nobody to answer.
    const caught = all.flatMap(({ open }) => [...open]);
    assert(caught.length > 0, "requests are under way");
    const isOpen = (end: Promise<void>) => all.some(({ open }) => open.has(end));
    await eventually(() => !caught.some(isOpen), "what was under way ends");
    const failed = all.map((load) => load.failed);
    const more = ({ failed: now }: Load, index: number) => now > (failed[index] ?? 0) + inFlight;
    await eventually(() => all.every(more), "requests fail");
    await end(sidecar);
    const served = all.map((load) => load.served);
    const again = ({ served: now }: Load, index: number) => now > (served[index] ?? 0) + 500;
    await eventually(() => all.every(again), "requests are served again");
    for (const load of all) load.isOver = true;
    await eventually(
      () => all.every((load) => load.asked === load.served + load.failed),
      "as many requests end as were asked for",
    );
    const codes = all.flatMap((load) => [...load.codes.keys()]);
    const expected = ["SESSIONCAST_UNAVAILABLE", "SESSIONCAST_TIMEOUT"];
    assert.deepEqual(new Set(codes.filter((code) => !expected.includes(String(code)))), new Set());
  });
}
