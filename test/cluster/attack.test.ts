import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Attack, type AttackMode } from "../support/attack.ts";
import { KeyFiles } from "../support/key-files.ts";
import { LoadWriter } from "../support/load-writer.ts";
import { type LabHost, NetworkLab, withoutLab } from "../support/network-lab.ts";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";

const skip = withoutLab();
const sessions = 200;
/** A million datagrams, or what the machine sends in that time; on a slow one, at least so many. */
const flood = { rate: 50_000, seconds: 20, least: 200_000 };
/**
 * By how many octets a node's objects, and the memory of its process, may be more after a flood:
 * one that kept of it what came would have some hundred millions more.
 */
const growthMax = { held: 64 * 1024 * 1024, resident: 128 * 1024 * 1024 };

interface Site {
  readonly lab: NetworkLab;
  readonly cluster: ProcessCluster;
  readonly members: readonly [SidecarProcess, SidecarProcess];
  readonly stranger: LabHost;
  /** Not started. */
  readonly late: SidecarProcess;
}

/** Two hosts with sidecars that share a key, one whose owner has none, and one more with a key. */
async function site(t: { after(run: () => Promise<void>): void }): Promise<Site> {
  const lab = new NetworkLab(4);
  const cluster = await ProcessCluster.open();
  t.after(async () => {
    await cluster.close();
    lab.remove();
  });
  const files = new KeyFiles(cluster.directory);
  const [one, two, stranger, third] = lab.hosts;
  assert(one && two && stranger && third);
  const add = (name: string, { address, prefix }: LabHost) =>
    cluster.add(
      name,
      { SESSIONCAST_GOSSIP_INTERFACE: address, ...files.environment(name) },
      prefix,
    );
  const members = [add("one", one), add("two", two)] as const;
  await startAll(members);
  return { lab, cluster, members, stranger, late: add("late", third) };
}

async function startAll(members: readonly SidecarProcess[]): Promise<void> {
  await Promise.all(members.map((member) => member.start()));
  const [one] = members;
  await eventually(async () => (await one?.stats())?.peers[0]?.state === "up", "they meet");
}

async function createSessions(member: SidecarProcess): Promise<void> {
  const client = await member.client();
  const ids = Array.from({ length: sessions }, (_, id) => `load-${id}`);
  await Promise.all(ids.map((id) => client.create(id, { text: "x".repeat(100) })));
}

async function rejected(member: SidecarProcess, reason: string): Promise<number> {
  return (await member.stats()).datagrams.rejected[reason] ?? 0;
}

async function memoryOf(member: SidecarProcess): Promise<{ held: number; resident: number }> {
  const { memory } = await member.stats();
  return { held: memory.heapUsedBytes + memory.externalBytes, resident: memory.residentBytes };
}

/** What a member has told the others by its stream so far, and what of theirs has changed it. */
async function streamOf(member: SidecarProcess): Promise<{ sent: number; applied: number }> {
  const { stream, reconcile } = await member.stats();
  const { deltasSent = 0, deltasApplied = 0 } = stream;
  // Counted as applied is also what transfers brought, which is no work of the stream.
  return { sent: deltasSent, applied: deltasApplied - (reconcile.recordsReceived ?? 0) };
}

const reasons: readonly (readonly [AttackMode, string])[] = [
  ["garbage", "bad_magic"],
  ["headers", "bad_header"],
  ["recorded", "replayed"],
];

