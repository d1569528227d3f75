import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { pathFaultWords } from "../../src/daemon/peer-ways.ts";
import { LoadWriter } from "../support/load-writer.ts";
import { NetworkLab, withoutLab, withoutThrottle } from "../support/network-lab.ts";
import {
  eventually,
  ProcessCluster,
  type SidecarProcess,
  type Stats,
} from "../support/sidecar-process.ts";

const skip = withoutLab();
const sessions = 200;
const inFlight = 200;

interface Site {
  readonly lab: NetworkLab;
  readonly cluster: ProcessCluster;
  readonly nodes: readonly SidecarProcess[];
}

/** So many hosts, each with a sidecar that is not started yet. */
async function site(
  t: { after(run: () => Promise<void>): void },
  hosts: number,
  environment: Record<string, string> = {},
): Promise<Site> {
  const lab = new NetworkLab(hosts);
  const cluster = await ProcessCluster.open();
  t.after(async () => {
    await cluster.close();
    lab.remove();
  });
  const nodes = lab.hosts.map(({ address, prefix }, index) =>
    cluster.add(
      `host-${index}`,
      {
        SESSIONCAST_GOSSIP_INTERFACE: address,
        SESSIONCAST_GOSSIP_INSECURE_PLAINTEXT: "true",
        ...environment,
      },
      prefix,
    ),
  );
  return { lab, cluster, nodes };
}

async function startAll({ nodes }: Site): Promise<void> {
  await Promise.all(nodes.map((node) => node.start()));
  const [first] = nodes;
  assert(first);
  await eventually(
    async () => standings(await first.stats(), "up") === nodes.length - 1,
    "all know each other",
  );
}

/** How many peers are in this state, as a node sees them. */
function standings({ peers }: Stats, state: string): number {
  return peers.filter((peer) => peer.state === state).length;
}

async function createSessions(node: SidecarProcess, count = sessions): Promise<void> {
  const client = await node.client();
  for (let from = 0; from < count; from += inFlight) {
    const ids = Array.from({ length: Math.min(inFlight, count - from) }, (_, at) => from + at);
    await Promise.all(ids.map((id) => client.create(`load-${id}`, { text: "x".repeat(100) })));
  }
}

/** One writer on each of these nodes, all writing to the same sessions. */
async function load(nodes: readonly SidecarProcess[]): Promise<LoadWriter[]> {
  const clients = await Promise.all(nodes.map((node) => node.client()));
  return clients.map((client, index) => new LoadWriter(client, `by-${index}`, sessions));
}

async function untilWritten(writers: readonly LoadWriter[], writes: number): Promise<void> {
  await eventually(() => writers.every((writer) => writer.writes >= writes), "much is written");
}

/** Equal digests, and every acknowledged write on every node. */
async function demandWhole(
  { cluster, nodes }: Site,
  writers: readonly LoadWriter[],
): Promise<void> {
  for (const writer of writers) await writer.stop();
  await cluster.converged();
  for (const node of nodes) {
    for (const writer of writers) assert.deepEqual(await writer.lackedBy(await node.client()), []);
  }
}

for (const percent of [10, 30]) {
  test(`nothing is lost when ${percent} % of all datagrams are`, { skip }, async (t) => {
    const place = await site(t, 3);
    await startAll(place);
    await createSessions(place.nodes[0] as SidecarProcess);
    await place.cluster.converged(sessions);
    place.lab.lose(percent);
    const writers = await load(place.nodes);
    await untilWritten(writers, 3_000);
    await demandWhole(place, writers);
    const asked = await place.nodes[1]?.stats();
    assert((asked?.naks.sequencesAsked ?? 0) > 0, "there was something to repair");
  });
}

