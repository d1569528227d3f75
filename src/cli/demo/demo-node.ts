import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Client } from "../../client/connect.ts";
import { HopelessError } from "./deadline.ts";

export interface DemoNodeOptions {
  readonly node: string;
  readonly cluster: string;
  readonly socket: string;
  readonly port: number;
}

export interface DemoStats {
  readonly pid: number;
  readonly state: string;
  readonly digest: string;
  readonly sessions: { readonly count: number };
  readonly peers: readonly { readonly node: string; readonly state: string }[];
}

const program = fileURLToPath(new URL("../../../../bin/sessioncast.js", import.meta.url));
const requestTimeoutMs = 1_000;
const stderrCharactersMax = 4_000;

/** One sidecar as a process of its own, and a connection to it. */
export class DemoNode {
  readonly name: string;
  readonly #options: DemoNodeOptions;
  #child: ChildProcess | undefined;
  #client: Promise<Client> | undefined;
  #stderr = "";

  constructor(options: DemoNodeOptions) {
    this.name = options.node;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** The end of what it wrote to stderr; shown when a step fails. */
  get lastWords(): string {
    return this.#stderr.trim();
  }

  start(): void {
    const { node, cluster, socket, port } = this.#options;
    const flags = { node, cluster, socket, port: String(port), interface: "loopback" };
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    // Not detached: all stay in the process group of the demo, so Ctrl-C reaches every one of them.
    const child = spawn(process.execPath, [program, "start", ...words, "--log-level", "warn"], {
      env: environmentWithoutSettings(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrCharactersMax);
    });
    child.on("error", (error) => {
      this.#stderr += error.message;
    });
    this.#child = child;
  }

  async client(): Promise<Client> {
    if (!this.isRunning) throw new HopelessError(`the process of node ${this.name} has ended`);
    this.#client ??= this.#connect();
    return this.#client;
  }

  async #connect(): Promise<Client> {
    try {
      const { connect } = await import("../../client/connect.ts");
      return await connect({ socket: this.#options.socket, timeoutMs: requestTimeoutMs });
    } catch (error) {
      // The next call tries anew: the socket appears some time after the process.
      this.#client = undefined;
      throw error;
    }
  }

  async stats(): Promise<DemoStats> {
    const client = await this.client();
    const stats = readStats(await client.stats());
    // A restarted node leaves its socket behind; only the new process may answer for it.
    if (stats.pid !== this.pid) throw new Error(`another process answers for node ${this.name}`);
    return stats;
  }

  async #disconnect(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    await client?.close();
  }

  /** How the process ended: its exit code, or the signal that killed it. */
  async stop(signal: "SIGTERM" | "SIGKILL", deadlineMs: number): Promise<number | string> {
    const child = this.#child;
    if (child === undefined) return 0;
    await this.#disconnect();
    if (this.isRunning) {
      const ended = once(child, "exit");
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
      await ended;
      clearTimeout(timer);
    }
    return child.exitCode ?? child.signalCode ?? "unknown";
  }

  /** For the last moment of the process, when nothing can be waited for. */
  killNow(): void {
    if (this.isRunning) this.#child?.kill("SIGKILL");
  }
}

/** Settings of the user's own sidecar must not reach those of the demo. */
function environmentWithoutSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("SESSIONCAST_")),
  );
}

function readStats(stats: object): DemoStats {
  const { pid, state, digest, sessions, peers } = stats as Partial<DemoStats>;
  const isWhole = pid !== undefined && state !== undefined && digest !== undefined;
  if (!isWhole || sessions === undefined || peers === undefined) {
    throw new Error("the stats lack pid, state, digest, sessions or peers");
  }
  return { pid, state, digest, sessions, peers };
}
