import { strict as assert } from "node:assert";
import { execFile, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { test } from "node:test";
import { inspect } from "node:util";
import { connect } from "../../src/client/connect.ts";
import {
  binPath,
  eventually,
  ProcessCluster,
  type SidecarProcess,
} from "../support/sidecar-process.ts";

/** No hexadecimal digit: what is found is no digest that happens to look alike. */
const letters = "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ";
/** More than the four characters that commands show of an id. */
const pieceCharacters = 7;

function secret(): string {
  return Array.from({ length: 32 }, () => letters.charAt(randomInt(letters.length))).join("");
}

function assertAbsent(secrets: readonly string[], text: string, where: string): void {
  for (const whole of secrets) {
    for (let at = 0; at + pieceCharacters <= whole.length; at++) {
      const piece = whole.slice(at, at + pieceCharacters);
      const found = text.indexOf(piece);
      if (found >= 0)
        assert.fail(`${where}: …${text.slice(Math.max(0, found - 200), found + 40)}…`);
    }
  }
}

const id = secret();
const other = secret();
const unknown = secret();
const value = secret();
const secrets = [id, other, unknown, value];

/** A bug, planted in the sidecar: at a signal it throws what holds the secrets in every way. */
const bug = `
  process.on("SIGUSR2", () => {
    const secrets = process.env.PLANTED;
    const session = { id: secrets, attributes: new Map([[secrets, secrets]]) };
    const error = new TypeError("no such session: " + secrets, { cause: session });
    throw Object.assign(error, { session });
  });
`;
const environment = {
  SESSIONCAST_LOG_LEVEL: "debug",
  PLANTED: secrets.join(" "),
  NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(bug)}`,
};

test("no session id and no value is in what sidecars write, count and refuse", async () => {
  const cluster = await ProcessCluster.open();
  try {
    const [one, two] = [cluster.add("one", environment), cluster.add("two", environment)];
    await one.start();
    const errors = await provoke(one);
    await sendRubbish(one);
    await two.start();
    await cluster.converged(2);
    const stats = JSON.stringify([await one.stats(), await two.stats()]);
    one.signal("SIGUSR2");
    await eventually(() => !one.running, "the bug has ended it");
    await one.start();
    await one.kill("SIGSEGV");
    await eventually(() => two.log.includes(" peer_down "), "it is missed");
    await two.kill("SIGTERM");
    // A process may have ended before all that it wrote is read.
    const hasCrashed = /E_UNEXPECTED\)\nTypeError\n {4}at process/;
    await eventually(() => hasCrashed.test(one.log), "the crash is told");
    await eventually(() => / stopped$/m.test(two.log), "the end is told");
    assert.match(one.log, /client_refused/);
    assert.match(two.printed, /runs node two/);
    assertAbsent(secrets, one.log + two.log, "log");
    assertAbsent(secrets, one.printed + two.printed, "standard output");
    assertAbsent(secrets, stats, "stats");
    for (const [what, error] of errors) assertAbsent(secrets, error, what);
  } finally {
    await cluster.close();
  }
});

/** Every way in which requests fail; what apps would log of it. */
async function provoke(node: SidecarProcess): Promise<[what: string, error: string][]> {
  const errors: [string, string][] = [];
  const client = await connect({ socket: node.socket, timeoutMs: 2_000 });
  const fails = async (what: string, code: string, request: () => Promise<unknown>) => {
    const error = await request().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert(error instanceof Error && "code" in error, what);
    assert.equal(error.code, `SESSIONCAST_${code}`, what);
    errors.push([what, `${error.stack} ${inspect(error, { depth: 9, showHidden: true })}`]);
  };
  const { stamp = "" } = await client.create(id, { value });
  await client.create(other, { value }, { owner: "ada" });
  const cycle: Record<string, unknown> = { value };
  cycle.self = cycle;
  await client.patch(id, { set: { value: [value] } });
  const ofNobody = stamp.replace(/\d+$/, "7");
  await fails("conflict", "CONFLICT", () => client.create(id, { value }));
  await fails("rotate", "CONFLICT", () => client.rotate(id, other));
  await fails("stamp", "CONFLICT", () => client.patch(id, { set: { value }, ifStamp: stamp }));
  await fails("size", "TOO_LARGE", () => client.set(id, { value: value.repeat(40_000) }));
  await fails("frame", "TOO_LARGE", () => client.set(id, { value: value.repeat(120_000) }));
  await fails("id", "INVALID", () => client.get(id.repeat(9)));
  await fails("surrogate", "INVALID", () => client.get(`${id}\ud800`));
  await fails("cycle", "INVALID", () => client.set(id, { cycle }));
  await fails("symbol", "INVALID", () => client.set(id, { value: Symbol(value) }));
  const failing = {
    get card(): string {
      return assert.fail(value);
    },
  };
  await fails("getter", "INVALID", () => client.set(id, { failing }));
  await fails("behind", "BEHIND", () => client.get(unknown, { atLeast: ofNobody }));
  assert.equal(await client.get(unknown), undefined);
  assert.equal((await client.patch(unknown, { set: { value } })).applied, false);
  const hasty = await connect({ socket: node.socket, timeoutMs: 50 });
  node.signal("SIGSTOP");
  await fails("timeout", "TIMEOUT", () => hasty.set(id, { value }));
  node.signal("SIGCONT");
  await hasty.close();
  await client.close();
  await fails("closed", "CLOSED", () => client.set(id, { value }));
  await fails("nobody", "UNAVAILABLE", () => connect({ socket: `${node.socket}.not` }));
  return errors;
}

/** On both ways in: what is no frame, and holds the secrets all the same. */
async function sendRubbish(node: SidecarProcess): Promise<void> {
  const socket = connectSocket(node.socket);
  const text = Buffer.from(secrets.join(" "));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  socket.on("error", () => {});
  socket.resume().end(Buffer.concat([length, text]));
  await once(socket, "close");
  const [address = "", port = ""] = (await node.stats()).datagrams.address.split(":");
  const sender = createSocket("udp4");
  sender.send(text, Number(port), address);
  await eventually(async () => {
    const { rejected } = (await node.stats()).datagrams;
    return Object.values(rejected).some((count) => count > 0);
  }, "the datagram is refused");
  sender.close();
}

test("commands show no session id in full, and values only to who asks for a session", async () => {
  const cluster = await ProcessCluster.open();
  let watches: readonly Watching[] = [];
  try {
    const [one, two] = [cluster.add("one"), cluster.add("two")];
    await Promise.all([one.start(), two.start()]);
    const client = await one.client();
    await client.create(id, { value }, { owner: "ada" });
    await cluster.converged(1);
    const at = ["--socket", one.socket];
    watches = [[], ["--json"]].map((json) => watch(...at, ...json));
    await eventually(async () => (await one.stats()).local.watching === 2, "both look on");
    const ids = [id, other, unknown];
    for (const json of [[], ["--json"]]) {
      const shown = (...argv: readonly string[]) =>
        command(argv[0] ?? "", ...at, ...json, ...argv.slice(1));
      const silent = ["stats", "peers", "list"].map((verb) => shown(verb));
      for (const output of await Promise.all(silent)) assertAbsent(secrets, output, "counters");
      const asked = [await shown("get", id), await shown("set", id, `value=${value}`)];
      for (const output of asked) assert(output.includes(value));
      const ended = [
        await shown("rotate", id, other),
        await shown("get", id),
        await shown("destroy", other),
        await shown("destroy", unknown),
        await shown("rotate", unknown, other),
        await shown("get", id, unknown),
        await shown("set", id, value),
        await shown("get", `--${unknown}`),
        await shown("get", `-${unknown}`),
      ];
      assertAbsent(ids, asked.join("\n"), "a session");
      assertAbsent(secrets, ended.join("\n"), "what a command says");
      await client.create(id, { value });
    }
    for (const { shown } of watches) {
      await eventually(() => /created.*\n/.test(shown()), "watch shows a session");
      assertAbsent(secrets, shown(), "watch");
    }
    const full = await Promise.all([
      command("list", ...at, "--full", "--json"),
      command("list", ...at, "--full"),
      command("get", ...at, "--full", id),
    ]);
    for (const output of full) assert(output.includes(id), output);
  } finally {
    for (const { stop } of watches) stop();
    await cluster.close();
  }
});

interface Watching {
  shown(): string;
  stop(): void;
}

function watch(...argv: readonly string[]): Watching {
  const child = spawn(process.execPath, [binPath, "watch", ...argv]);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  return { shown: () => text, stop: () => child.kill("SIGKILL") };
}

function command(...argv: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [binPath, ...argv], (_, stdout, stderr) => {
      resolve(stdout + stderr);
    });
  });
}