test("a cluster cut in two for 20 s is one again, with the writes of both", { skip }, async (t) => {
  const place = await site(t, 4);
  await startAll(place);
  const [first, ...others] = place.nodes;
  assert(first);
  await createSessions(first);
  await place.cluster.converged(sessions);
  const writers = await load(place.nodes);
  place.lab.part(place.lab.hosts.slice(0, 2), place.lab.hosts.slice(2));
  await pause(20_000);
  const down = (await first.stats()).peers.filter(({ state }) => state === "down");
  assert.equal(down.length, 2);
  place.lab.heal();
  await demandWhole(place, writers);
  assert.equal(others.length, 3);
});

test("a write that is out of reach is told, and had once it is not", { skip }, async (t) => {
  const place = await site(t, 2);
  await startAll(place);
  const [one, two] = place.nodes;
  assert(one && two);
  const [writer, reader] = [await one.client(), await two.client()];
  place.lab.part(place.lab.hosts.slice(0, 1), place.lab.hosts.slice(1));
  const { stamp, confirmations } = await writer.create("s", { a: 1 }, { ack: 1 });
  assert.equal(confirmations, 0);
  await assert.rejects(reader.get("s", { atLeast: stamp }), { code: "SESSIONCAST_BEHIND" });
  assert.equal(await reader.get("s"), undefined);
  place.lab.heal();
  await place.cluster.converged(1);
  assert.deepEqual((await reader.get("s", { atLeast: stamp }))?.attributes, { a: 1 });
});

test("a peer that only others hear is vouched for, and not down", { skip }, async (t) => {
  const place = await site(t, 3);
  await startAll(place);
  const [one, two] = place.nodes;
  assert(one && two);
  place.lab.part(place.lab.hosts.slice(0, 1), place.lab.hosts.slice(1, 2));
  for (const node of [one, two]) {
    await eventually(
      async () => standings(await node.stats(), "vouched") === 1,
      `${node.node} hears that the other lives`,
    );
  }
  await (await one.client()).set("s", { a: 1 });
  await place.cluster.converged(1);
  place.lab.heal();
  for (const node of [one, two]) {
    await eventually(async () => standings(await node.stats(), "up") === 2, "both are heard again");
    assert.doesNotMatch(node.log, /peer_down/);
  }
});

test("a host that is cut off from several knows that it is", { skip }, async (t) => {
  const place = await site(t, 3);
  await startAll(place);
  const [alone, other] = place.nodes;
  assert(alone && other);
  place.lab.part(place.lab.hosts.slice(0, 1), place.lab.hosts.slice(1));
  await eventually(async () => standings(await other.stats(), "down") === 1, "others miss it");
  const { peers, warnings } = await alone.stats();
  assert.deepEqual(
    peers.map(({ state }) => state),
    ["suspected", "suspected"],
  );
  assert.match(warnings.join(), /no peer is heard/);
  place.lab.heal();
  await eventually(async () => standings(await alone.stats(), "up") === 2, "it hears them again");
  assert.doesNotMatch((await alone.stats()).warnings.join(), /no peer is heard/);
  assert.doesNotMatch(alone.log, /peer_down/);
});

test("a node killed under load comes back with everything", { skip }, async (t) => {
  const place = await site(t, 3);
  await startAll(place);
  const [one, two, three] = place.nodes;
  assert(one && two && three);
  await createSessions(one);
  const writers = await load([one, two]);
  await untilWritten(writers, 500);
  await three.kill("SIGKILL");
  await untilWritten(writers, 1_000);
  await three.start();
  await untilWritten(writers, 2_000);
  await demandWhole(place, writers);
});

