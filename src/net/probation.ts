import { Allowance } from "../base/allowance.ts";
import { hostOf } from "../base/host-of.ts";
import type { Prng } from "../base/prng.ts";
import type { Address } from "../core/outbox.ts";
import type { BootId } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";

interface Term {
  readonly endMs: number;
  readonly restedMs: number;
  /** When it may be looked at again in its rest. */
  glimpseMs: number;
}

/**
 * Boots that have never shown that they live. Who does shows it at once, as it is pinged when it
 * says its name; a recording never does, and without this each datagram of it would be opened. So
 * such a boot is heard for a term, then hardly for a while, and so on. The while is short, as one
 * that lives may be heard before it can be reached, and is to be known soon after; it is long
 * enough for a flood to show by what is refused in it.
 *
 * Two that live know each other once a ping finds both of them heard. So that they cannot go on
 * missing each other in turns, rests are of random length, and what is as sparse as greetings and
 * pings is opened in them too.
 *
 * By host: what somebody sends from elsewhere is not to be laid to the boot itself.
 */
export class Probation {
  readonly #prng: Prng;
  /** In the order in which they began. */
  readonly #terms = new Map<string, Term>();
  readonly #glimpses = new Allowance(
    limits.probationGlimpsesPerSecond / 1_000,
    limits.probationGlimpsesPerSecond,
  );

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  get size(): number {
    return this.#terms.size;
  }

  /** Whether a datagram of such a boot that came from there is to be opened. */
  admits(boot: BootId, source: Address, nowMs: number): boolean {
    const term = this.#terms.get(nameOf(boot, source));
    if (term === undefined || nowMs < term.endMs || nowMs >= term.restedMs) return true;
    if (nowMs < term.glimpseMs || !this.#glimpses.take(nowMs)) return false;
    term.glimpseMs = nowMs + limits.probationGlimpseMs;
    return true;
  }

  /** One of it was authentic: only that begins a term, as headers can be sent again by anybody. */
  opened(boot: BootId, source: Address, nowMs: number): void {
    const name = nameOf(boot, source);
    const term = this.#terms.get(name);
    if (term !== undefined && nowMs < term.restedMs) return;
    this.#terms.delete(name);
    if (this.#terms.size >= limits.probationsMax) {
      const [oldest] = this.#terms.keys();
      if (oldest !== undefined) this.#terms.delete(oldest);
    }
    const endMs = nowMs + limits.probationMs;
    const restedMs = endMs + limits.probationRestMs * (0.5 + this.#prng.fraction());
    this.#terms.set(name, { endMs, restedMs, glimpseMs: endMs });
  }
}

function nameOf(boot: BootId, source: Address): string {
  return `${boot} ${hostOf(source)}`;
}
