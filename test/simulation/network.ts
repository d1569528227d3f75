import type { Prng } from "../../src/base/prng.ts";
import type { Via } from "../../src/core/membership/ways.ts";
import type { Address } from "../../src/core/outbox.ts";
import { exponential } from "./chance.ts";
import type { NetworkOptions } from "./options.ts";
import { checksumOf, type Trace } from "./trace.ts";

/** A datagram on its way, and what the seal would tell of it. */
export interface Packet {
  readonly from: number;
  /** Where the sender's unicast socket is. */
  readonly source: Address;
  readonly via: Via;
  readonly bytes: Buffer;
  /** Of the octets as they were sent. */
  readonly checksum: number;
  /** Whether the octets are still those. */
  readonly intact: boolean;
  /** Carries numbered deltas, whose loss the sender is asked to repair. */
  readonly numbered: boolean;
}

export interface NetworkShell {
  readonly nowMs: number;
  readonly nodeCount: number;
  at(atMs: number, run: () => void): void;
  arrive(to: number, packet: Packet): void;
}

const recordedMax = 300;

/** What is not lost but comes later than this may be asked for again, as if it were lost. */
export const lateMs = 3;

/** Links from each node to each other one, with the faults of the run until they are healed. */
export class Network {
  readonly #shell: NetworkShell;
  readonly #options: NetworkOptions;
  readonly #prng: Prng;
  readonly #trace: Trace;
  readonly #badLinks = new Set<number>();
  readonly #cloggedUntilMs = new Map<number, number>();
  /** When a link last kept back for a while, or for good, what was to pass it. */
  readonly #troubledMs = new Map<number, number>();
  readonly #recorded: { to: number; packet: Packet }[] = [];
  /** Links that pass nothing, by `linkOf`. */
  readonly blocked = new Set<number>();
  /** Links that pass unicast, but no multicast. */
  readonly deaf = new Set<number>();
  healed = false;
  datagrams = 0;
  lostNumbered = 0;
  lateNumbered = 0;

  constructor(shell: NetworkShell, options: NetworkOptions, prng: Prng, trace: Trace) {
    this.#shell = shell;
    this.#options = options;
    this.#prng = prng;
    this.#trace = trace;
  }

  linkOf(from: number, to: number): number {
    return from * 1_000 + to;
  }

  /** But for single losses by chance. */
  troubledMs(from: number, to: number): number {
    return this.#troubledMs.get(this.linkOf(from, to)) ?? Number.NEGATIVE_INFINITY;
  }

  clog(from: number, to: number, untilMs: number): void {
    this.#cloggedUntilMs.set(this.linkOf(from, to), untilMs);
  }

  heal(): void {
    this.healed = true;
    this.blocked.clear();
    this.#cloggedUntilMs.clear();
    this.#badLinks.clear();
  }

  /** To all, and by unicast to each of `copies` once more. */
  multicast(packet: Packet, copies: readonly number[]): void {
    const lost = !this.healed && this.#prng.chance(this.#options.sharedLoss);
    for (let to = 0; to < this.#shell.nodeCount; to++) {
      if (to === packet.from) continue;
      const link = this.linkOf(packet.from, to);
      const deaf = this.deaf.has(link);
      if (!lost && !deaf) this.unicast(to, packet);
      else if (!copies.includes(to)) this.lost(packet);
      if (deaf && !copies.includes(to)) this.#troubledMs.set(link, this.#shell.nowMs);
    }
  }