for (const [mode, reason] of reasons) {
  test(`a flood of ${mode} from a foreign host changes nothing`, { skip }, async (t) => {
    const { cluster, members, stranger } = await site(t);
    await createSessions(members[0]);
    await cluster.converged(sessions);
    const attack = await Attack.prepare(stranger, cluster, mode, flood);
    t.after(async () => attack.kill());
    const writers: LoadWriter[] = [];
    for (const [index, member] of members.entries()) {
      writers.push(new LoadWriter(await member.client(), `by-${index}`, sessions));
    }
    await eventually(() => attack.heard > 100, "the stranger hears the group");
    const before = await Promise.all(members.map(memoryOf));
    const streamsBefore = await Promise.all(members.map(streamOf));
    const writesBefore = writers.map(({ writes }) => writes);
    const { sent, perSecond } = await attack.send();
    const streams = await Promise.all(members.map(streamOf));
    const writes = writers.map(({ writes: now }, index) => now - (writesBefore[index] ?? 0));
    t.diagnostic(`${sent} datagrams, ${perSecond} a second; ${writes.join(" and ")} writes`);
    assert(sent >= flood.least);
    for (const each of writes) assert(each >= sessions, "each session was written meanwhile");
    const grown = streams.map(({ sent: told, applied }, index) => ({
      told: told - (streamsBefore[index]?.sent ?? 0),
      applied: applied - (streamsBefore[index]?.applied ?? 0),
    }));
    for (const [index, { applied }] of grown.entries()) {
      const { told = 0 } = grown[1 - index] ?? {};
      t.diagnostic(`${members[index]?.node} applied ${applied} of ${told} deltas`);
      assert(told >= sessions, "what was written left meanwhile");
      assert(applied >= told / 2, "and arrived meanwhile");
    }
    for (const writer of writers) await writer.stop();
    await cluster.converged(sessions);
    for (const [index, member] of members.entries()) {
      const client = await member.client();
      for (const writer of writers) assert.deepEqual(await writer.lackedBy(client), []);
      const { peers, membership, datagrams } = await member.stats();
      assert.deepEqual(
        peers.map(({ node }) => node),
        [members[1 - index]?.node],
      );
      assert.equal(membership.namesTaken, 0);
      assert((datagrams.groupNarrowed ?? 0) > 0, "the stranger was not heard any more");
      assert((await rejected(member, reason)) > 0, `${member.node} counts it as ${reason}`);
      const now = await memoryOf(member);
      const { held = 0, resident = 0 } = before[index] ?? {};
      t.diagnostic(`${member.node} grew by ${now.resident - resident} octets`);
      assert(now.held < held + growthMax.held, "what is held stays");
      assert(now.resident < resident + growthMax.resident, "and so does the memory");
    }
  });
}

test("a node joins members that a flood has narrowed, and they open again", { skip }, async (t) => {
  const { cluster, members, stranger, late } = await site(t);
  const isNarrow = async () =>
    (await members[0].stats()).warnings.some((text) => /flood/.test(text));
  await createSessions(members[0]);
  const attack = await Attack.prepare(stranger, cluster, "garbage", { rate: 20_000, seconds: 12 });
  t.after(async () => attack.kill());
  const sending = attack.send();
  await eventually(isNarrow, "only members are heard");
  await late.start();
  const up = async () => (await late.stats()).peers.filter(({ state }) => state === "up");
  await eventually(async () => (await up()).length === 2, "it knows the members");
  await (await late.client()).create("of-the-late", { a: 1 });
  await cluster.converged(sessions + 1);
  await sending;
  await eventually(async () => !(await isNarrow()), "everybody is heard again");
});

test("datagrams from port 0, where nobody can be answered, stop no node", { skip }, async (t) => {
  const { lab, cluster, members, stranger } = await site(t);
  const attack = await Attack.prepare(stranger, cluster, "recorded", { rate: 5_000, seconds: 2 });
  t.after(async () => attack.kill());
  await eventually(() => attack.heard > 20, "the stranger records");
  await Promise.all(members.map((member) => member.kill("SIGKILL")));
  await startAll(members);
  lab.portless(stranger);
  await attack.send();
  for (const member of members) {
    await eventually(async () => (await rejected(member, "portless")) > 0, "they came");
    const { datagrams, peers } = await member.stats();
    assert.equal(peers[0]?.state, "up");
    assert((datagrams.groupNarrowed ?? 0) > 0, "the stranger was not heard any more");
  }
});

test("recorded traffic cannot bring back what died with the cluster", { skip }, async (t) => {
  const { cluster, members, stranger } = await site(t);
  const attack = await Attack.prepare(stranger, cluster, "recorded", { rate: 5_000, seconds: 3 });
  t.after(async () => attack.kill());
  await createSessions(members[0]);
  await cluster.converged(sessions);
  await eventually(() => attack.heard > 10, "the stranger records");
  await Promise.all(members.map((member) => member.kill("SIGKILL")));
  await startAll(members);
  const { sent } = await attack.send();
  t.diagnostic(`${sent} datagrams of the dead`);
  for (const [index, member] of members.entries()) {
    const stats = await member.stats();
    assert.equal(stats.sessions.count, 0);
    assert.equal(stats.reconcile.recordsReceived, 0);
    const up = stats.peers.filter(({ state }) => state === "up");
    assert.deepEqual(
      up.map(({ node }) => node),
      [members[1 - index]?.node],
    );
    assert(((await member.stats()).guard.unprovenFrames ?? 0) > 0, "they were heard");
  }
});
