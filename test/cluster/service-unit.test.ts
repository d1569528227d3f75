import { strict as assert } from "node:assert";
import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Client, connect } from "../../src/client/connect.ts";
import { configurationKeys, schema } from "../../src/daemon/configuration-schema.ts";
import { environmentName } from "../../src/daemon/configuration-sources.ts";
import { binPath, eventually, freeUdpPort } from "../support/sidecar-process.ts";
import { bytesOf, environmentOf, settingOf, settingsOf } from "../support/unit-file.ts";

const unit = readFileSync(new URL("../../../config/sessioncast.service", import.meta.url), "utf8");
const service = settingsOf(unit, "Service");
const execStart = settingOf(service, "ExecStart");
const runtimeDirectory = `/run/${settingOf(service, "RuntimeDirectory")}`;
assert.match(execStart, /^sessioncast /);
const programOfCheckout = execStart.replace(/^sessioncast/, `${process.execPath} ${binPath}`);
/** As systemd 252 measures it; 0 is best. What is left is the network, and a host's file system. */
const exposureMax = 1.1;

const withoutAnalyze = isMissing("systemd-analyze") && "systemd-analyze is missing";
const withoutSetpriv =
  (process.platform !== "linux" && "restrictions of a process are a thing of Linux") ||
  (isMissing("setpriv") && "setpriv is missing");

test("systemd finds nothing wrong with the unit", { skip: withoutAnalyze }, () => {
  withUnit((path) => {
    const { stdout, stderr } = run("systemd-analyze", "verify", path);
    // It also says what is wrong with units that this one refers to, and they are the host's.
    const own = (stdout + stderr).split("\n").filter((line) => line.includes("sessioncast"));
    assert.deepEqual(own, []);
  });
});

test("systemd finds the unit little exposed", { skip: withoutAnalyze }, (t) => {
  withUnit((path) => {
    const options = ["--offline=true", "--no-pager"];
    const { stdout, stderr } = run("systemd-analyze", "security", ...options, path);
    if (/unrecognized option/.test(stderr)) {
      t.skip("this systemd-analyze cannot judge a file");
      return;
    }
    const [, exposure] = /Overall exposure level for .*: ([\d.]+) /.exec(stdout) ?? [];
    assert(exposure !== undefined, stdout + stderr);
    assert(Number(exposure) <= exposureMax, stdout);
  });
});

test("the unit sets only variables that there are", () => {
  const known = [...configurationKeys.map(environmentName), "SESSIONCAST_SOCKET", "NODE_OPTIONS"];
  for (const variable of Object.keys(environmentOf(service))) {
    assert(known.includes(variable), variable);
  }
});

test("the memory of the unit fits the default of sessions.bytesMax", () => {
  const [, heapMiB] =
    /^--max-old-space-size=(\d+)$/.exec(environmentOf(service).NODE_OPTIONS ?? "") ?? [];
  const heapBytes = Number(heapMiB) * 1_024 ** 2;
  assert(heapBytes >= 5 * schema["sessions.bytesMax"].default);
  // Buffers, stubs, code and the stacks of threads are outside of the heap.
  assert(bytesOf(settingOf(service, "MemoryMax")) >= heapBytes + 512 * 1_024 ** 2);
});

test("the sidecar runs as the unit has it", { skip: withoutSetpriv }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "sessioncast-unit-"));
  let child: ChildProcess | undefined;
  let client: Client | undefined;
  try {
    const environment = await environmentIn(directory);
    const socket = environment.SESSIONCAST_SOCKET ?? "";
    child = startConfined(environment);
    let output = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const running = child;
    await eventually(() => {
      assert.equal(running.exitCode, null, output);
      return existsSync(socket);
    }, "there is a socket");
    client = await connect({ socket, timeoutMs: 60_000 });
    assert.equal(statSync(socket).mode & 0o007, 0);
    await client.create("session", { user: "ada" });
    assert.deepEqual((await client.get("session"))?.attributes, { user: "ada" });
    assertConfined(running.pid ?? 0);
    await client.close();
    const gone = once(running, "exit");
    running.kill("SIGTERM");
    assert.deepEqual(await gone, [0, null], output);
    assert.equal(existsSync(socket), false);
  } finally {
    await client?.close();
    child?.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
});

