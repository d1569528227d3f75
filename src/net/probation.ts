import { hostOf } from "../base/host-of.ts";
import type { Address } from "../core/outbox.ts";
import type { BootId } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";

interface Term {
  /** It is heard until then... */
  endsMs: number;
  /** ...and then not for so long. */
  restMs: number;
}

/**
 * Boots that have never shown that they live. Who does shows it at once, as it is pinged when it
 * says its name; a recording never does, and without this each datagram of it would be opened. So
 * such a boot is heard for a term, then not for a while, and so on, each while being twice as long.
 * One that lives and could not answer is so kept out for no longer than it could not.
 *
 * By host: what somebody sends from elsewhere is not to be laid to the boot itself.
 */
export class Probation {
  /** The one that began last comes last. */
  readonly #terms = new Map<string, Term>();

  /** Whether a datagram of such a boot that came from there is to be opened. */
  admits(boot: BootId, source: Address, nowMs: number): boolean {
    const name = nameOf(boot, source);
    const term = this.#terms.get(name);
    if (term === undefined || nowMs < term.endsMs) return true;
    const restedMs = term.endsMs + term.restMs;
    if (nowMs < restedMs) return false;
    const isForgotten = nowMs >= restedMs + limits.probationForgetMs;
    const restMs = isForgotten ? limits.probationRestMs : term.restMs * 2;
    this.#begin(name, Math.min(restMs, limits.probationRestMsMax), nowMs);
    return true;
  }

  /** One of it was authentic. */
  opened(boot: BootId, source: Address, nowMs: number): void {
    const name = nameOf(boot, source);
    if (!this.#terms.has(name)) this.#begin(name, limits.probationRestMs, nowMs);
  }

  #begin(name: string, restMs: number, nowMs: number): void {
    this.#terms.delete(name);
    if (this.#terms.size >= limits.probationsMax) {
      const [oldest] = this.#terms.keys();
      if (oldest !== undefined) this.#terms.delete(oldest);
    }
    this.#terms.set(name, { endsMs: nowMs + limits.probationMs, restMs });
  }
}

function nameOf(boot: BootId, source: Address): string {
  return `${boot} ${hostOf(source)}`;
}
