import type { Prng } from "../../src/base/prng.ts";
import { limits } from "../../src/protocol/limits.ts";
import { between, exponential, prngFor } from "./chance.ts";
import type { Network } from "./network.ts";
import type { ClockOptions, Recurring, SimulationOptions } from "./options.ts";
import type { SimNode } from "./sim-node.ts";
import type { Trace } from "./trace.ts";

export interface FaultShell {
  readonly nowMs: number;
  readonly options: SimulationOptions;
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  readonly trace: Trace;
  at(atMs: number, run: () => void): void;
}

/** How often a supervisor looks whether a process that leaves has ended. */
const supervisorMs = 50;

/** Lets the faults of the run come and go until all is healed. */
export class Faults {
  readonly #shell: FaultShell;
  readonly #cut = new Map<string, ReadonlySet<number>>();
  #healed = false;

  constructor(shell: FaultShell) {
    this.#shell = shell;
  }

  start(): void {
    const { network, node, clocks } = this.#shell.options;
    this.#recur("clog", network.clog, (prng, forMs) => this.#clog(prng, forMs));
    this.#recur("oneWay", network.oneWay, (prng, forMs) => this.#oneWay(prng, forMs));
    this.#recur("partition", network.partition, (prng, forMs) => this.#partition(prng, forMs));
    this.#recur("deaf", network.deaf, (prng, forMs) => this.#deafen(prng, forMs));
    this.#recur("crash", node.crash, (prng, forMs) => this.#crash(prng, forMs));
    this.#recur("pause", node.pause, (prng, forMs) => this.#pause(prng, forMs));
    this.#recur("step", clocks.step, (prng, forMs) => this.#step(prng, forMs));
    if (network.replay !== null) {
      const recurring = { everyMs: network.replay.everyMs, forMs: 0 };
      this.#recur("replay", recurring, () => this.#shell.network.replay());
    }
    if (network.forge !== null) {
      const recurring = { everyMs: network.forge.everyMs, forMs: 0 };
      this.#recur("forge", recurring, () => this.#shell.network.forge());
    }
    this.#stall();
    this.#setClocks();
  }

  /** The end of chaos: everything works again, and what crashed is started or stays away. */
  heal(): void {
    this.#healed = true;
    const { seed, clocks, network } = this.#shell.options;
    this.#shell.network.heal();
    if (network.deaf?.stays !== true) this.#shell.network.deaf.clear();
    const prng = prngFor(seed, "heal");
    for (const node of this.#shell.nodes) {
      const stays = clocks.skew?.node === node.index && mayStay(clocks);
      const beyond = !stays && Math.abs(node.clock.aheadMs(this.#shell.nowMs)) > 250;
      if (beyond) node.setClock((clock) => clock.correct(this.#shell.nowMs));
      // What stays is the offset, not a step that happened to be under way.
      if (stays) {
        node.setClock((clock) => {
          clock.offsetMs = clocks.skew?.offsetMs ?? 0;
        });
      }
      node.inbox.resume();
      node.wake();
      // Somebody must be left, or the run would end with nothing to look at.
      if (node.serving) continue;
      const isLast = !this.#shell.nodes.some((one) => one.serving);
      if (prng.chance(0.7) || isLast) this.#start(node);
    }
  }

  #recur(
    name: string,
    recurring: Recurring | null,
    act: (prng: Prng, forMs: number) => void,
  ): void {
    if (recurring === null) return;
    const prng = prngFor(this.#shell.options.seed, `when ${name}`);
    const again = () => {
      if (this.#healed) return;
      act(prng, between(prng, recurring.forMs / 10, recurring.forMs));
      this.#shell.at(this.#shell.nowMs + exponential(prng, recurring.everyMs), again);
    };
    this.#shell.at(this.#shell.nowMs + exponential(prng, recurring.everyMs), again);
  }

  /** Undoes a fault, unless everything was healed meanwhile. */
  #later(forMs: number, undo: () => void): void {
    this.#shell.at(this.#shell.nowMs + forMs, () => {
      if (!this.#healed) undo();
    });
  }

  #anyNode(prng: Prng): SimNode {
    return this.#shell.nodes[prng.below(this.#shell.nodes.length)] as SimNode;
  }

  #clog(prng: Prng, forMs: number): void {
    const from = this.#anyNode(prng).index;
    const to = this.#anyNode(prng).index;
    this.#shell.trace.note(this.#shell.nowMs, "clog", from, to);
    this.#shell.network.clog(from, to, this.#shell.nowMs + forMs);
  }

  #oneWay(prng: Prng, forMs: number): void {
    const from = this.#anyNode(prng).index;
    const to = this.#anyNode(prng).index;
    this.#cutFor(forMs, "one way", new Set([this.#shell.network.linkOf(from, to)]));
  }

