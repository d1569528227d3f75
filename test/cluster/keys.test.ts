import { strict as assert } from "node:assert";
import { appendFileSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { heldKeys } from "../../src/cli/key-holders.ts";
import { nextStep } from "../../src/cli/key-rotation.ts";
import { addKey, retireKey, useKey } from "../../src/daemon/key-file-edit.ts";
import { runCommand } from "../support/command-line.ts";
import { KeyFiles, writeKeys } from "../support/key-files.ts";
import { LoadWriter } from "../support/load-writer.ts";
import { NetworkLab, withoutLab } from "../support/network-lab.ts";
import { eventually, ProcessCluster, type SidecarProcess } from "../support/sidecar-process.ts";
import { testKey } from "../support/test-keys.ts";

const skip = withoutLab();
const sessions = 50;
const names = ["one", "two", "three"];

/** What a node proposes to do next. */
async function proposal(node: SidecarProcess): Promise<string> {
  const held = heldKeys({ ...(await node.stats()) });
  assert(held !== undefined, "it has keys");
  return nextStep(held.holders, held.older);
}

async function allPropose(nodes: readonly SidecarProcess[], step: RegExp): Promise<void> {
  const all = async () => Promise.all(nodes.map(proposal));
  await eventually(async () => (await all()).every((text) => step.test(text)), String(step));
}

/** Every writer gets on by so much, so that what is done now meets writes under way. */
async function written(writers: readonly LoadWriter[], more = 100): Promise<void> {
  const before = writers.map(({ writes }) => writes);
  await eventually(
    () => writers.every(({ writes }, index) => writes >= (before[index] ?? 0) + more),
    `${more} writes more of each`,
  );
}

/** Half of the nodes by the command, the others by the signal; not at the same moment. */
async function reload(nodes: readonly SidecarProcess[], writers: readonly LoadWriter[]) {
  for (const [index, node] of nodes.entries()) {
    const logged = node.log.length;
    if (index % 2 === 0) await (await node.client()).reloadKeys();
    else node.signal("SIGHUP");
    await eventually(
      () => node.log.slice(logged).includes("keys_reloaded"),
      `${node.node} reloads`,
    );
    await written(writers);
  }
}

function assertSilent({ secrets }: KeyFiles, words: string): void {
  for (const secret of secrets) assert.ok(!words.includes(secret.slice(0, 12)), words);
}

test("keys are changed under load: nothing is lost, and nothing shows a key", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const files = new KeyFiles(cluster.directory);
  const nodes = names.map((name) => cluster.add(name, files.environment(name)));
  await Promise.all(nodes.map((node) => node.start()));
  const clients = await Promise.all(nodes.map((node) => node.client()));
  for (let id = 0; id < sessions; id++) await clients[0]?.create(`load-${id}`, {});
  await cluster.converged(sessions);
  const old = files.fingerprint;
  await allPropose(nodes, new RegExp(`^all use ${old} and hold no other`));
  const writers = clients.map((client, index) => new LoadWriter(client, `by-${index}`, sessions));
  await written(writers);

  const young = files.edit((text, file) => addKey(text, file));
  files.copyTo(...names);
  await reload(nodes.slice(0, 1), writers);
  const [one] = nodes;
  assert(one !== undefined);
  await allPropose([one], new RegExp(`^wait: ${young} is not on three, two;`));
  await reload(nodes.slice(1), writers);
  await allPropose(nodes, new RegExp(`^safe: all hold ${young}, so let it seal`));

  files.edit((text, file) => useKey(text, file, young));
  files.copyTo(...names);
  await reload(nodes.slice(0, 2), writers);
  await allPropose(nodes, new RegExp(`^under way: .*${young}.*; retire none before`));
  await reload(nodes.slice(2), writers);
  await allPropose(nodes, new RegExp(`^safe: no node uses ${old} any more`));

  files.edit((text, file) => retireKey(text, file, old));
  files.copyTo(...names);
  await reload(nodes, writers);
  await allPropose(nodes, new RegExp(`^all use ${young} and hold no other`));
  await written(writers);

  for (const writer of writers) await writer.stop();
  await cluster.converged(sessions);
  for (const client of clients) {
    for (const writer of writers) assert.deepEqual(await writer.lackedBy(client), []);
  }
  for (const node of nodes) {
    const stats = await node.stats();
    assert.deepEqual(stats.datagrams.rejected, {}, "no datagram came that could not be opened");
    assert.equal(stats.naks.sequencesLost, 0);
    assertSilent(files, node.log + JSON.stringify(stats));
  }
  const shown = await Promise.all(
    ["keys", "peers", "stats"].map((command) => runCommand([command, "--socket", one.socket])),
  );
  for (const { code, stdout, stderr } of shown) {
    assert.equal(code, 0, stderr);
    assert.ok(stdout.includes(young), stdout);
    assertSilent(files, stdout);
  }
});

