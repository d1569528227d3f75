import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./sidecar-process.ts";

const program = "redis-server";

/** What to say where there is none; false: there is one. */
export function withoutRedis(): string | false {
  if (spawnSync(program, ["--version"]).error === undefined) return false;
  return `${program} is not installed, so its clients are left out (apt-get install ${program})`;
}

/** A Redis of its own: on a Unix socket only, and nothing is written to disk. */
export class RedisProcess {
  readonly socket: string;
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), "sessioncast-redis-"));
    this.socket = join(this.#directory, "redis.sock");
    const argv = ["--port", "0", "--unixsocket", this.socket, "--dir", this.#directory];
    this.#child = spawn(program, [...argv, "--save", "", "--appendonly", "no"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** Resolves when it accepts connections. */
  static async start(): Promise<RedisProcess> {
    const redis = new RedisProcess();
    await eventually(async () => {
      const socket = connect(redis.socket);
      try {
        await once(socket, "connect");
        return true;
      } finally {
        socket.destroy();
      }
    }, "redis accepts connections");
    return redis;
  }

  async close(): Promise<void> {
    const gone = once(this.#child, "exit");
    if (this.#child.kill("SIGKILL")) await gone;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
