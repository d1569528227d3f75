import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./deadline.ts";
import { DemoNode } from "./demo-node.ts";

const stopMs = 3_000;
const pollEveryMs = 20;

/** Three sidecars that no other cluster meets: own name, own port, own directory. */
export class DemoCluster {
  readonly directory: string;
  readonly cluster: string;
  readonly port: number;
  readonly nodes: readonly [DemoNode, DemoNode, DemoNode];
  readonly #signal: AbortSignal;

  constructor(options: { readonly port: number; readonly signal: AbortSignal }) {
    this.directory = mkdtempSync(join(tmpdir(), "sessioncast-demo-"));
    this.cluster = `demo-${randomBytes(4).toString("hex")}`;
    this.port = options.port;
    this.#signal = options.signal;
    const node = (name: string) =>
      new DemoNode({
        node: name,
        cluster: this.cluster,
        socket: join(this.directory, `${name}.sock`),
        port: this.port,
      });
    this.nodes = [node("a"), node("b"), node("c")];
  }

  /** Waits until `holds` is true of every node; all must live, else waiting would be in vain. */
  async untilAll(options: {
    readonly deadlineMs: number;
    readonly what: string;
    holds(all: readonly Awaited<ReturnType<DemoNode["stats"]>>[]): boolean;
  }): Promise<void> {
    let seen = "nothing yet";
    await until({
      deadlineMs: options.deadlineMs,
      everyMs: pollEveryMs,
      signal: this.#signal,
      describe: () => `${options.what}; seen: ${seen}`,
      check: async () => {
        const all = await Promise.all(this.nodes.map((node) => node.stats()));
        seen = all.map(({ state, sessions }) => `${state}, ${sessions.count} sessions`).join(" | ");
        return options.holds(all) || undefined;
      },
    });
  }

  /** Leaves nothing behind, whatever happened before; may be called twice. */
  async close(): Promise<readonly (number | string)[]> {
    const endings = await Promise.all(this.nodes.map((node) => node.stop("SIGTERM", stopMs)));
    this.removeNow();
    return endings;
  }

  /** What can be done in an exit handler. */
  removeNow(): void {
    for (const node of this.nodes) node.killNow();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Free at this moment. Should another process take it meanwhile, cluster names keep us apart. */
export async function pickFreePort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}
