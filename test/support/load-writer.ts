import type { Client } from "../../src/client/connect.ts";

/**
 * A client that writes without pause until it is told to stop, and remembers what was acknowledged:
 * each of its attributes has the value of the last acknowledged write, or of a later one.
 */
export class LoadWriter {
  readonly #client: Client;
  readonly #attribute: string;
  readonly #sessions: number;
  readonly #ballast: string;
  readonly #acknowledged = new Map<string, number>();
  #stopped = false;
  #writes = 0;
  readonly #done: Promise<void>;

  /** Writers of one cluster need attributes of their own; sessions they may share. */
  constructor(client: Client, attribute: string, sessions: number, ballastBytes = 0) {
    this.#ballast = "x".repeat(ballastBytes);
    this.#client = client;
    this.#attribute = attribute;
    this.#sessions = sessions;
    this.#done = this.#run();
  }

  get writes(): number {
    return this.#writes;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** What a node lacks of the acknowledged writes; empty: nothing. */
  async lackedBy(client: Client): Promise<string[]> {
    const lacked: string[] = [];
    for (const [id, value] of this.#acknowledged) {
      const session = await client.get<Record<string, number>>(id);
      const held = session?.attributes[this.#attribute];
      if (held === undefined || held < value) lacked.push(`${id}: ${held} instead of ${value}`);
    }
    return lacked;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const burst = Array.from({ length: 20 }, () => this.#write());
      await Promise.all(burst);
      // A turn of the event loop for everybody else.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async #write(): Promise<void> {
    this.#writes += 1;
    const value = this.#writes;
    const id = `load-${value % this.#sessions}`;
    const change: Record<string, number | string> = { [this.#attribute]: value };
    if (this.#ballast !== "") change[`${this.#attribute}-ballast`] = this.#ballast;
    const { applied } = await this.#client.patch(id, { set: change });
    if (applied) this.#acknowledged.set(id, Math.max(value, this.#acknowledged.get(id) ?? 0));
  }
}
