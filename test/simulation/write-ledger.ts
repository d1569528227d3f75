import { limits } from "../../src/protocol/limits.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import { type Cell, cellsOf, expiryKey, lifeKey, type ModelSession } from "./model.ts";
import type { SimulationOptions } from "./options.ts";
import type { SimNode } from "./sim-node.ts";
import { hold, Violation } from "./violation.ts";

export interface LedgerShell {
  readonly nowMs: number;
  readonly options: SimulationOptions;
  readonly nodes: readonly SimNode[];
  at(atMs: number, run: () => void): void;
}

/**
 * Repair has eight tries in 1.3 s, and a lost last datagram shows after 4 to 640 ms;
 * reconciliation does not begin before 1.5 s. What arrives later was left to it.
 */
const repairedWithinMs = 1_400;
/** Nearly always the first or second ask is answered, and a tail is noticed at once. */
const soonMs = 400;
const notSoonShareMax = 0.005;
const notSoonFree = 2;
/** Moves that are looked at: the latest. */
const movesMax = 20;

interface Use {
  readonly expiry: Cell;
  untilMs: number;
}

/** What clients did, seen from above all nodes: which promises follow from it, and by when. */
export class WriteLedger {
  readonly #shell: LedgerShell;
  readonly #uses = new Map<string, Use>();
  writes = 0;
  readonly #moves: { readonly written: readonly SessionDelta[]; readonly atMs: number }[] = [];
  #deliveries = 0;
  #notSoon = 0;

  constructor(shell: LedgerShell) {
    this.#shell = shell;
  }

  note(node: SimNode, id: string, delta: SessionDelta | undefined, applied: boolean): void {
    const model = node.life?.stores?.known(id);
    // What ends a session is no use of it.
    if (applied && model?.alive === true && node.correct) this.#noteUse(node, id, model);
    if (delta === undefined) return;
    this.writes += 1;
    if (this.#shell.options.profile === "gentle") this.#demandDelivery(node, id, delta);
  }

  /**
   * A session that a client used lives on for its idle time, wherever the next request goes: a use
   * that is not replicated is one that all peers grant anyway.
   */
  checkHidden(node: SimNode, id: string, wallMs: number): void {
    const model = node.life?.stores?.known(id);
    const use = this.#uses.get(id);
    if (model === undefined || use === undefined || !model.alive || !node.correct) return;
    const expiry = model.cells.get(expiryKey);
    if (expiry?.time !== use.expiry.time || expiry.tag !== use.expiry.tag) return;
    const { absoluteDeadlineMs } = model;
    if (absoluteDeadlineMs > 0 && wallMs >= absoluteDeadlineMs) return;
    const { offsetMs, driftPpm, skew, step } = this.#shell.options.clocks;
    const slackMs = 2 * offsetMs + driftPpm;
    if (skew !== null || step !== null) return;
    const fact = () => `${node.label} hides ${id} ${use.untilMs - wallMs} ms early`;
    hold(wallMs >= use.untilMs - slackMs, "uses-elsewhere-are-granted", fact);
  }

  #noteUse(node: SimNode, id: string, model: ModelSession): void {
    const expiry = model.cells.get(expiryKey);
    const { idleMs } = model.idle;
    if (expiry === undefined || idleMs === 0) return;
    const untilMs = Math.floor(node.clock.at(this.#shell.nowMs).wallMs) + idleMs;
    const use = this.#uses.get(id);
    if (use?.expiry.time === expiry.time && use.expiry.tag === expiry.tag) {
      use.untilMs = Math.max(use.untilMs, untilMs);
    } else {
      this.#uses.set(id, { expiry, untilMs });
    }
  }

  /** Loss alone must not keep a write from any node for longer than repair takes. */
  #demandDelivery(writer: SimNode, id: string, delta: SessionDelta): void {
    const cells = cellsOf(delta);
    const { life } = writer;
    const atMs = this.#shell.nowMs;
    const receivers = this.#shell.nodes
      .filter((node) => node !== writer && node.life?.replica.phase === "ready")
      .map((node) => ({ node, life: node.life }));
    const lacking = () =>
      writer.life !== life
        ? []
        : receivers.filter((receiver) => {
            if (receiver.node.life !== receiver.life) return false;
            const known = receiver.life?.stores?.known(id)?.clone();
            return known === undefined || known.joinCells(cells);
          });
    this.#deliveries += receivers.length;
    this.#shell.at(atMs + soonMs, () => {
      this.#notSoon += lacking().length;
    });
    this.#shell.at(atMs + repairedWithinMs, () => {
      const [receiver] = lacking();
      if (receiver === undefined) return;
      const detail = `${receiver.node.label} lacks a write to ${id} of ${writer.label} at ${atMs}`;
      throw new Violation("repair-delivers-in-time", detail);
    });
  }

  /** A move of a session: two sessions changed by one write. */
  noteMove(node: SimNode, written: readonly SessionDelta[]): void {
    if (this.#shell.options.profile !== "gentle" || node.life === undefined) return;
    this.#moves.push({ written, atMs: this.#shell.nowMs });
    if (this.#moves.length > movesMax) this.#moves.shift();
  }

  /** Where repair alone delivers, no node ever has one half of a move. */
  checkMoves({ label, life, retentionMs }: SimNode): void {
    if (life === undefined || life.replica.counters.reconcile.recordsReceived > 0) return;
    for (const { written, atMs } of this.#moves) {
      // That the old id was given up is remembered for so long.
      if (this.#shell.nowMs > atMs + retentionMs - limits.expirySlotMs) continue;
      const halves = written.map((delta) => this.#hasTaken(life, delta));
      // Another life has begun or ended there since, and may have overtaken the move.
      if (halves.includes("later")) continue;
      const fact = () => `${label} has half of the move of ${written.map(({ id }) => id)}`;
      hold(new Set(halves).size === 1, "moves-are-whole", fact);
    }
  }

  #hasTaken(life: NonNullable<SimNode["life"]>, delta: SessionDelta): "yes" | "no" | "later" {
    const held = life.stores?.known(delta.id)?.cells.get(lifeKey);
    const write = delta.life?.stamp;
    if (held === undefined || write === undefined || held.time < write.time) return "no";
    return held.time === write.time && held.tag === write.tag ? "yes" : "later";
  }

  /** At the end of a run: what light loss cost in time. */
  checkDelays(): void {
    const most = notSoonFree + notSoonShareMax * this.#deliveries;
    const fact = () => `${this.#notSoon} of ${this.#deliveries} deliveries took over ${soonMs} ms`;
    hold(this.#notSoon <= most, "repair-is-quick", fact);
    if (this.#shell.options.profile !== "gentle") return;
    for (const { label, life } of this.#shell.nodes) {
      const lost = life?.replica.counters.naks.sequencesLost ?? 0;
      hold(lost === 0, "light-loss-is-repaired", () => `${label} gave up ${lost} numbers`);
    }
  }
}