test("what a peer confirmed outlives a writer that is cut off under load", { skip }, async (t) => {
  const place = await site(t, 3);
  await startAll(place);
  const [writer, ...survivors] = place.nodes;
  const [host, ...others] = place.lab.hosts;
  assert(writer && host);
  const client = await writer.client();
  const confirmed: string[] = [];
  const write = async (id: string) => {
    const { confirmations = 0 } = await client.create(id, {}, { ack: 1, ackTimeoutMs: 10_000 });
    if (confirmations > 0) confirmed.push(id);
  };
  const load = (name: string) =>
    Array.from({ length: inFlight }, (_, at) => write(`${name}-${at}`));
  for (let burst = 0; burst < 10; burst++) await Promise.all(load(`heard-${burst}`));
  const last = [...load("last")];
  place.lab.part([host], others);
  last.push(...load("unheard"));
  const outcomes = Promise.allSettled(last);
  await eventually(
    async () => ((await writer.stats()).confirmations.asked ?? 0) === 12 * inFlight,
    "all is written there",
  );
  await writer.kill("SIGKILL");
  await outcomes;
  assert(confirmed.length >= 10 * inFlight, "those before were confirmed");
  assert(!confirmed.some((id) => id.startsWith("unheard")), "nobody heard those");
  for (const survivor of survivors) {
    const reader = await survivor.client();
    for (const id of confirmed) assert(await reader.get(id), `${id} is on ${survivor.node}`);
  }
});

test("a node frozen under load catches up when it thaws", { skip }, async (t) => {
  const place = await site(t, 3);
  await startAll(place);
  const [one, two, three] = place.nodes;
  assert(one && two && three);
  await createSessions(one);
  await place.cluster.converged(sessions);
  const writers = await load([one, two]);
  three.signal("SIGSTOP");
  await pause(5_000);
  three.signal("SIGCONT");
  await demandWhole(place, writers);
});

test("a node joins 100 000 sessions under load", { skip }, async (t) => {
  const place = await site(t, 2);
  const [one, two] = place.nodes;
  assert(one && two);
  await one.start();
  await createSessions(one, 100_000);
  const writers = await load([one]);
  await two.start();
  await demandWhole(place, writers);
  assert.equal((await two.stats()).sessions.count, 100_000);
});

test("a host that multicast does not reach gets copies, and says why", { skip }, async (t) => {
  const place = await site(t, 3);
  await startAll(place);
  const [one, two, three] = place.nodes;
  const [, , host] = place.lab.hosts;
  assert(one && two && three && host);
  await createSessions(one);
  place.lab.deafen(host);
  // Of the first peer that is missed it thinks for a moment that it is that one's fault.
  await eventually(async () => {
    const { peers } = await three.stats();
    const stopped = peers.filter(
      ({ multicast, multicastFault }) =>
        multicast === false && multicastFault === pathFaultWords.stopped,
    );
    return stopped.length === 2;
  }, "it knows that it is deaf, and that it was not before");
  assert((await three.stats()).warnings.join().includes(pathFaultWords.stopped));
  const { copiesSent = 0 } = (await one.stats()).paths;
  const writers = await load(place.nodes);
  await untilWritten(writers, 1_000);
  await demandWhole(place, writers);
  const stats = await one.stats();
  assert((stats.paths.copiesSent ?? 0) > copiesSent, "copies went out");
});

test("a receive buffer of 8 KiB loses bursts and no session", { skip }, async (t) => {
  const small = { SESSIONCAST_GOSSIP_RECEIVE_BUFFER_BYTES: "8192" };
  const place = await site(t, 3, small);
  await startAll(place);
  await createSessions(place.nodes[0] as SidecarProcess, 5_000);
  const writers = await load(place.nodes);
  await untilWritten(writers, 3_000);
  await demandWhole(place, writers);
  const stats = await Promise.all(place.nodes.map((node) => node.stats()));
  const asked = stats.reduce((sum, { naks }) => sum + (naks.sequencesAsked ?? 0), 0);
  assert(asked > 0, "bursts were lost");
});

const skipSlow = withoutThrottle();

test("what the kernel takes late leaves as it was sent", { skip: skipSlow }, async (t) => {
  const place = await site(t, 2);
  await startAll(place);
  const [writer, reader] = place.nodes;
  const [host] = place.lab.hosts;
  assert(writer && reader && host);
  place.lab.throttle(host, "2mbit");
  await createSessions(writer, 10_000);
  await place.cluster.converged(10_000);
  const { pacing } = await writer.stats();
  assert((pacing.backlogPauses ?? 0) > 0, "the kernel was not always ready");
  const { rejected } = (await reader.stats()).datagrams;
  assert.deepEqual(rejected, {});
});