test("the sidecar runs as a service of systemd", { skip: withoutSystemd() }, async () => {
  const name = `sessioncast-test-${randomBytes(4).toString("hex")}`;
  const path = `/run/systemd/system/${name}.service`;
  let client: Client | undefined;
  try {
    const port = await freeUdpPort();
    writeFileSync(path, renamed(name, port));
    systemctl("daemon-reload");
    systemctl("start", name);
    const socket = `/run/${name}/sessioncast.sock`;
    await eventually(() => existsSync(socket), `${name} has a socket`);
    client = await connect({ socket, timeoutMs: 60_000 });
    await client.create("session", { user: "ada" });
    assert.deepEqual((await client.get("session"))?.attributes, { user: "ada" });
    await client.close();
    systemctl("stop", name);
    const properties = ["Result", "ExecMainStatus", "NRestarts"].map((key) => `--property=${key}`);
    const ending = systemctl("show", name, ...properties)
      .trim()
      .split("\n")
      .sort();
    assert.deepEqual(ending, ["ExecMainStatus=0", "NRestarts=0", "Result=success"]);
  } finally {
    await client?.close();
    run("systemctl", "stop", name);
    rmSync(path, { force: true });
    run("systemctl", "daemon-reload");
  }
});

function run(program: string, ...argv: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(program, argv, { encoding: "utf8" });
}

function isMissing(program: string): boolean {
  return run(program, "--version").status !== 0;
}

function systemctl(...argv: readonly string[]): string {
  const { status, stdout, stderr } = run("systemctl", ...argv);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

/** Why no service can be started here; false: one can. */
function withoutSystemd(): string | false {
  if (process.getuid?.() !== 0) return "services of the system need root";
  const state = isMissing("systemctl") ? "" : run("systemctl", "is-system-running").stdout.trim();
  if (state !== "running" && state !== "degraded") return "systemd does not run here";
  const hidden = [process.execPath, binPath].find((path) =>
    /^\/(home|root|tmp|var\/tmp)\//.test(path),
  );
  return hidden !== undefined && `services do not see ${hidden}`;
}

/** The unit beside others that may be there: with another name, and a user that need not exist. */
function renamed(name: string, port: number): string {
  const variables = [`SESSIONCAST_CLUSTER=${name}`, `SESSIONCAST_GOSSIP_PORT=${port}`];
  return unit
    .replace(`ExecStart=${execStart}`, `ExecStart=${programOfCheckout}`)
    .replaceAll("/run/sessioncast/", `/run/${name}/`)
    .replace("RuntimeDirectory=sessioncast", `RuntimeDirectory=${name}`)
    .replace(/^User=.*\nGroup=.*$/m, "DynamicUser=yes")
    .replace(/^EnvironmentFile=.*$/m, variables.map((line) => `Environment=${line}`).join("\n"));
}

/** The unit with the program of this checkout, since an installed one would have to be there. */
function withUnit(work: (path: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "sessioncast-unit-"));
  try {
    const path = join(directory, "sessioncast.service");
    writeFileSync(path, unit.replace(`ExecStart=${execStart}`, `ExecStart=${programOfCheckout}`));
    work(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** That of the unit, in a directory of the test's own and as a cluster that nobody else is in. */
async function environmentIn(directory: string): Promise<Record<string, string>> {
  const own = environmentOf(service);
  const socket = own.SESSIONCAST_SOCKET ?? "";
  assert(socket.startsWith(`${runtimeDirectory}/`));
  return {
    ...own,
    PATH: process.env.PATH ?? "",
    SESSIONCAST_SOCKET: socket.replace(runtimeDirectory, directory),
    SESSIONCAST_CLUSTER: `test-${randomBytes(4).toString("hex")}`,
    SESSIONCAST_GOSSIP_PORT: String(await freeUdpPort()),
  };
}

/** What can be had of the unit's restrictions without systemd: rights, files' modes, core dumps. */
function startConfined(environment: Record<string, string>): ChildProcess {
  const [mask, coreBlocks] = [settingOf(service, "UMask"), settingOf(service, "LimitCORE")];
  const rights = process.getuid?.() === 0 ? ["--bounding-set", "-all", "--inh-caps", "-all"] : [];
  const [, ...words] = execStart.split(" ");
  const command = [process.execPath, binPath, ...words];
  const confined = ["setpriv", "--no-new-privs", ...rights, "--", ...command];
  return spawn(
    "sh",
    ["-c", `umask ${mask} && ulimit -c ${coreBlocks} && exec "$@"`, "sh", ...confined],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: environment,
    },
  );
}

/** Or the test would not have tested that the sidecar does without. */
function assertConfined(pid: number): void {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^CapEff:\t0+$/m);
  assert.match(status, /^Umask:\t0077$/m);
}
