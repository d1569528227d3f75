import { strict as assert } from "node:assert";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
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

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
}

/** A browser with one cookie jar, as much of one as the tests need. */
export class Browser {
  #cookie = "";

  async get(shop: ShopProcess): Promise<{ user: string | null; cart: string[] | null }> {
    return (await this.#request(shop, "GET", "/")) as never;
  }

  post(shop: ShopProcess, path: string): Promise<unknown> {
    return this.#request(shop, "POST", path);
  }

  async #request(shop: ShopProcess, method: string, path: string): Promise<unknown> {
    const response = await fetch(shop.origin + path, {
      method,
      headers: this.#cookie === "" ? {} : { cookie: this.#cookie },
    });
    const [cookie] = response.headers.getSetCookie();
    if (cookie !== undefined) this.#cookie = cookie.split(";")[0] ?? "";
    const body: unknown = await response.json();
    assert.equal(response.status, 200, `${method} ${path}: ${JSON.stringify(body)}`);
    return body;
  }
}
