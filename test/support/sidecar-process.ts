import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client, connect } from "../../src/client/connect.ts";

export const binPath = fileURLToPath(new URL("../../../bin/sessioncast.js", import.meta.url));

/** The part of `stats` that tests look at. */
export interface Stats {
  readonly pid: number;
  readonly node: string;
  readonly state: string;
  readonly digest: string;
  readonly sessions: { readonly count: number; readonly bytes: number; readonly stubs: number };
  readonly peers: readonly {
    readonly node: string;
    readonly state: string;
    readonly lastHeardMs: number;
    readonly address: string;
    readonly multicast?: boolean;
    readonly multicastFault?: string;
  }[];
  readonly paths: Record<string, number> & { readonly mode: string };
  readonly datagrams: Record<string, number> & { readonly address: string } & {
    readonly rejected: Record<string, number>;
  };
  readonly warnings: readonly string[];
  readonly keys?: { readonly uses: string; readonly opens: readonly string[] };
  readonly naks: Record<string, number>;
  readonly pacing: Record<string, number>;
  readonly memory: Readonly<Record<`${"resident" | "heapUsed" | "external"}Bytes`, number>>;
  readonly eventLoopDelayMs: Readonly<Record<"p50" | "p99" | "p999" | "max", number>>;
  readonly confirmations: Record<string, number>;
  readonly membership: Record<string, number> & { readonly ownPauses: number };
  readonly stream: Record<string, number>;
  readonly reconcile: Record<string, number>;
  readonly guard: Record<string, number>;
  readonly local: Record<string, number> & { readonly refusals: Record<string, number> };
  readonly cpuMicros: number;
}

/** A folder, a cluster name and a port of their own for real sidecars of one test. */
export class ProcessCluster {
  readonly name = `test-${randomBytes(4).toString("hex")}`;
  readonly directory = mkdtempSync(join(tmpdir(), "sessioncast-test-"));
  readonly port: number;
  readonly nodes: SidecarProcess[] = [];

  private constructor(port: number) {
    this.port = port;
  }

  static async open(): Promise<ProcessCluster> {
    return new ProcessCluster(await freeUdpPort());
  }

  /** A node that is not started yet; `prefix` is a command that runs the sidecar's. */
  add(
    node: string,
    environment: Record<string, string> = {},
    prefix: readonly string[] = [],
  ): SidecarProcess {
    const sidecar = new SidecarProcess(this, node, environment, prefix);
    this.nodes.push(sidecar);
    return sidecar;
  }

  /** Kills what still runs and removes the folder. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill("SIGKILL")));
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Resolves when all running nodes hold the same `count` sessions. */
  async converged(count?: number): Promise<void> {
    const running = this.nodes.filter((node) => node.running);
    await eventually(async () => {
      const all = await Promise.all(running.map((node) => node.stats()));
      return all.every(
        ({ digest, sessions, state }) =>
          state === "ready" &&
          digest === all[0]?.digest &&
          (count === undefined || sessions.count === count),
      );
    }, `${running.length} nodes converge`);
  }
}

/** One real sidecar, started from the command line as an operator would. */
export class SidecarProcess {
  readonly node: string;
  readonly socket: string;
  /** What it logged, for the message of a failing test. */
  log = "";
  /** What it wrote to its standard output. */
  printed = "";
  readonly #cluster: ProcessCluster;
  readonly #environment: Record<string, string>;
  readonly #prefix: readonly string[];
  #child: ChildProcess | undefined;
  #client: Client | undefined;

  constructor(
    cluster: ProcessCluster,
    node: string,
    environment: Record<string, string>,
    prefix: readonly string[],
  ) {
    this.#prefix = prefix;
    this.#cluster = cluster;
    this.node = node;
    this.#environment = environment;
    this.socket = join(cluster.directory, `${node}.sock`);
  }

  /** Resolves when the sidecar answers and is ready. */
  async start(): Promise<this> {
    const child = this.#spawn();
    await eventually(async () => {
      assert(this.#child === child, `${this.node} runs:\n${this.log}`);
      return (await this.stats()).state === "ready";
    }, `${this.node} is ready`);
    return this;
  }

  /** Resolves as soon as the sidecar answers, while it may still be joining. */
  async launch(): Promise<this> {
    this.#spawn();
    await eventually(async () => (await this.stats()).pid > 0, `${this.node} answers`);
    return this;
  }

  #spawn(): ChildProcess {
    const { name, port } = this.#cluster;
    const [program = "", ...argv] = [...this.#prefix, process.execPath, binPath, "start"];
    const child = spawn(program, argv, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH ?? "",
        SESSIONCAST_NODE: this.node,
        SESSIONCAST_CLUSTER: name,
        SESSIONCAST_GOSSIP_PORT: String(port),
        SESSIONCAST_SOCKET: this.socket,
        ...this.#environment,
      },
    });
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.printed += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    child.once("exit", () => {
      if (this.#child === child) this.#child = undefined;
    });
    return child;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async client(): Promise<Client> {
    this.#client ??= await connect({ socket: this.socket, timeoutMs: patienceMs });
    return this.#client;
  }

  async stats(): Promise<Stats> {
    const client = await this.client();
    return (await client.stats()) as unknown as Stats;
  }

  /** For signals that do not end it. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Resolves with the exit code (null after a signal) when the process is gone. */
  async kill(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    await this.#client?.close();
    this.#client = undefined;
    if (child === undefined) return null;
    const gone = once(child, "exit");
    child.kill(signal);
    const [code] = await gone;
    return code as number | null;
  }
}

const patienceMs = 60_000;

/**
 * Looks again and again until the condition holds; an error counts as "not yet". The limit is only
 * there to end a test that hangs: it says nothing about how long anything should take.
 */
export async function eventually(
  condition: () => Promise<boolean> | boolean,
  what: string,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  let reason: unknown;
  while (performance.now() < deadline) {
    try {
      if (await condition()) return;
      reason = undefined;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      reason = error;
    }
    await pause(10);
  }
  throw new Error(`never: ${what}`, { cause: reason });
}

export async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}
