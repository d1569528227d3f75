import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { chmodSync, existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { binPath, ProcessCluster } from "../support/sidecar-process.ts";

const execute = promisify(execFile);
const id = "session-that-nobody-may-see";
const secret = "value-that-nobody-may-see";

async function command(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  try {
    const { stdout, stderr } = await execute(process.execPath, [binPath, ...argv]);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

test("monitoring sees stats and peers, and no session", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const statsSocket = join(cluster.directory, "monitoring", "stats.sock");
    const one = cluster.add("one", {
      SESSIONCAST_LOCAL_SOCKET_MODE: "0600",
      SESSIONCAST_LOCAL_STATS_SOCKET: statsSocket,
      SESSIONCAST_LOG_LEVEL: "debug",
    });
    await Promise.all([one.start(), cluster.add("two").start()]);
    const modes = [one.socket, statsSocket, join(cluster.directory, "monitoring")].map(
      (path) => lstatSync(path).mode & 0o777,
    );
    assert.deepEqual(modes, [0o600, 0o660, 0o750]);

    const client = await one.client();
    await client.create(id, { [secret]: secret }, { owner: secret });
    await client.get(id);
    await client.watch({}, () => {});
    await client.rotate(id, `${id}-2`);
    await client.destroy(`${id}-2`);
    await client.create(id, { [secret]: secret });
    await cluster.converged(1);

    const at = ["--socket", statsSocket];
    const shown = await command("stats", ...at, "--json");
    const stats = JSON.parse(shown.out);
    assert.equal(stats.sessions.count, 1);
    assert.equal(stats.local.statsClients, 1);
    const peers = await command("peers", ...at);
    assert.match(peers.out, /\btwo\b/);
    for (const { code, out, err } of [shown, peers, await command("stats", ...at)]) {
      assert.equal(code, 0, err);
      assert.doesNotMatch(out, /nobody-may-see/);
    }
    assert.doesNotMatch(one.log, /nobody-may-see/);

    const before = stats.local.refusals.verbForbidden;
    const refused = [["get", id], ["list"], ["set", id, "a=1"], ["destroy", id], ["watch"]];
    for (const [verb = "", ...argv] of refused) {
      const { code, out, err } = await command(verb, ...at, ...argv);
      assert.equal(code, 1, verb);
      assert.equal(out, "", verb);
      assert.match(
        err,
        /not allowed on the stats socket\. .*--socket.*SESSIONCAST_FORBIDDEN/,
        verb,
      );
    }
    const { local } = await one.stats();
    assert.equal(local.refusals.verbForbidden, before + refused.length);
    assert.deepEqual((await client.get(id))?.attributes, { [secret]: secret });

    assert.equal(await one.kill("SIGTERM"), 0, one.log);
    assert.equal(existsSync(statsSocket) || existsSync(one.socket), false);
  } finally {
    await cluster.close();
  }
});

test("a directory in which anybody could replace the socket stops the start", async () => {
  const cluster = await ProcessCluster.open();
  try {
    chmodSync(cluster.directory, 0o777);
    const socket = join(cluster.directory, "one.sock");
    const refused = await command("start", "--node", "one", "--socket", socket);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /everybody may replace what is in .*chmod o-w.*E_SOCKET_DIRECTORY/);
    assert.equal(existsSync(socket), false);

    const one = cluster.add("one", { SESSIONCAST_LOCAL_INSECURE_DIRECTORY: "true" });
    await one.start();
    assert.match((await one.stats()).warnings.join("\n"), /local\.insecureDirectory/);
    assert.match(one.log, /local\.insecureDirectory/);
  } finally {
    await cluster.close();
  }
});
