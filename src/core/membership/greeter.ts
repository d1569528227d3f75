import type { Heartbeat } from "../../protocol/frames.ts";
import { limits } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import type { Address, Outbox } from "../outbox.ts";
import type { Peer } from "./peer.ts";
import type { PeerTable } from "./peer-table.ts";
import type { Ways } from "./ways.ts";

interface Seed {
  dueMs: number;
  pauseMs: number;
}

/**
 * Makes this node known to those whom its multicast may not reach: the configured peers, the only
 * way to find each other without any multicast; peers that are down, which may think the same of
 * this node; and peers that have neither greeted this node nor answered, or greet it again and
 * again, which may not know that it exists.
 * They get a heartbeat by unicast that asks for one, more and more rarely. Who has never shown that
 * it is where it says gets none.
 */
export class Greeter {
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #heartbeat: () => Heartbeat;
  #seeds = new Map<Address, Seed>();
  #seedsDueMs = Number.POSITIVE_INFINITY;

  /** `heartbeat`: what this node says of itself at this moment, asking for an answer. */
  constructor(outbox: Outbox, counters: Counters, heartbeat: () => Heartbeat) {
    this.#outbox = outbox;
    this.#counters = counters;
    this.#heartbeat = heartbeat;
  }

  /** The addresses that the configuration leads to now; new ones are greeted at once. */
  setSeeds(addresses: readonly Address[], nowMs: number): void {
    const seeds = new Map<Address, Seed>();
    for (const address of addresses) {
      if (seeds.size >= limits.seedsMax) break;
      const known = this.#seeds.get(address);
      seeds.set(address, known ?? { dueMs: nowMs, pauseMs: limits.seedGreetMs });
    }
    this.#seeds = seeds;
    this.#scheduleSeeds();
  }

  tick(peers: PeerTable, nowMs: number): void {
    this.#greetSeeds(peers, nowMs);
    for (const peer of peers.all()) {
      const { ways } = peer;
      if (!isUnsure(peer)) {
        ways.greetPauseMs = 0;
        ways.greetDueMs = Number.POSITIVE_INFINITY;
        continue;
      }
      if (nowMs >= ways.greetDueMs) {
        ways.greeted = true;
        this.#greet(peer.address);
      } else if (ways.greetPauseMs > 0) continue;
      ways.greetPauseMs = Math.max(limits.greetMs, ways.greetPauseMs * 2);
      ways.greetPauseMs = Math.min(limits.greetMsMax, ways.greetPauseMs);
      ways.greetDueMs = nowMs + ways.greetPauseMs;
    }
  }

  /**
   * It came by unicast. A heartbeat may answer a greeting or be one (see `noteAnswer`); another may
   * be a copy for the node that was at this address before. A peer that is down
   * may be back, and may not know that it has to say so by unicast.
   */
  heard(peer: Peer, heartbeat: Heartbeat | undefined, nowMs: number): void {
    const { ways } = peer;
    if (heartbeat !== undefined) noteAnswer(ways, heartbeat);
    if (peer.state !== "down" || peer.replaced || ways.greetDueMs <= nowMs + limits.greetMs) return;
    ways.greetPauseMs = limits.greetMs;
    ways.greetDueMs = nowMs + limits.greetMs;
  }

  dueMs(peers: PeerTable): number {
    let dueMs = this.#seedsDueMs;
    for (const peer of peers.all()) {
      if (isUnsure(peer)) dueMs = Math.min(dueMs, peer.ways.greetDueMs);
    }
    return dueMs;
  }

  #greetSeeds(peers: PeerTable, nowMs: number): void {
    if (nowMs < this.#seedsDueMs) return;
    for (const [address, seed] of this.#seeds) {
      if (nowMs < seed.dueMs) continue;
      if (!isKnown(peers, address)) this.#greet(address);
      seed.dueMs = nowMs + seed.pauseMs;
      seed.pauseMs = Math.min(limits.seedGreetMsMax, seed.pauseMs * 2);
    }
    this.#scheduleSeeds();
  }

  #scheduleSeeds(): void {
    this.#seedsDueMs = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#seeds.values()) {
      this.#seedsDueMs = Math.min(this.#seedsDueMs, dueMs);
    }
  }

  #greet(address: Address): void {
    this.#counters.paths.greetings += 1;
    this.#outbox.unicast(address, [this.#heartbeat()]);
  }
}

/**
 * Who greets knows this node; but who greets again has not heard the answer, and may forget this
 * node, which it hears no more of by then: that one is greeted until it answers.
 */
function noteAnswer(ways: Ways, { hello }: Heartbeat): void {
  if (hello) {
    ways.greetings += 1;
    if (ways.greetings > 1 && ways.greetsBack) ways.greeted = false;
    ways.greetsBack = ways.greetings === 1;
  } else if (ways.greeted) {
    ways.greetings = 0;
    ways.greetsBack = true;
  }
}

/** Whether it may be that the peer does not know of this node, or this node hardly of it. */
function isUnsure({ state, replaced, ways }: Peer): boolean {
  if (state === "left" || state === "unproven" || replaced) return false;
  return state === "down" || !ways.greetsBack;
}

function isKnown(peers: PeerTable, address: Address): boolean {
  for (const peer of peers.all()) {
    if (peer.address === address && peer.state === "up") return true;
  }
  return false;
}
