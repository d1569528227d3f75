import { limits } from "../protocol/limits.ts";

/** What the shield works on: the transport. */
export interface Narrowable {
  /** Only these hosts are heard by multicast. False: the system does not do that. */
  narrow(hosts: ReadonlySet<string>): boolean;
  /** Whoever sends is. */
  widen(): void;
}

export interface FloodHooks {
  /** From now on members are heard by multicast, and nobody else. */
  onFlood(): void;
  onFloodOver(): void;
}

/**
 * A group is open to every host of its segment: a broken one, another cluster on the same group or
 * an attacker can send more to it than a node can even refuse. So while much of what comes by
 * multicast is refused, only the hosts of members are heard by it: the kernel drops the rest. Now
 * and then everybody is heard again for a moment, to see whether the flood goes on.
 *
 * Nobody is shut out for good by it. A node that starts meanwhile hears the members, and makes
 * itself known by unicast. Whoever claims a member's address is not stopped by this.
 */
export class FloodShield {
  readonly #transport: Narrowable;
  readonly #hooks: FloodHooks;
  /** Since when refusals are counted. */
  #windowMs = Number.NEGATIVE_INFINITY;
  #refused = 0;
  /** Undefined: everybody is heard. */
  #hosts: ReadonlySet<string> | undefined;
  /** Who is heard is looked at again then. */
  #dueMs = Number.NEGATIVE_INFINITY;
  #wideFromMs = Number.NEGATIVE_INFINITY;
  #isFlooded = false;
  /** How often the group was narrowed. */
  narrowed = 0;

  constructor(transport: Narrowable, hooks: FloodHooks) {
    this.#transport = transport;
    this.#hooks = hooks;
  }

  /** Whether only members are heard by multicast. */
  get isNarrow(): boolean {
    return this.#hosts !== undefined;
  }

  /** A datagram that came by multicast was refused. True: there is something for `tick`. */
  refused(nowMs: number): boolean {
    if (nowMs >= this.#windowMs + limits.floodWindowMs) {
      this.#windowMs = nowMs;
      this.#refused = 0;
    }
    this.#refused += 1;
    return this.#refused === limits.floodRefusalsMax;
  }

  /** `members`: hosts of peers that have shown that they are there. */
  tick(nowMs: number, members: () => ReadonlySet<string>): void {
    if (this.#hosts === undefined) this.#watch(nowMs, members);
    else if (nowMs >= this.#wideFromMs) this.#widen(nowMs);
    else if (nowMs >= this.#dueMs) this.#narrow(members(), nowMs);
  }

  #watch(nowMs: number, members: () => ReadonlySet<string>): void {
    if (this.#refused >= limits.floodRefusalsMax) {
      this.#refused = 0;
      if (nowMs >= this.#dueMs) this.#begin(nowMs, members());
    } else if (this.#isFlooded && nowMs >= this.#wideFromMs + limits.floodOverMs) {
      this.#isFlooded = false;
      this.#hooks.onFloodOver();
    }
  }

  #begin(nowMs: number, members: ReadonlySet<string>): void {
    // Who knows nobody could only hear nobody.
    if (members.size === 0) return;
    this.#wideFromMs = nowMs + limits.floodNarrowMs;
    if (!this.#narrow(members, nowMs)) return;
    this.narrowed += 1;
    if (!this.#isFlooded) this.#hooks.onFlood();
    this.#isFlooded = true;
  }

  #narrow(members: ReadonlySet<string>, nowMs: number): boolean {
    this.#dueMs = nowMs + limits.floodLookMs;
    if (this.#hosts !== undefined && isSame(this.#hosts, members)) return true;
    const isDone = this.#transport.narrow(members);
    this.#hosts = isDone ? members : undefined;
    // The same would be refused again.
    if (!isDone) this.#dueMs = nowMs + limits.floodRetryMs;
    return isDone;
  }

  #widen(nowMs: number): void {
    this.#hosts = undefined;
    this.#dueMs = nowMs;
    this.#refused = 0;
    this.#transport.widen();
  }
}

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false;
  for (const host of one) if (!other.has(host)) return false;
  return true;
}
