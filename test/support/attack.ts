import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { LabHost } from "./network-lab.ts";
import type { ProcessCluster } from "./sidecar-process.ts";

export interface AttackOptions {
  readonly rate: number;
  readonly seconds: number;
  /** It goes on until it has sent so many, if that takes longer. */
  readonly least?: number;
  /** That of the group unless told otherwise: then nobody listens. */
  readonly port?: number;
}

export type AttackMode = "garbage" | "headers" | "recorded";

const program = fileURLToPath(new URL("segment-attacker.js", import.meta.url));
/** What the configuration has by default. */
const group = "239.255.83.67";

/** Somebody on the segment who has no key; see segment-attacker.ts. */
export class Attack {
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  heard = 0;

  private constructor(child: ChildProcess) {
    this.#process = child;
  }

  /** Resolves when it listens. */
  static async prepare(
    host: LabHost,
    cluster: ProcessCluster,
    mode: AttackMode,
    { rate, seconds, least = 0, port = cluster.port }: AttackOptions,
  ): Promise<Attack> {
    const hear = cluster.port;
    const options = { mode, group, hear, port, address: host.address, rate, seconds, least };
    const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    const [command = "", ...prefix] = [...host.prefix, process.execPath, program, ...flags];
    const child = spawn(command, prefix, { stdio: ["pipe", "pipe", "inherit"] });
    const attack = new Attack(child);
    assert(child.stdout !== null);
    const lines = createInterface(child.stdout);
    lines.on("line", (line) => attack.#onLine(line));
    await once(lines, "line");
    return attack;
  }

  /** Begins to send; resolves when it has sent all, with how fast that was. */
  async send(): Promise<{ readonly sent: number; readonly perSecond: number }> {
    this.#process.stdin?.end("go\n");
    const [code] = await once(this.#process, "close");
    assert.equal(code, 0, "the attacker ends well");
    return JSON.parse(this.#lines.at(-1) ?? "{}");
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #onLine(line: string): void {
    if (line.startsWith("heard ")) this.heard = Number(line.slice("heard ".length));
    else this.#lines.push(line);
  }
}
