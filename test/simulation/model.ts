/**
 * The data model once more, written from its description alone: plain maps of stamped cells. It
 * shares no code with src/session/merge.ts, against which it is held at every step.
 */
import { limits } from "../../src/protocol/limits.ts";
import type { SessionDelta, SessionState } from "../../src/session/record.ts";
import { type Stamp, stampEpochMs, stampsPerMs } from "../../src/session/stamp.ts";

/** One replicated component: who wrote it when, and what. */
export interface Cell {
  readonly time: number;
  readonly tag: number;
  readonly content: string;
}

export const lifeKey = "life";
export const floorKey = "floor";
export const expiryKey = "expiry";
export const attributePrefix = "attribute ";
const removed = "removed";

/** The components of a state or of a part of it, each with its name. */
export function cellsOf(state: SessionState | SessionDelta): [string, Cell][] {
  const cells: [string, Cell][] = [];
  const add = (key: string, stamp: Stamp, content: string) => {
    if (stamp.time > 0) cells.push([key, { time: stamp.time, tag: stamp.tag, content }]);
  };
  const { life, floor, expiry } = state;
  // The floor first: it decides about the attributes that come with it.
  if (floor !== undefined) add(floorKey, floor, "");
  if (life !== undefined) {
    add(lifeKey, life.stamp, `${life.alive ? "alive" : "dead"} ${life.absoluteDeadlineMs}`);
  }
  if (expiry !== undefined) {
    add(expiryKey, expiry.stamp, `${expiry.idleMs} ${expiry.idleDeadlineMs}`);
  }
  for (const { name, stamp, value } of state.attributes) {
    add(attributePrefix + name, stamp, value === undefined ? removed : `=${value}`);
  }
  return cells;
}

function later(left: Cell, right: Cell): boolean {
  return left.time !== right.time ? left.time > right.time : left.tag > right.tag;
}

interface Idle {
  readonly idleMs: number;
  readonly deadlineMs: number;
}

const unlimited: Idle = { idleMs: 0, deadlineMs: 0 };

function idleOf(cell: Cell): Idle {
  const [idleMs = 0, deadlineMs = 0] = cell.content.split(" ").map(Number);
  return { idleMs, deadlineMs };
}

export class ModelSession {
  readonly cells = new Map<string, Cell>();
  /** The cell of the expiry that was read last, and what it says: it is asked for at each sweep. */
  #readExpiry: Cell | undefined;
  #idle: Idle = unlimited;

  clone(): ModelSession {
    const copy = new ModelSession();
    copy.joinCells(this.cells);
    return copy;
  }

  /** Whether anything changed. */
  join(delta: SessionState | SessionDelta): boolean {
    return this.joinCells(cellsOf(delta));
  }

  joinCells(cells: Iterable<readonly [string, Cell]>): boolean {
    let changed = false;
    for (const [key, cell] of cells) {
      const floor = this.cells.get(floorKey);
      if (key.startsWith(attributePrefix) && floor !== undefined && later(floor, cell)) continue;
      const held = this.cells.get(key);
      if (held !== undefined && !later(cell, held)) continue;
      this.cells.set(key, cell);
      changed = true;
      if (key === floorKey) this.#bury(cell);
    }
    return changed;
  }

  #bury(floor: Cell): void {
    for (const [key, cell] of this.cells) {
      if (key.startsWith(attributePrefix) && later(floor, cell)) this.cells.delete(key);
    }
  }

  /** In what it differs from a state; undefined: in nothing. */
  difference(state: SessionState): string | undefined {
    const held = cellsOf(state);
    for (const [key, cell] of held) {
      const expected = this.cells.get(key);
      if (expected === undefined) return `${key} is held and should not be`;
      if (expected.time !== cell.time || expected.tag !== cell.tag) {
        return `${key} is of ${cell.time}:${cell.tag}, not ${expected.time}:${expected.tag}`;
      }
      if (expected.content !== cell.content) return `${key} has another content`;
    }
    if (held.length === this.cells.size) return undefined;
    const keys = new Set(held.map(([key]) => key));
    return `${[...this.cells.keys()].find((key) => !keys.has(key))} is missing`;
  }

  /** What this holds that another one, which may know more, does not; undefined: nothing. */
  missingFrom(other: ModelSession): string | undefined {
    const joined = other.clone();
    for (const entry of this.cells) if (joined.joinCells([entry])) return entry[0];
    return undefined;
  }

  get alive(): boolean {
    return this.cells.get(lifeKey)?.content.startsWith("alive") ?? false;
  }

  get dead(): boolean {
    return this.cells.has(lifeKey) && !this.alive;
  }

  /** Name and value of what a client sees, in order of names. */
  get shown(): readonly (readonly [string, string])[] {
    const shown: [string, string][] = [];
    for (const [key, { content }] of this.cells) {
      if (!key.startsWith(attributePrefix) || content === removed) continue;
      shown.push([key.slice(attributePrefix.length), content.slice(1)]);
    }
    return shown.sort(([left], [right]) => (left < right ? -1 : 1));
  }

  get idle(): Idle {
    const cell = this.cells.get(expiryKey);
    if (cell !== this.#readExpiry) {
      this.#readExpiry = cell;
      this.#idle = cell === undefined ? unlimited : idleOf(cell);
    }
    return this.#idle;
  }

  get absoluteDeadlineMs(): number {
    return Number(this.cells.get(lifeKey)?.content.split(" ")[1] ?? 0);
  }

  /** Wall time from which the record is to be forgotten; Infinity: never. */
  forgetAtMs(tombstoneRetentionMs: number): number {
    const life = this.cells.get(lifeKey);
    if (life === undefined) {
      const newest = Math.max(...[...this.cells.values()].map(({ time }) => time));
      return wallOf(newest) + limits.unbornRetentionMs;
    }
    if (!this.alive) return wallOf(life.time) + tombstoneRetentionMs;
    const { idleMs, deadlineMs } = this.idle;
    const idleEndMs = deadlineMs === 0 ? Infinity : deadlineMs + grantedMs(idleMs);
    const absoluteMs = this.absoluteDeadlineMs === 0 ? Infinity : this.absoluteDeadlineMs;
    return Math.min(idleEndMs, absoluteMs);
  }
}

/** What peers grant beyond the replicated deadline, since short touches are not replicated. */
export function grantedMs(idleMs: number): number {
  const window = Math.max(5_000, idleMs / 20);
  return Math.floor(Math.min(window, idleMs / 4));
}

/** Forgetting happens by slots of wall time. Whole slots may be granted, for clocks that differ. */
export function isOver(endMs: number, wallMs: number, slots = 0): boolean {
  const width = limits.expirySlotMs;
  return Math.ceil(endMs / width) + slots <= Math.floor(wallMs / width);
}

function wallOf(time: number): number {
  return Math.floor(time / stampsPerMs) + stampEpochMs;
}
