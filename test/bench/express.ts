import { fileURLToPath } from "node:url";
import autocannon from "autocannon";
import { NodeProcess } from "../support/node-process.ts";
import { RedisProcess, withoutRedis } from "../support/redis-process.ts";
import { Browser } from "../support/shop-process.ts";
import { ProcessCluster } from "../support/sidecar-process.ts";
import { expressSubjects } from "./express-subjects.ts";
import { median, round, withSpread } from "./measure.ts";

const appPath = fileURLToPath(new URL("./express-app.js", import.meta.url));
const connections = 32;

export interface ExpressOptions {
  readonly repeats: number;
  readonly seconds: number;
}

export interface ExpressResult {
  readonly subject: string;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What the app's process took, garbage collection included. */
  readonly appCpuMicros: number;
  /** The median of the ratios of runs that followed each other. */
  readonly ratioToMemory: number;
}

type Run = Omit<ExpressResult, "subject" | "ratioToMemory">;

/**
 * Requests to the same small app with one store or another: each reads a session, and one in ten
 * changes an attribute. The app, the load, Redis, the sidecar, and a peer that gets every change
 * are processes of their own; the stores take turns within each repeat.
 */
export async function benchExpress(
  options: ExpressOptions,
  print: (line: string) => void,
): Promise<ExpressResult[]> {
  const cluster = await ProcessCluster.open();
  const missing = withoutRedis();
  const redis = missing === false ? await RedisProcess.start() : undefined;
  const sites = new Map<string, Site>();
  try {
    const sidecar = await cluster.add("one").start();
    await cluster.add("peer").start();
    if (missing !== false) print(missing);
    const sockets = { none: "", redis: redis?.socket, sidecar: sidecar.socket };
    for (const [subject, { server }] of Object.entries(expressSubjects)) {
      const socket = sockets[server];
      if (socket !== undefined) sites.set(subject, await Site.open(subject, socket));
    }
    const runs = await runAll(sites, options);
    const replicated = [...sites.keys()].filter(
      (subject) => expressSubjects[subject]?.server === "sidecar",
    );
    await cluster.converged(replicated.length * connections);
    return [...runs].map(([subject, some]) => resultOf(subject, some, runs, print));
  } finally {
    await Promise.all([...sites.values()].map((site) => site.close()));
    await redis?.close();
    await cluster.close();
  }
}

/** The app with one of the stores, and a user who is logged in for each connection to it. */
class Site {
  readonly origin: string;
  readonly #app: NodeProcess;
  readonly #cookies: string[] = [];

  private constructor(app: NodeProcess, port: number) {
    this.#app = app;
    this.origin = `http://127.0.0.1:${port}`;
  }

  static async open(subject: string, socket: string): Promise<Site> {
    const started = await NodeProcess.start<number>(appPath, [subject, socket], {
      NODE_ENV: "production",
    });
    const site = new Site(started.process, started.message);
    for (let index = 0; index < connections; index++) {
      const browser = new Browser();
      await browser.post(site, `/login/user-${index}`);
      site.#cookies.push(browser.cookie);
    }
    return site;
  }

  async run(seconds: number): Promise<Run> {
    let client = 0;
    const before = await this.#cpuMicros();
    const result = await autocannon({
      url: this.origin,
      connections,
      duration: seconds,
      setupClient: (connection) => connection.setRequests(this.#requestsOf(client++)),
    });
    const { errors, non2xx, duration, latency } = result;
    if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} refused`);
    return {
      requestsPerSecond: result["2xx"] / duration,
      p50Ms: latency.p50,
      p99Ms: latency.p99,
      appCpuMicros: ((await this.#cpuMicros()) - before) / result["2xx"],
    };
  }

  async #cpuMicros(): Promise<number> {
    const response = await fetch(`${this.origin}/cpu`);
    return Number(await response.text());
  }

  close(): Promise<void> {
    return this.#app.kill();
  }

  /** One in ten changes the session; not that of all users at once. */
  #requestsOf(client: number): autocannon.Request[] {
    const headers = { cookie: this.#cookies[client % connections] ?? "" };
    return Array.from({ length: 10 }, (_, index) => ({
      method: "GET",
      path: index === client % 10 ? "/visit" : "/",
      headers,
    }));
  }
}

/** The first run of each is not counted: its code is not compiled yet. */
async function runAll(
  sites: ReadonlyMap<string, Site>,
  { repeats, seconds }: ExpressOptions,
): Promise<Map<string, Run[]>> {
  const runs = new Map<string, Run[]>();
  for (const [subject, site] of sites) {
    await site.run(seconds);
    runs.set(subject, []);
  }
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [subject, site] of sites) runs.get(subject)?.push(await site.run(seconds));
  }
  return runs;
}

function resultOf(
  subject: string,
  some: readonly Run[],
  all: ReadonlyMap<string, readonly Run[]>,
  print: (line: string) => void,
): ExpressResult {
  const memory = all.get("memory") ?? [];
  const ratios = some.map(
    (run, repeat) => run.requestsPerSecond / (memory[repeat]?.requestsPerSecond ?? 0),
  );
  const of = (figure: keyof Run) => some.map((run) => run[figure]);
  print(`express, ${subject}`);
  print(`  requests/s            ${withSpread(of("requestsPerSecond"))}`);
  print(`  share of memory's     ${withSpread(ratios, 3)}`);
  print(`  app CPU a request, us ${withSpread(of("appCpuMicros"))}`);
  print(`  p50, ms               ${withSpread(of("p50Ms"), 1)}`);
  print(`  p99, ms               ${withSpread(of("p99Ms"), 1)}`);
  return {
    subject,
    requestsPerSecond: Math.round(median(of("requestsPerSecond"))),
    p50Ms: round(median(of("p50Ms"))),
    p99Ms: round(median(of("p99Ms"))),
    appCpuMicros: Math.round(median(of("appCpuMicros"))),
    ratioToMemory: round(median(ratios), 3),
  };
}