  #partition(prng: Prng, forMs: number): void {
    const { nodes, network, options } = this.#shell;
    const side = nodes.map(() => prng.chance(0.5));
    const alone = prng.chance(0.3) ? prng.below(nodes.length) : -1;
    if (alone >= 0) for (const node of nodes) side[node.index] = node.index === alone;
    const links = new Set<number>();
    for (const from of nodes) {
      for (const to of nodes) {
        if (side[from.index] === side[to.index]) continue;
        if (options.network.partition?.symmetric === true || side[from.index] === true) {
          links.add(network.linkOf(from.index, to.index));
        }
      }
    }
    this.#cutFor(forMs, "partition", links);
  }

  #cutFor(forMs: number, what: string, links: ReadonlySet<number>): void {
    const { nowMs, trace } = this.#shell;
    const name = `${what} ${nowMs}`;
    trace.note(nowMs, what, -1, [...links].join(" "));
    this.#cut.set(name, links);
    this.#block();
    this.#later(forMs, () => {
      this.#cut.delete(name);
      this.#block();
      trace.note(this.#shell.nowMs, `end of ${what}`, -1, [...links].join(" "));
    });
  }

  #block(): void {
    const { blocked } = this.#shell.network;
    blocked.clear();
    for (const links of this.#cut.values()) for (const link of links) blocked.add(link);
  }

  #deafen(prng: Prng, forMs: number): void {
    const { network, nodes, options, trace } = this.#shell;
    const to = options.network.deaf?.node ?? this.#anyNode(prng).index;
    const { index } = this.#anyNode(prng);
    const from = prng.chance(0.4) ? [index] : nodes.map((node) => node.index);
    trace.note(this.#shell.nowMs, "deaf", to, from.join(" "));
    const links = from.map((sender) => network.linkOf(sender, to));
    for (const link of links) network.deaf.add(link);
    if (options.network.deaf?.stays === true) return;
    this.#later(forMs, () => {
      for (const link of links) network.deaf.delete(link);
    });
  }

  #crash(prng: Prng, forMs: number): void {
    const node = this.#anyNode(prng);
    if (!node.running) return;
    if (prng.chance(this.#shell.options.node.crash?.leave ?? 0) && !node.paused) node.leave();
    else node.crash();
    this.#later(forMs, () => this.#start(node));
  }

  /** As a supervisor does: when the process before has ended. */
  #start(node: SimNode): void {
    if (node.leaving) {
      this.#shell.at(this.#shell.nowMs + supervisorMs, () => this.#start(node));
    } else if (!node.running) node.start();
  }

  #pause(prng: Prng, forMs: number): void {
    const node = this.#anyNode(prng);
    if (!node.running) return;
    this.#shell.trace.note(this.#shell.nowMs, "pause", node.index, Math.round(forMs));
    node.inbox.pause(this.#shell.nowMs + Math.max(100, forMs));
  }

  #step(prng: Prng, forMs: number): void {
    const node = this.#anyNode(prng);
    const stepMs = this.#shell.options.clocks.step?.stepMs ?? 0;
    node.setClock((clock) => {
      clock.offsetMs += stepMs;
    });
    this.#later(forMs, () => {
      node.setClock((clock) => {
        clock.offsetMs -= stepMs;
      });
    });
  }

  #stall(): void {
    const { buffers } = this.#shell.options.node;
    if (buffers === null) return;
    const recurring = { everyMs: buffers.stallEveryMs, forMs: buffers.stallMs };
    this.#recur("stall", recurring, (prng, forMs) => {
      this.#anyNode(prng).inbox.pause(this.#shell.nowMs + forMs);
    });
  }

  #setClocks(): void {
    const { options, nodes, nowMs } = this.#shell;
    const prng = prngFor(options.seed, "clocks");
    const { offsetMs, driftPpm, skew } = options.clocks;
    for (const { clock, index } of nodes) {
      clock.offsetMs = between(prng, -offsetMs, offsetMs);
      clock.drift(between(prng, -driftPpm, driftPpm), nowMs);
      if (skew?.node === index) clock.offsetMs = skew.offsetMs;
    }
  }
}

/**
 * A clock that was stepped ahead recovers once its peers agree with it, which they do not with one
 * that is further off than they accept.
 */
function mayStay({ skew, step }: ClockOptions): boolean {
  if (skew?.stays !== true) return false;
  return step === null || Math.abs(skew.offsetMs) <= limits.clockDriftMsMax;
}
