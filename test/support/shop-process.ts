import { strict as assert } from "node:assert";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const appPath = fileURLToPath(new URL("shop-app.js", import.meta.url));

/** The shop, running in a process of its own beside one sidecar. */
export class ShopProcess {
  readonly #socket: string;
  #child: ChildProcess | undefined;
  #port = 0;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async start(): Promise<this> {
    const env = { PATH: process.env.PATH ?? "", SESSIONCAST_SOCKET: this.#socket };
    const child = fork(appPath, { env, stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child = child;
    const [port] = await once(child, "message");
    this.#port = port as number;
    return this;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    this.#child = undefined;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get origin(): string {
    return `http://${this.address}`;
  }
}

/** What the shop's first page shows. */
export interface Page {
  readonly user: string | null;
  readonly cart: string[] | null;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Undefined when it broke off: who sends it may die after the status has left. */
  readonly body: unknown;
}

/** A browser with one cookie jar, as much of one as the tests need. */
export class Browser {
  readonly #cookies = new Map<string, string>();
  readonly #localAddress: string | undefined;

  constructor(localAddress?: string) {
    this.#localAddress = localAddress;
  }

  /** As a request carries it; empty: none. */
  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async get(site: { readonly origin: string }): Promise<Page> {
    return (await this.#succeed(site, "GET", "/")) as Page;
  }

  post(site: { readonly origin: string }, path: string): Promise<unknown> {
    return this.#succeed(site, "POST", path);
  }

  /** Whatever the status of the answer is. */
  async send(site: { readonly origin: string }, method: string, path: string): Promise<Answer> {
    const headers = this.cookie === "" ? {} : { cookie: this.cookie };
    const answer = await visit(site.origin, method, path, headers, this.#localAddress);
    for (const set of answer.headers["set-cookie"] ?? []) {
      const [name = "", value = ""] = (set.split(";")[0] ?? "").split(/=(.*)/s);
      this.#cookies.set(name, value);
    }
    return answer;
  }

  async #succeed(site: { readonly origin: string }, method: string, path: string) {
    const { status, body } = await this.send(site, method, path);
    if (body === undefined) throw new Error(`${method} ${path} broke off`);
    assert.equal(status, 200, `${method} ${path}: ${JSON.stringify(body)}`);
    return body;
  }
}

/** One request on a connection of its own, so that none can meet one that is just being closed. */
export async function visit(
  origin: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  localAddress?: string,
): Promise<Answer> {
  const request = httpRequest(origin + path, { method, headers, localAddress, agent: false });
  request.end();
  const [response] = await once(request, "response");
  const body = await text(response).catch(() => undefined);
  const isJson = String(response.headers["content-type"]).includes("json");
  return {
    status: response.statusCode,
    headers: response.headers,
    body: isJson && body !== undefined ? JSON.parse(body) : body,
  };
}
