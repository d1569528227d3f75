import { Allowance } from "../base/allowance.ts";
import { hostOf } from "../base/host-of.ts";
import { limits } from "../protocol/limits.ts";

interface Failed {
  /** When it is forgotten. */
  endsMs: number;
  readonly allowance: Allowance;
}

/**
 * How often seals of boots that nobody knows are tried. Each costs a derivation, so all together
 * are bounded; and everybody can make what has to be tried, from headers that he has seen. So a
 * host from which one did not hold has little of it from then on, and is remembered for a while:
 * all such hosts together leave enough to those who start. By host, as ports cost nothing.
 */
export class BootTrials {
  readonly #all = new Allowance(limits.bootTrialsPerMs, limits.bootTrialsBurst);
  /** The one that failed last comes last. */
  readonly #failed = new Map<string, Failed>();

  get failedHosts(): number {
    return this.#failed.size;
  }

  /** Whether one may be tried that came from there. */
  take(source: string, nowMs: number): boolean {
    const failed = this.#failed.get(hostOf(source));
    const isFree = failed === undefined || nowMs >= failed.endsMs;
    return (isFree || failed.allowance.take(nowMs)) && this.#all.take(nowMs);
  }

  /** One that was tried did not hold. */
  failed(source: string, nowMs: number): void {
    const host = hostOf(source);
    const allowance =
      this.#failed.get(host)?.allowance ??
      new Allowance(limits.failedHostTrialsPerMs, limits.bootTrialsBurst);
    this.#failed.delete(host);
    if (this.#failed.size >= limits.failedHostsMax) {
      const [oldest] = this.#failed.keys();
      if (oldest !== undefined) this.#failed.delete(oldest);
    }
    this.#failed.set(host, { endsMs: nowMs + limits.failedHostMs, allowance });
  }
}