test("nodes of other keys, of another identity and without any never meet", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  // The same tags in every run: by chance two clusters may have the same.
  const clusterName = { SESSIONCAST_CLUSTER: "keys-test" };
  const node = (name: string, ...lines: readonly (readonly [string, number])[]) => {
    const path = join(cluster.directory, `key-${name}`);
    writeKeys(path, ...lines);
    return cluster.add(name, { ...clusterName, SESSIONCAST_GOSSIP_KEY_FILE: path });
  };
  const one = node("one", ["identity", 1], ["use", 2]);
  const two = node("two", ["identity", 1], ["use", 2]);
  const otherKey = node("other-key", ["identity", 1], ["use", 3]);
  const otherIdentity = node("other-identity", ["identity", 4], ["use", 2]);
  const bare = cluster.add("bare", clusterName);
  const strangers = [otherKey, otherIdentity, bare];
  await Promise.all([one, two, ...strangers].map((each) => each.start()));
  await (await one.client()).create("ours", { user: "ada" });
  await Promise.all(
    strangers.map(async (each) => (await each.client()).create(`of-${each.node}`, {})),
  );
  await eventually(async () => {
    const { wrong_key, wrong_cluster, unsealed } = (await one.stats()).datagrams.rejected;
    return [wrong_key, wrong_cluster, unsealed].every((count) => (count ?? 0) > 5);
  }, "one hears all strangers and counts them");
  await eventually(async () => {
    const counted = (await bare.stats()).datagrams.rejected;
    return (counted.sealed ?? 0) > 5;
  }, "who has no key takes nothing that is sealed");
  await eventually(async () => (await two.stats()).sessions.count === 1, "two has it");
  for (const each of strangers) {
    const { peers, sessions: held } = await each.stats();
    assert.deepEqual(peers, [], each.node);
    assert.equal(held.count, 1, each.node);
  }
  for (const each of [one, two]) {
    const { peers, sessions: held } = await each.stats();
    assert.deepEqual(
      peers.map(({ node: name }) => name),
      [each === one ? "two" : "one"],
    );
    assert.equal(held.count, 1);
  }
});

test("on a network nodes have a key, or ask for none, loudly; they never mix", {
  skip,
}, async (t) => {
  const lab = new NetworkLab(4);
  const cluster = await ProcessCluster.open();
  t.after(async () => {
    await cluster.close();
    lab.remove();
  });
  const files = new KeyFiles(cluster.directory);
  const nodes = lab.hosts.map(({ address, prefix }, at) => {
    const name = `host-${at}`;
    const seal =
      at < 2 ? files.environment(name) : { SESSIONCAST_GOSSIP_INSECURE_PLAINTEXT: "true" };
    return cluster.add(name, { SESSIONCAST_GOSSIP_INTERFACE: address, ...seal }, prefix);
  });
  await Promise.all(nodes.map((node) => node.start()));
  for (const [at, node] of nodes.entries()) {
    await (await node.client()).create(`of-${at}`, {});
    const mate = at ^ 1;
    await eventually(async () => {
      const { peers, sessions: held, datagrams } = await node.stats();
      const strange = datagrams.rejected[at < 2 ? "unsealed" : "sealed"] ?? 0;
      return peers[0]?.state === "up" && strange > 5 && held.count > 0;
    }, `host-${at} meets host-${mate}, and hears the others in vain`);
    const { peers, warnings } = await node.stats();
    assert.deepEqual(
      peers.map(({ node: name }) => name),
      [`host-${mate}`],
    );
    const isLoud = [warnings.join(), node.log].every((text) => text.includes("PLAINTEXT: whoever"));
    assert.equal(isLoud, at >= 2);
  }
  for (const node of nodes) {
    await eventually(async () => (await node.stats()).sessions.count >= 2, "it has both");
    assert.equal((await node.stats()).sessions.count, 2, "and not those of the others");
  }
  const [host] = lab.hosts;
  const socket = join(cluster.directory, "s");
  const words = ["start", "--socket", socket, "--interface", host?.address ?? ""];
  const { code, stderr } = await runCommand(words, {}, host?.prefix);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /sessioncast keygen \/\S+; sessioncast start --key-file .*\(E_PLAINTEXT\)\n$/,
  );
});

test("a reload of a broken file keeps the old keys and says so", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const files = new KeyFiles(cluster.directory);
  const [one, two] = ["one", "two"].map((name) => cluster.add(name, files.environment(name)));
  assert(one !== undefined && two !== undefined);
  await Promise.all([one.start(), two.start()]);
  const secret = testKey(9).toString("hex");
  appendFileSync(files.path("one"), `${secret}\n`);
  const at = ["--socket", one.socket];
  const refused = await runCommand(["keys", "reload", ...at]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /line 6 of the key file .*\(SESSIONCAST_KEYS\)\n$/);
  one.signal("SIGHUP");
  await eventually(() => one.log.split("keys_not_reloaded").length === 3, "both are logged");
  for (const words of [refused.stderr, one.log]) assert.ok(!words.includes(secret.slice(0, 12)));
  await (await one.client()).create("after", { user: "ada" });
  await cluster.converged(1);
  assert.deepEqual((await one.stats()).keys, { uses: files.fingerprint, opens: [], older: [] });
  files.copyTo("one");
  const done = await runCommand(["keys", "reload", ...at]);
  assert.equal(done.stdout, `uses ${files.fingerprint}, opens no other\n`);
});

test("a key file that is open to others, or is contradicted, stops the start", async (t) => {
  const cluster = await ProcessCluster.open();
  t.after(() => cluster.close());
  const files = new KeyFiles(cluster.directory);
  files.copyTo("one");
  const path = files.path("one");
  const start = ["start", "--socket", join(cluster.directory, "s"), "--key-file", path];
  const both = await runCommand([...start, "--insecure-plaintext"]);
  assert.match(both.stderr, /\(E_PLAINTEXT\)\n$/);
  chmodSync(path, 0o644);
  const open = await runCommand(start);
  assert.match(open.stderr, /\(mode 0644\)\. Run chmod 600 .*\(E_KEY_MODE\)\n$/);
  assert.deepEqual([both.code, open.code], [1, 1]);
});
