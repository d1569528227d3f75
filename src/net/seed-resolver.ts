import { lookup } from "node:dns";
import type { Address } from "../core/outbox.ts";
import { limits } from "../protocol/limits.ts";
import { canonicalHost, formatAddress, type HostPort, isIpv6, readHostPort } from "./address.ts";
import type { Family } from "./interface-choice.ts";

export interface SeedResolverOptions {
  /** As configured: names and addresses, with or without a port. */
  readonly peers: readonly string[];
  readonly portDefault: number;
  readonly family: Family;
  /** All addresses of a name; rejects when there are none. */
  readonly lookup: (name: string, family: Family) => Promise<readonly string[]>;
  /** Each time that all were looked up: see `addresses`. */
  readonly onSeeds: () => void;
  /** Once for each name, until it has been found again. */
  readonly onFailure: (peer: string, reason: string) => void;
}

/**
 * Turns the configured peers into addresses, again and again: names of services follow their
 * instances. A name that cannot be resolved keeps the addresses that it had; a name server that is
 * away for a while changes nothing, and stops no start.
 */
export class SeedResolver {
  readonly counters = { lookups: 0, failures: 0 };
  /** What the peers led to when they were last looked up. */
  addresses: readonly Address[] = [];
  readonly #options: SeedResolverOptions;
  readonly #peers: readonly (HostPort & { readonly peer: string })[];
  readonly #known = new Map<string, readonly string[]>();
  readonly #failing = new Set<string>();
  #resolving: Promise<void> | undefined;
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(options: SeedResolverOptions) {
    this.#options = options;
    this.#peers = options.peers.flatMap((peer) => {
      const read = readHostPort(peer, options.portDefault);
      return read === undefined ? [] : [{ ...read, peer }];
    });
  }

  /** Looks up again when it is time to. */
  tick(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + limits.seedResolveEveryMs;
    void this.resolve();
  }

  /** One at a time: a resolver that hangs is not asked once more. */
  resolve(): Promise<void> {
    this.#resolving ??= this.#resolve().finally(() => {
      this.#resolving = undefined;
    });
    return this.#resolving;
  }

  async #resolve(): Promise<void> {
    if (this.#peers.length === 0) return;
    await Promise.all(this.#peers.map(({ peer, host }) => this.#find(peer, host)));
    const addresses = this.#peers.flatMap(({ host, port }) =>
      (this.#known.get(host) ?? []).map((found) => formatAddress(found, port)),
    );
    this.addresses = [...new Set(addresses)];
    this.#options.onSeeds();
  }

  async #find(peer: string, host: string): Promise<void> {
    try {
      this.#known.set(host, await this.#addressesOf(host));
      this.#failing.delete(peer);
    } catch (error) {
      this.counters.failures += 1;
      if (this.#failing.has(peer)) return;
      this.#failing.add(peer);
      this.#options.onFailure(peer, error instanceof Error ? error.message : String(error));
    }
  }

  async #addressesOf(host: string): Promise<readonly string[]> {
    const { family } = this.#options;
    const literal = isIpv6(host) ? "IPv6" : /^[\d.]+$/.test(host) ? "IPv4" : undefined;
    if (literal === family) return [canonicalHost(host)];
    if (literal !== undefined) throw new Error(`it is ${literal}, and the interface is ${family}`);
    this.counters.lookups += 1;
    return await this.#options.lookup(host, family);
  }
}

/** As the system resolves names, /etc/hosts included. */
export function systemLookup(name: string, family: Family): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    lookup(name, { all: true, family: family === "IPv4" ? 4 : 6 }, (error, addresses) => {
      if (error === null) resolve(addresses.map(({ address }) => address));
      else reject(error);
    });
  });
}
