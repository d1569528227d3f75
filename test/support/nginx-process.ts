import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { visit } from "./shop-process.ts";
import { eventually } from "./sidecar-process.ts";

/** Why this machine cannot have an nginx of the test's own; false: it can. */
export function withoutNginx(): string | false {
  if (process.platform !== "linux") return "only on Linux do clients have several addresses";
  if (spawnSync(program, ["-v"], { env }).error === undefined) return false;
  return "nginx is not installed (apt-get install nginx-light)";
}

const program = "nginx";
/** Where packages put it, which is not in the path of everybody. */
const env = { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/usr/local/sbin` };
const nobody = 65_534;

/** An nginx that runs an example of `config/`, without rights and in a folder of its own. */
export class NginxProcess {
  readonly origin: string;
  /** What it logged, for the message of a failing test. */
  log = "";
  readonly #directory: string;
  #child: ChildProcess | undefined;

  private constructor(port: number) {
    this.origin = `http://127.0.0.1:${port}`;
    this.#directory = mkdtempSync(join(tmpdir(), "sessioncast-nginx-"));
    chmodSync(this.#directory, 0o777);
  }

  /** The example as it is, but for its addresses: these servers, and a free port to listen on. */
  static async start(example: string, servers: readonly string[]): Promise<NginxProcess> {
    const port = await freeTcpPort();
    const nginx = new NginxProcess(port);
    let filled = readFileSync(example, "utf8").replace("listen 80;", `listen 127.0.0.1:${port};`);
    for (const [index, server] of servers.entries()) {
      filled = filled.replace(`app-${index + 1}:3000`, server);
    }
    try {
      await nginx.#start(filled);
      return nginx;
    } catch (error) {
      await nginx.close();
      throw error;
    }
  }

  async #start(filled: string): Promise<void> {
    const configuration = join(this.#directory, "nginx.conf");
    writeFileSync(configuration, mainConfiguration(this.#directory, filled));
    const unprivileged = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
    const child = spawn(program, ["-p", this.#directory, "-c", configuration], {
      stdio: ["ignore", "ignore", "pipe"],
      env,
      ...unprivileged,
    });
    this.#child = child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    child.once("exit", () => {
      this.#child = undefined;
    });
    await eventually(async () => {
      if (this.#child === undefined) throw new Error(`nginx has ended:\n${this.log}`);
      return (await visit(this.origin, "GET", "/")).status === 200;
    }, "nginx answers");
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child !== undefined) {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Says with each response which server gave it: of several that were asked, the last. */
function mainConfiguration(directory: string, included: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${directory}/${kind};`)
    .join("\n");
  return `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr error;
events {}
http {
access_log off;
${temporary}
add_header X-Upstream $upstream_addr always;
${included}
}
`;
}

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
