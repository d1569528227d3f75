import type { Prng } from "../../src/base/prng.ts";
import { between, exponential, oneOf, prngFor } from "./chance.ts";
import { CheckedClient } from "./checked-client.ts";
import type { SimulationOptions, WorkloadAction } from "./options.ts";
import type { PeerWaits } from "./peer-waits.ts";
import type { SimNode } from "./sim-node.ts";
import type { WriteLedger } from "./write-ledger.ts";

export interface WorkloadShell {
  readonly nowMs: number;
  readonly options: SimulationOptions;
  readonly nodes: readonly SimNode[];
  readonly ledger: WriteLedger;
  readonly waits: PeerWaits;
  at(atMs: number, run: () => void): void;
}

/** The clients of the whole cluster: users with sessions, requests on their nodes. */
export class Workload {
  readonly #shell: WorkloadShell;
  readonly #prng: Prng;
  /** Its own generator, so that moves leave the other requests of a seed as they are. */
  readonly #moves: Prng;
  readonly #client: CheckedClient;
  /** Where a session's requests go while its user sticks to a node. */
  readonly #homes = new Map<string, number>();
  readonly #actions: WorkloadAction[] = [];
  readonly #endMs: number;
  readonly #gapMs: number;
  operations = 0;

  constructor(shell: WorkloadShell, startMs: number, endMs: number) {
    this.#shell = shell;
    const { seed, workload } = shell.options;
    this.#prng = prngFor(seed, "requests");
    this.#moves = prngFor(seed, "moves");
    this.#client = new CheckedClient(shell);
    this.#endMs = endMs;
    this.#gapMs = ((endMs - startMs) / workload.operations) * workload.burst;
    for (const [action, weight] of Object.entries(workload.weights)) {
      const shares = Math.round(weight * 100);
      for (let share = 0; share < shares; share++) this.#actions.push(action as WorkloadAction);
    }
    shell.at(startMs, () => this.#step());
  }

  #step(): void {
    if (this.#shell.nowMs >= this.#endMs) return;
    const { burst } = this.#shell.options.workload;
    for (let request = 0; request < burst; request++) this.#request();
    this.#shell.at(this.#shell.nowMs + exponential(this.#prng, this.#gapMs), () => this.#step());
  }

  #request(): void {
    const { workload } = this.#shell.options;
    const id = this.#session();
    const node = this.#nodeOf(id);
    if (node === undefined) return;
    const action = oneOf(this.#prng, this.#actions);
    this.#act(node, id, action);
    if (this.#prng.chance(workload.concurrent)) {
      const other = this.#anyNode();
      if (other !== undefined) this.#act(other, id, this.#prng.chance(0.7) ? "patch" : action);
    }
    if (action === "destroy" && this.#prng.chance(workload.slowRequest)) this.#slow(id);
  }

  /** A request that began before the destroy writes after it, here or elsewhere. */
  #slow(id: string): void {
    const delayMs = this.#prng.chance(0.5) ? 0 : between(this.#prng, 0, 3_000);
    const action = oneOf(this.#prng, ["patch", "set", "touch", "unset"] as const);
    this.#shell.at(this.#shell.nowMs + delayMs, () => {
      const node = this.#anyNode();
      if (node !== undefined && this.#shell.nowMs < this.#endMs) this.#act(node, id, action);
    });
  }

  #act(node: SimNode, id: string, action: WorkloadAction): void {
    this.operations += 1;
    const { workload } = this.#shell.options;
    const prng = this.#prng;
    const name = `attribute-${prng.below(4)}`;
    const written = [{ name, value: this.#value() }];
    if (prng.chance(0.2)) written.push({ name: `${name}-too`, value: this.#value() });
    if (action === "create") this.#client.create(node, id, written, this.#lifetime());
    else if (action === "set") this.#client.set(node, id, written, this.#lifetime());
    else if (action === "patch") this.#client.patch(node, id, written, []);
    else if (action === "unset") this.#client.patch(node, id, [], [name]);
    else if (action === "touch") this.#client.touch(node, id, this.#newIdleMs());
    else if (action === "destroy") this.#client.destroy(node, id);
    this.#client.get(node, id);
    if (this.#moves.chance(workload.moves)) {
      this.#client.rotate(node, id, `session-${this.#moves.below(workload.sessions)}`);
    }
    this.#shell.waits.readUnknown(node);
    // Requests of one turn of the event loop leave together, or each by itself.
    if (prng.chance(0.8)) node.wake();
    else this.#shell.at(this.#shell.nowMs, () => node.wake());
  }

  #session(): string {
    const { sessions, hotShare } = this.#shell.options.workload;
    const hot = this.#prng.chance(hotShare);
    return `session-${this.#prng.below(hot ? Math.min(2, sessions) : sessions)}`;
  }

  #nodeOf(id: string): SimNode | undefined {
    const home = this.#shell.nodes[this.#homes.get(id) ?? -1];
    const stays = home !== undefined && !this.#prng.chance(this.#shell.options.workload.hop);
    if (stays && home.serving && !home.paused) return home;
    const node = this.#anyNode();
    if (node !== undefined) this.#homes.set(id, node.index);
    return node;
  }

  #anyNode(): SimNode | undefined {
    const usable = this.#shell.nodes.filter((node) => node.serving && !node.paused);
    return this.#prng.pick(usable);
  }

  #value(): string {
    const { large, largeBytes } = this.#shell.options.workload;
    const octet = String.fromCharCode(this.#prng.below(256));
    const size = this.#prng.chance(large) ? this.#prng.below(largeBytes) : this.#prng.below(150);
    return octet.repeat(size) + this.#prng.uint32().toString(36);
  }

  #lifetime(): { idleMs: number | undefined; absoluteMs: number | undefined } {
    const { shortLives } = this.#shell.options.workload;
    const absolute = this.#prng.chance(shortLives / 2);
    const absoluteMs = absolute ? Math.round(between(this.#prng, 1_000, 30_000)) : undefined;
    return { idleMs: this.#newIdleMs(), absoluteMs };
  }

  #newIdleMs(): number | undefined {
    const { shortLives } = this.#shell.options.workload;
    if (this.#prng.chance(shortLives)) return Math.round(between(this.#prng, 1_000, 25_000));
    return oneOf(this.#prng, [undefined, undefined, undefined, 0, 600_000, 3_600_000]);
  }
}
