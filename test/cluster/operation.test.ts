import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import { binPath, eventually, ProcessCluster } from "../support/sidecar-process.ts";

const execute = promisify(execFile);

interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function command(...argv: string[]): Promise<CommandResult> {
  try {
    const { stdout, stderr } = await execute(process.execPath, [binPath, ...argv]);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as CommandResult;
    return { code, stdout, stderr };
  }
}

test("the command line writes, reads, lists and destroys sessions", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const { socket } = await cluster.add("one").start();
    const at = ["--socket", socket];
    assert.equal((await command("set", ...at, "first", "user=ada", "visits=1")).code, 0);
    assert.equal((await command("set", ...at, "first", "visits=2", "--idle", "30m")).code, 0);
    const shown = await command("get", ...at, "first", "--json");
    assert.deepEqual(JSON.parse(shown.stdout).attributes, { user: "ada", visits: 2 });
    const listed = await command("list", ...at, "--json", "--full");
    assert.match(listed.stdout, /"first"/);
    const owned = await command("set", ...at, "second", "user=ada", "--owner", "ada");
    assert.equal(owned.code, 0);
    const ofAda = await command("list", ...at, "--owner", "ada", "--json");
    assert.equal(JSON.parse(ofAda.stdout).sessions.length, 1);
    assert.match((await command("logout", ...at, "ada")).stdout, /destroyed 1 session/);
    assert.equal((await command("get", ...at, "second")).code, 1);
    assert.equal((await command("destroy", ...at, "first")).code, 0);
    const gone = await command("get", ...at, "first");
    assert.equal(gone.code, 1);
    assert.notEqual(gone.stderr, "");
  } finally {
    await cluster.close();
  }
});

test("stats tell who is there and what is held", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const [one, two] = [cluster.add("one"), cluster.add("two")];
    await Promise.all([one.start(), two.start()]);
    await (await one.client()).create("session", { user: "ada" });
    await cluster.converged(1);
    const { stdout } = await command("stats", "--socket", two.socket, "--json");
    const stats = JSON.parse(stdout);
    assert.equal(stats.node, "two");
    assert.equal(stats.cluster, cluster.name);
    assert.equal(stats.state, "ready");
    assert.equal(stats.sessions.count, 1);
    assert.equal(stats.sessions.bytes > 0, true);
    assert.equal(stats.uptimeMs > 0, true);
    assert.equal(stats.peers[0].node, "one");
    assert.equal(stats.peers[0].state, "up");
    assert.match(stats.peers[0].address, /^127\.0\.0\.1:\d+$/);
    assert.equal(stats.digest, (await one.stats()).digest);
    assert.equal(stats.datagrams.received > 0, true);
    assert.equal(typeof stats.naks.sent, "number");
    assert.equal(stats.memory.residentBytes > stats.memory.heapUsedBytes, true);
    assert.equal(stats.eventLoopDelayMs.max >= stats.eventLoopDelayMs.p50, true);
  } finally {
    await cluster.close();
  }
});

test("a node that stops says so and removes its socket; a killed one is found out", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const nodes = ["one", "two", "three"].map((name) => cluster.add(name));
    const [one, two, three] = nodes;
    assert(one && two && three);
    await Promise.all(nodes.map((node) => node.start()));
    const stateOf = async (name: string) =>
      (await one.stats()).peers.find(({ node }) => node === name)?.state;
    assert.equal(await two.kill("SIGTERM"), 0, two.log);
    assert.equal(existsSync(two.socket), false);
    await eventually(async () => (await stateOf("two")) === "left", "two has left");
    await three.kill("SIGKILL");
    await eventually(async () => (await stateOf("three")) === "down", "three is down");
    await three.start();
    await eventually(async () => (await stateOf("three")) === "up", "three is back");
    assert.equal(await one.kill("SIGINT"), 0, one.log);
  } finally {
    await cluster.close();
  }
});

test("a sidecar without keys leaves as well when its terminal goes", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const node = await cluster.add("alone").start();
    assert.equal(await node.kill("SIGHUP"), 0, node.log);
    assert.equal(existsSync(node.socket), false);
  } finally {
    await cluster.close();
  }
});

test("a socket that is in use is refused and says by whom; a stale one is replaced", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const one = await cluster.add("one").start();
    const second = await command("start", "--node", "second", "--socket", one.socket);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /E_SOCKET_BUSY/);
    assert.match(second.stderr, /\bone\b/);
    await one.kill("SIGKILL");
    assert.equal(existsSync(one.socket), true);
    await one.start();
  } finally {
    await cluster.close();
  }
});

test("datagrams that are not sealed do not leave the machine unless told to", async () => {
  const network = await command("start", "--interface", "auto");
  assert.equal(network.code, 1);
  // A host without any network has none to choose from, which is an error of its own.
  assert.match(network.stderr, /E_PLAINTEXT|E_INTERFACE/);
});
