import { hostOf } from "../base/host-of.ts";
import type { Address } from "../core/outbox.ts";
import type { BootId } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";

/**
 * Boots that have never shown that they live. Who does shows it at once, as it is pinged when it
 * says its name; a recording never does, and without this each datagram of it would be opened. So
 * such a boot is heard for a term, then not for a while, and so on. The while is short, as one that
 * lives may be heard before it can be reached, and is to be known soon after; it is long enough for
 * a flood to show by what is refused in it.
 *
 * By host: what somebody sends from elsewhere is not to be laid to the boot itself.
 */
export class Probation {
  /** When terms began, the latest last. */
  readonly #terms = new Map<string, number>();

  get size(): number {
    return this.#terms.size;
  }

  /** Whether a datagram of such a boot that came from there is to be opened. */
  admits(boot: BootId, source: Address, nowMs: number): boolean {
    const beganMs = this.#terms.get(nameOf(boot, source));
    return (
      beganMs === undefined || nowMs < beganMs + limits.probationMs || hasRested(beganMs, nowMs)
    );
  }

  /** One of it was authentic: only that begins a term, as headers can be sent again by anybody. */
  opened(boot: BootId, source: Address, nowMs: number): void {
    const name = nameOf(boot, source);
    const beganMs = this.#terms.get(name);
    if (beganMs !== undefined && !hasRested(beganMs, nowMs)) return;
    this.#terms.delete(name);
    if (this.#terms.size >= limits.probationsMax) {
      const [oldest] = this.#terms.keys();
      if (oldest !== undefined) this.#terms.delete(oldest);
    }
    this.#terms.set(name, nowMs);
  }
}

function hasRested(beganMs: number, nowMs: number): boolean {
  return nowMs >= beganMs + limits.probationMs + limits.probationRestMs;
}

function nameOf(boot: BootId, source: Address): string {
  return `${boot} ${hostOf(source)}`;
}
