import type { Prng } from "../../src/base/prng.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import type { Stamp } from "../../src/session/stamp.ts";
import { between, prngFor } from "./chance.ts";
import type { Issued } from "./issued.ts";
import { type Cell, cellsOf, expiryKey, isOver, type ModelSession } from "./model.ts";
import type { SimulationOptions } from "./options.ts";
import type { SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";

export interface WaitsShell {
  readonly nowMs: number;
  readonly options: SimulationOptions;
  readonly nodes: readonly SimNode[];
  readonly issued: Issued;
}

interface Written {
  readonly id: string;
  readonly cells: readonly (readonly [string, Cell])[];
  readonly writer: SimNode;
  readonly atMs: number;
  /** What the writer held of the session then; undefined: it had no room for it. */
  readonly state: ModelSession | undefined;
}

/**
 * Clients that ask for more than the local sidecar: writes that wait until peers have them, and
 * reads on another node that must include a write. Whatever they are told is held against what the
 * nodes hold at that moment.
 */
export class PeerWaits {
  readonly #shell: WaitsShell;
  readonly #prng: Prng;
  readonly #misses: Prng;

  constructor(shell: WaitsShell) {
    this.#shell = shell;
    this.#prng = prngFor(shell.options.seed, "waiting");
    this.#misses = prngFor(shell.options.seed, "misses");
  }

  /** A client wrote this a moment ago, in this turn. */
  wrote(writer: SimNode, delta: SessionDelta): void {
    const { workload } = this.#shell.options;
    const stamp = delta.life?.stamp ?? delta.floor ?? delta.expiry?.stamp;
    const write = stamp ?? delta.attributes[0]?.stamp;
    if (write === undefined || !this.#prng.chance(workload.waits)) return;
    const cells = cellsOf(delta);
    const state = writer.life?.stores?.known(delta.id)?.clone();
    const written = { id: delta.id, cells, writer, atMs: this.#shell.nowMs, state };
    if (this.#prng.chance(0.5)) this.#confirm(written);
    else this.#readElsewhere(written, write);
  }

  /** Clients read, again and again, what nobody ever wrote. */
  readUnknown(reader: SimNode): void {
    const { misses } = this.#shell.options.workload;
    if (!this.#misses.chance(misses)) return;
    const reads = 1 + this.#misses.below(30);
    for (let read = 0; read < reads; read++) this.#read(reader, `nobody-${this.#misses.below(9)}`);
    reader.wake();
  }

  #read(reader: SimNode, id: string): void {
    const { life } = reader;
    if (life === undefined) return;
    const { replica } = life;
    const now = reader.clock.at(this.#shell.nowMs);
    if (!replica.knows(id)) replica.fetch(id, undefined, now);
    else if (replica.phase === "joining") life.fetches?.claimedAbsent(id, this.#shell.nowMs);
  }

  #confirm(written: Written): void {
    const { writer, id } = written;
    const ack = {
      peers: 1 + this.#prng.below(Math.max(1, this.#shell.nodes.length - 1)),
      timeoutMs: Math.round(between(this.#prng, 20, 3_000)),
    };
    const now = writer.clock.at(this.#shell.nowMs);
    const ticket = writer.life?.replica.confirm(id, ack, now);
    hold(ticket !== undefined, "few-writes-wait", () => `${writer.label} takes no more`);
    if (ticket === undefined) return;
    writer.confirming.set(ticket, (count) => {
      const holders = this.#shell.nodes.filter(
        (node) => node !== writer && this.#has(node, written),
      );
      const fact = () => `${count} are said to have ${id}, and ${holders.length} can`;
      hold(count <= holders.length, "confirmed-is-held", fact);
    });
  }

  #readElsewhere(written: Written, write: Stamp): void {
    // A node of another cluster knows nobody, and nothing of this one's writes.
    const others = this.#shell.nodes.filter(
      (node) => node !== written.writer && node.serving && !node.foreign,
    );
    const reader = this.#prng.pick(others);
    const replica = reader?.life?.replica;
    if (reader === undefined || replica === undefined) return;
    const check = () => {
      const fact = () => `${reader.label} claims to include a write to ${written.id}`;
      const includes = this.#has(reader, written) || this.#isNowhere(reader, written);
      hold(includes, "read-includes-the-write", fact);
    };
    if (replica.knows(written.id, write)) {
      check();
      return;
    }
    const ticket = replica.fetch(written.id, write, reader.clock.at(this.#shell.nowMs));
    if (ticket === undefined) return;
    reader.fetching.set(ticket, (known) => {
      if (known) check();
    });
    reader.wake();
  }

  /**
   * Its writer has evicted it, and so have all others whom the reader could ask: that there is none
   * includes the write.
   */
  #isNowhere({ life: readers }: SimNode, { id, writer, atMs }: Written): boolean {
    if (writer.life?.stores?.evictedSince(id, atMs) === undefined) return false;
    return this.#shell.nodes.every(({ life }) => {
      const isUp = life !== undefined && readers?.replica.peers.get(life.boot)?.state === "up";
      return life?.stores?.known(id) === undefined || !(isUp || life === readers);
    });
  }

  /** Whether the session's end has come by this node's clock, then or by what was written since. */
  #isOver(node: SimNode, { id, state }: Written): boolean {
    if (state === undefined) return false;
    const { wallMs } = node.clock.at(this.#shell.nowMs);
    const states = [state, this.#shell.issued.joinedWith(id, state)];
    return states.some((each) => isOver(each.forgetAtMs(node.retentionMs), wallMs));
  }

  /** Whether the node holds the write, or has lost it by no fault of its own. */
  #has(node: SimNode, written: Written): boolean {
    const { id, cells, writer, atMs } = written;
    const { life } = node;
    if (life === undefined || life.startedMs > atMs) return true;
    // What a wrong clock stamped bears another stamp once the clock was set right.
    if (node.tainted || writer.tainted) return true;
    if (life.stores === undefined) return true;
    const states = [life.stores.known(id), life.stores.evictedSince(id, atMs)];
    const known = states.filter((state) => state !== undefined);
    if (known.length === 0) return this.#isOver(node, written);
    return known.some((state) => {
      // How long a dead session would have lived is nothing that a client can miss.
      const shown = state.dead ? cells.filter(([key]) => key !== expiryKey) : cells;
      return !state.clone().joinCells(shown);
    });
  }
}