  unicast(to: number, packet: Packet): void {
    if (to === packet.from || !(to >= 0 && to < this.#shell.nodeCount)) return;
    this.datagrams += 1;
    if (this.#isLost(packet.from, to)) {
      this.lost(packet);
      return;
    }
    this.#record(to, packet);
    const { duplicate } = this.#options;
    const copies = !this.healed && this.#prng.chance(duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) this.#deliver(to, packet);
  }

  /** Sends something again that went over the network long ago, maybe to somebody else. */
  replay(): void {
    const old = this.#prng.pick(this.#recorded);
    if (old === undefined) return;
    const to = this.#prng.chance(0.7) ? old.to : this.#prng.below(this.#shell.nodeCount);
    this.#trace.note(this.#shell.nowMs, "replay", to, old.packet.checksum);
    this.#shell.at(this.#shell.nowMs, () => this.#shell.arrive(to, old.packet));
  }

  /** Sends a change of something recorded: another counter, key or content under the old header. */
  forge(): void {
    const old = this.#prng.pick(this.#recorded);
    if (old === undefined) return;
    const bytes = Buffer.from(old.packet.bytes);
    const kind = this.#prng.below(3);
    if (kind === 0) bytes.writeUIntBE(bytes.readUIntBE(20, 6) + 1 + this.#prng.below(5_000), 20, 6);
    else if (kind === 1) bytes.writeUInt16BE(this.#prng.below(0x1_0000), 4);
    for (let at = 28; kind === 2 && at < bytes.length; at++) bytes[at] = this.#prng.below(256);
    const forged = { ...old.packet, bytes, intact: checksumOf(bytes) === old.packet.checksum };
    this.#trace.note(this.#shell.nowMs, "forge", old.to, checksumOf(bytes));
    this.#shell.at(this.#shell.nowMs, () => this.#shell.arrive(old.to, forged));
  }

  lost(packet: Packet): void {
    if (packet.numbered) this.lostNumbered += 1;
  }

  late(packet: Packet): void {
    if (packet.numbered) this.lateNumbered += 1;
  }

  #deliver(to: number, packet: Packet): void {
    const { nowMs } = this.#shell;
    const delayMs = this.#delayMs();
    const link = this.linkOf(packet.from, to);
    const cloggedMs = this.#cloggedUntilMs.get(link) ?? 0;
    if (cloggedMs > nowMs) this.#troubledMs.set(link, cloggedMs);
    const atMs = Math.max(nowMs + delayMs, cloggedMs);
    if (atMs - nowMs > lateMs) this.late(packet);
    const sent = this.#corrupted(packet);
    this.#shell.at(atMs, () => this.#shell.arrive(to, sent));
  }

  #delayMs(): number {
    const { delayMs, jitterMs, reorder } = this.#options;
    const baseMs = delayMs + exponential(this.#prng, jitterMs);
    if (this.healed || reorder === null || !this.#prng.chance(reorder.chance)) return baseMs;
    return baseMs + this.#prng.fraction() * reorder.ms;
  }

  #isLost(from: number, to: number): boolean {
    const link = this.linkOf(from, to);
    if (this.blocked.has(link)) {
      this.#troubledMs.set(link, this.#shell.nowMs);
      return true;
    }
    if (this.healed) return false;
    const { burst, loss } = this.#options;
    if (this.#prng.chance(loss)) return true;
    if (burst === null) return false;
    const bad = this.#badLinks.has(link);
    if (this.#prng.chance(bad ? burst.leave : burst.enter)) {
      if (bad) this.#badLinks.delete(link);
      else this.#badLinks.add(link);
    }
    return bad && this.#prng.chance(burst.loss);
  }

  #corrupted(packet: Packet): Packet {
    if (this.healed || !this.#prng.chance(this.#options.corrupt)) return packet;
    const bytes = Buffer.from(packet.bytes);
    const flips = this.#prng.chance(0.7) ? 1 : 1 + this.#prng.below(40);
    for (let flip = 0; flip < flips; flip++) {
      const index = this.#prng.below(bytes.length);
      bytes[index] = (bytes[index] ?? 0) ^ (1 << this.#prng.below(8));
    }
    const cut = this.#prng.chance(0.1) ? this.#prng.below(bytes.length) : bytes.length;
    const left = bytes.subarray(0, cut);
    return { ...packet, bytes: left, intact: checksumOf(left) === packet.checksum };
  }

  #record(to: number, packet: Packet): void {
    if (this.#options.replay === null && this.#options.forge === null) return;
    if (this.#recorded.length < recordedMax) this.#recorded.push({ to, packet });
    // What is replaced is drawn, so that some stays for long: longer than its sender, maybe.
    else if (this.#prng.chance(0.05)) {
      this.#recorded[this.#prng.below(recordedMax)] = { to, packet };
    }
  }
}

export function packetOf(sent: Omit<Packet, "checksum" | "intact">): Packet {
  return { ...sent, checksum: checksumOf(sent.bytes), intact: true };
}
