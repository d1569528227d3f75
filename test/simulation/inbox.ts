import type { Packet } from "./network.ts";

interface Shell {
  readonly nowMs: number;
  readonly network: { lost(packet: Packet): void; late(packet: Packet): void };
  at(atMs: number, run: () => void): void;
}

/** What a process takes out of its socket in one turn of its event loop, at most. */
const turnMax = 32;

/**
 * The receive buffer of a socket and the process that empties it, at its own speed and with pauses.
 * What arrives while the buffer is full is lost, which is where real losses come from.
 */
export class Inbox {
  readonly #shell: Shell;
  readonly #onTurn: (packets: readonly Packet[]) => void;
  readonly #capacity: number;
  readonly #msPerDatagram: number;
  #waiting: Packet[] = [];
  #scheduled = false;
  #generation = 0;
  /** The process does nothing before this. */
  busyUntilMs = 0;
  paused = false;
  /** Until when it was stopped, or when it last had no room: something came late, or never. */
  troubledMs = Number.NEGATIVE_INFINITY;
  overflowed = 0;

  constructor(
    shell: Shell,
    onTurn: (packets: readonly Packet[]) => void,
    options: { readonly capacity: number; readonly msPerDatagram: number },
  ) {
    this.#shell = shell;
    this.#onTurn = onTurn;
    this.#capacity = options.capacity;
    this.#msPerDatagram = options.msPerDatagram;
  }

  arrive(packet: Packet): void {
    if (this.#msPerDatagram === 0 && !this.#scheduled && this.busyUntilMs <= this.#shell.nowMs) {
      this.#onTurn([packet]);
      return;
    }
    if (this.#waiting.length >= this.#capacity) {
      this.overflowed += 1;
      this.troubledMs = Math.max(this.troubledMs, this.#shell.nowMs);
      this.#shell.network.lost(packet);
      return;
    }
    this.#shell.network.late(packet);
    this.#waiting.push(packet);
    this.#schedule();
  }

  /** The process stops, as by a signal, a suspended machine or a long collection of garbage. */
  pause(untilMs: number): void {
    this.busyUntilMs = Math.max(this.busyUntilMs, untilMs);
    this.troubledMs = Math.max(this.troubledMs, untilMs);
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.busyUntilMs = Math.min(this.busyUntilMs, this.#shell.nowMs);
    if (this.#waiting.length === 0) return;
    this.#generation += 1;
    this.#scheduled = false;
    this.#schedule();
  }

  clear(): void {
    this.#waiting = [];
    this.#generation += 1;
    this.#scheduled = false;
    this.busyUntilMs = 0;
    this.paused = false;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const generation = this.#generation;
    const atMs = Math.max(this.#shell.nowMs, this.busyUntilMs);
    this.#shell.at(atMs, () => this.#drain(generation));
  }

  #drain(generation: number): void {
    if (generation !== this.#generation) return;
    this.#scheduled = false;
    const { nowMs } = this.#shell;
    if (this.busyUntilMs > nowMs) {
      this.#schedule();
      return;
    }
    this.paused = false;
    const packets = this.#waiting.splice(0, turnMax);
    this.busyUntilMs = nowMs + packets.length * this.#msPerDatagram;
    if (this.#waiting.length > 0) this.#schedule();
    this.#onTurn(packets);
  }
}
