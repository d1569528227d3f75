import type { CoreEvent } from "../../src/core/outbox.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampWallMs, tagOf } from "../../src/session/stamp.ts";
import { CheckedClient, type ClientShell } from "./checked-client.ts";
import type { Issued } from "./issued.ts";
import { type Cell, expiryKey, isOver, type ModelSession } from "./model.ts";
import type { Network } from "./network.ts";
import type { SimulationOptions } from "./options.ts";
import type { Life, SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";

export interface LeaveShell extends ClientShell {
  readonly options: SimulationOptions;
  readonly network: Network;
  readonly issued: Issued;
  at(atMs: number, run: () => void): void;
}

/** Of more loss a round, too, may not be done with within the second that a leaving node waits. */
const lossMax = 0.1;
/** Clocks that differ by less never make a node refuse another's writes. */
const clockMsMax = 200;

type Running = SimNode & { readonly life: Life };

/**
 * A node that is told to leave does so in time, and what it acknowledged stays: each peer that it
 * was well connected with has all that was written on it meanwhile. Clients write to the last, so
 * there is always something that only the leaving node has.
 */
export class LeaveWatch {
  readonly #shell: LeaveShell;
  readonly #client: CheckedClient;
  /** Since when one start of a node has another as a peer that is up. */
  readonly #upSinceMs = new Map<string, number>();
  #leaves = 0;

  constructor(shell: LeaveShell) {
    this.#shell = shell;
    this.#client = new CheckedClient(shell);
  }

  onEvent({ life }: SimNode, event: CoreEvent): void {
    if (life === undefined || !("peer" in event)) return;
    const pair = `${life.boot} ${event.peer.boot}`;
    if (event.event === "peer_up" || event.event === "peer_restarted") {
      this.#upSinceMs.set(pair, this.#shell.nowMs);
    } else if (event.event === "peer_down" || event.event === "peer_left") {
      this.#upSinceMs.delete(pair);
    }
  }

  /** It is about to be told. */
  onLeave(node: SimNode): void {
    const { life } = node;
    this.#leaves += 1;
    const lifetime = { idleMs: undefined, absoluteMs: undefined };
    const written = [{ name: "last", value: "words" }];
    this.#client.create(node, `last-words-${this.#leaves}`, written, lifetime);
    // A process that is stopped meanwhile goes on when it runs again.
    const toldMs = this.#shell.nowMs;
    const patienceMs = limits.leaveFlushMsMax + limits.leaveMsMax + limits.leaveHelloMs;
    this.#shell.at(toldMs + patienceMs, () => {
      const stays = node.life === life && node.inbox.troubledMs < toldMs;
      hold(!stays, "leaving-ends", () => `${node.label} is still there after ${patienceMs} ms`);
    });
  }

  /** It has said good-bye, and still has its memory. */
  onLeft(node: SimNode): void {
    if (!isRunning(node) || !this.#isPunctual(node)) return;
    for (const other of this.#shell.nodes) {
      if (other === node || !isRunning(other) || !this.#isAttentive(node, other)) continue;
      this.#checkHeir(node, other);
    }
  }

  /** Whether all that it wrote left at once, and was repeated as soon as somebody asked. */
  #isPunctual(node: Running): boolean {
    const { network, node: faults } = this.#shell.options;
    const { loss, sharedLoss, corrupt, burst } = network;
    if (burst !== null || loss + sharedLoss + corrupt > lossMax) return false;
    if (faults.buffers !== null || faults.laggard === node.index) return false;
    const { replica } = node.life;
    if (replica.pending || replica.counters.naks.repairsDeferred > 0) return false;
    return this.#isPlain(node);
  }

  /** Whether it has taken in, or been repeated, whatever came from the leaving node. */
  #isAttentive(leaver: Running, node: Running): boolean {
    if (!node.serving || this.#shell.options.node.laggard === node.index) return false;
    if (node.life.replica.counters.stream.reassembliesDropped > 0) return false;
    const { wallMs } = node.clock.at(this.#shell.nowMs);
    const aheadMs = stampWallMs(leaver.life.replica.clockTime) - wallMs;
    return aheadMs < limits.clockDriftMsMax && this.#isPlain(node);
  }

  #isPlain(node: Running): boolean {
    const clockMs = Math.abs(node.clock.aheadMs(this.#shell.nowMs));
    return node.correct && !node.tiny && !node.tainted && clockMs < clockMsMax;
  }

  #checkHeir(leaver: Running, heir: Running): void {
    const sinceMs = this.#connectedSinceMs(leaver, heir);
    if (sinceMs === undefined) return;
    const { wallMs } = leaver.clock.at(this.#shell.nowMs);
    // Stamps run ahead of the clock by as much as peers accept.
    const sinceWallMs = wallMs - this.#shell.nowMs + sinceMs + limits.clockDriftMsMax;
    const tag = tagOf(leaver.life.boot);
    for (const [id, model] of leaver.life.stores?.all() ?? []) {
      const own = [...model.cells].filter(
        ([, cell]) => cell.tag === tag && stampWallMs(cell.time) > sinceWallMs,
      );
      if (own.length === 0 || this.#isNearlyOver(heir, id, model)) continue;
      const fact = () => `${heir.label} lacks what ${leaver.label} wrote to ${id} before it left`;
      hold(this.#has(heir, id, own), "what-a-leaving-node-accepted-stays", fact);
    }
  }

  /** Undefined: they are not. Only then what is in the way of a link when something passes it. */
  #connectedSinceMs(one: Running, two: Running): number | undefined {
    const { network } = this.#shell;
    const oneUpMs = this.#upSinceMs.get(`${one.life.boot} ${two.life.boot}`);
    const twoUpMs = this.#upSinceMs.get(`${two.life.boot} ${one.life.boot}`) ?? oneUpMs;
    if (oneUpMs === undefined || twoUpMs === undefined) return undefined;
    return Math.max(
      oneUpMs,
      twoUpMs,
      one.inbox.troubledMs,
      two.inbox.troubledMs,
      // Before, one may have refused what the other wrote.
      one.clockSetMs,
      two.clockSetMs,
      network.troubledMs(one.index, two.index),
      network.troubledMs(two.index, one.index),
    );
  }

  #isNearlyOver(node: Running, id: string, model: ModelSession): boolean {
    const { wallMs } = node.clock.at(this.#shell.nowMs);
    const states = [model, this.#shell.issued.joinedWith(id, model)];
    return states.some((state) => isOver(state.forgetAtMs(node.retentionMs), wallMs, -2));
  }

  #has(node: Running, id: string, cells: readonly (readonly [string, Cell])[]): boolean {
    const known = node.life.stores?.known(id);
    if (known === undefined) return false;
    // How long a dead session would have lived is nothing that a client can miss.
    const shown = known.dead ? cells.filter(([key]) => key !== expiryKey) : cells;
    return !known.clone().joinCells(shown);
  }
}

function isRunning(node: SimNode): node is Running {
  return node.life?.stores !== undefined;
}
