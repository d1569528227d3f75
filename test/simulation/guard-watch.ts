import type { Replica } from "../../src/core/replica.ts";
import type { BootId, Datagram } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hold } from "./violation.ts";

/**
 * Stands between the gate and the replica of one start of a node: nothing is taken in twice, and
 * nothing at all of a boot that had ended before this one began, or of which a later start has
 * shown that it lives. No datagram of the living tells such a replay from the real thing; the
 * simulation knows. And who was heard a moment ago is not down, whatever others say.
 */
export class GuardWatch {
  readonly #label: string;
  readonly #replica: Replica;
  /** Whether this boot had ended when the watched one began. */
  readonly #wasDead: (boot: BootId) => boolean;
  readonly #taken = new Map<BootId, Set<number>>();
  /** The latest start of each node, by the octets of the boot id that tell it. */
  readonly #latest = new Map<string, string>();
  /** When something of a boot was last news. */
  readonly #heardMs = new Map<BootId, number>();

  constructor(label: string, replica: Replica, wasDead: (boot: BootId) => boolean) {
    this.#label = label;
    this.#replica = replica;
    this.#wasDead = wasDead;
  }

  /** Lets the replica receive it, and looks at what came of it. */
  receive(datagram: Datagram, nowMs: number, receive: () => void): void {
    const { boot, counter } = datagram;
    const trusted = this.#replica.peers.get(boot)?.trusted === true;
    const refused = this.#refused;
    receive();
    if (this.#refused === refused) this.#heardMs.set(boot, nowMs);
    if (!trusted) return;
    hold(!this.#wasDead(boot), "the-dead-are-not-heard", () => `${this.#label} hears ${boot}`);
    if (this.#refused > refused) return;
    const taken = this.#taken.get(boot) ?? new Set();
    const fact = () => `${this.#label} takes ${counter} of ${boot} again`;
    hold(!taken.has(counter), "nothing-is-taken-twice", fact);
    this.#taken.set(boot, taken.add(counter));
  }

  /** The node says that this boot is a new start of a node that it knew. */
  restarted(boot: BootId): void {
    this.#latest.set(nodeOf(boot), startOf(boot));
  }

  /** The node says that this boot is down: an opinion of its own, after a long silence. */
  wentDown(boot: BootId, nowMs: number): void {
    const silentMs = nowMs - (this.#heardMs.get(boot) ?? Number.NEGATIVE_INFINITY);
    // Times are compared as sums in the core, which rounds otherwise.
    const fact = () => `${this.#label} says so of ${boot}, heard ${silentMs} ms ago`;
    hold(silentMs > limits.downAfterMs - 1, "down-only-after-silence", fact);
  }

  /** Looks at all that the node listens to. */
  check(): void {
    for (const { boot, trusted } of this.#replica.peers.all()) {
      const latest = this.#latest.get(nodeOf(boot));
      const fact = () => `${this.#label} listens to ${boot}, which was started anew since`;
      hold(!trusted || latest === undefined || startOf(boot) >= latest, "no-older-boot", fact);
    }
  }

  get #refused(): number {
    const { replayed, copy, stale } = this.#replica.counters.guard;
    return replayed + copy + stale;
  }
}

/** The last two octets of a simulated boot id: the node, and twice the number of its start. */
function nodeOf(boot: BootId): string {
  return boot.slice(-4, -2);
}

function startOf(boot: BootId): string {
  return boot.slice(-2);
}
