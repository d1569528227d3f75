import type { CoreEvent } from "../../src/core/outbox.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampWallMs } from "../../src/session/stamp.ts";
import type { Issued } from "./issued.ts";
import { expiryKey, isOver, lifeKey, type ModelSession } from "./model.ts";
import type { Life, SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";

export interface JoinShell {
  readonly nowMs: number;
  readonly issued: Issued;
  readonly nodes: readonly SimNode[];
}

interface Owed {
  readonly donors: readonly (Life | undefined)[];
  readonly sessions: ReadonlyMap<string, ModelSession>;
}

/**
 * A node that says it is in sync has taken over a whole state: at the least, what every node that
 * could give it held already when it started.
 */
export class JoinWatch {
  readonly #shell: JoinShell;
  readonly #owed = new Map<SimNode, Owed>();

  constructor(shell: JoinShell) {
    this.#shell = shell;
  }

  onStart(node: SimNode): void {
    const donors = this.#donorsOf(node).map(({ life }) => life);
    this.#owed.set(node, { donors, sessions: this.#heldByAll(node) });
  }

  onEvent(node: SimNode, event: CoreEvent): void {
    if (event.event !== "ready") return;
    if (event.reason === "alone") checkAlone(node);
    if (event.reason === "in_sync") checkRanges(node);
    const owed = this.#owed.get(node);
    this.#owed.delete(node);
    if (event.reason !== "in_sync" || !node.correct || node.tainted || owed === undefined) return;
    // What died with a donor is not owed, and one that started meanwhile may have less.
    const donors = this.#donorsOf(node).map(({ life }) => life);
    const changed = donors.some((life, index) => life !== owed.donors[index]);
    if (changed || donors.length !== owed.donors.length) return;
    const { wallMs } = node.clock.at(this.#shell.nowMs);
    for (const [id, model] of owed.sessions) {
      // A later write may have ended the session meanwhile.
      const whole = this.#shell.issued.joinedWith(id, model);
      if (isOver(whole.forgetAtMs(node.retentionMs), wallMs, -2)) continue;
      if (isOver(model.forgetAtMs(node.retentionMs), wallMs, -2)) continue;
      if (this.#isAskedFor(node, id) || this.#isAhead(node, id)) continue;
      const missing = this.#missing(node, id, model);
      const fact = () => `${node.label} lacks ${missing} of ${id} when it says it is in sync`;
      hold(missing === undefined, "in-sync-is-complete", fact);
    }
  }

  /**
   * A donor that has evicted a session since gives what it knows: that there is one. This may stay
   * all that the joining node has, beside a part without life that the stream brought, if whoever
   * asks for it waits for a fetch instead of being told that there is none. So may what it had no
   * room for itself.
   */
  #isAskedFor(node: SimNode, id: string): boolean {
    const { life } = node;
    if (life === undefined || life.replica.knows(id)) return false;
    const held = life.stores?.known(id);
    if (held === undefined && node.tiny) return true;
    return !held?.cells.has(lifeKey) && this.#wasEvicted(node, id);
  }

  /** Whether a donor, its clock set meanwhile, has written to it in what is the future here. */
  #isAhead(node: SimNode, id: string): boolean {
    const aheadMs = node.clock.at(this.#shell.nowMs).wallMs + limits.clockDriftMsMax;
    return this.#donorsOf(node).some(({ life }) => {
      const cells = life?.stores?.known(id)?.cells.values() ?? [];
      return [...cells].some(({ time }) => stampWallMs(time) > aheadMs);
    });
  }

  /**
   * What the node lacks of what it is owed of a session; undefined: nothing. Once a donor that has
   * evicted the session since hears that it is destroyed, it has a tombstone and nothing else to
   * give: not how long the dead session would have lived, which no client can miss.
   */
  #missing(node: SimNode, id: string, model: ModelSession): string | undefined {
    const known = node.life?.stores?.known(id);
    if (known === undefined) return "all";
    const missing = [...model.cells].filter((cell) => known.clone().joinCells([cell]));
    const isEndOwed = !known.dead || !this.#wasEvicted(node, id);
    return missing.find(([key]) => isEndOwed || key !== expiryKey)?.[0];
  }

  /** Whether a donor has evicted it since the node started. */
  #wasEvicted(node: SimNode, id: string): boolean {
    const sinceMs = node.life?.startedMs ?? Number.POSITIVE_INFINITY;
    return this.#donorsOf(node).some(
      ({ life }) => life?.stores?.evictedSince(id, sinceMs) !== undefined,
    );
  }

  #donorsOf(joiner: SimNode): SimNode[] {
    return this.#shell.nodes.filter((node) => node !== joiner && node.serving && !node.foreign);
  }

  /** What all possible donors hold alike; nothing when one of them may hold less. */
  #heldByAll(joiner: SimNode): Map<string, ModelSession> {
    const held = new Map<string, ModelSession>();
    const donors = this.#donorsOf(joiner);
    if (
      !donors.every((node) => node.correct && !node.tainted && Math.abs(node.clock.offsetMs) < 250)
    )
      return held;
    if (Math.abs(joiner.clock.offsetMs) > 250) return held;
    const ready = donors.filter((node) => node.life?.replica.phase === "ready");
    // A donor that is joining itself may be ready, with less, when it is asked.
    const [first, ...others] = ready.length === donors.length ? ready : [];
    for (const [id, model] of first?.life?.stores?.all() ?? []) {
      const everywhere = others.every((node) => {
        const known = node.life?.stores?.known(id);
        return known !== undefined && model.missingFrom(known) === undefined;
      });
      if (everywhere) held.set(id, model.clone());
    }
    return held;
  }
}

/** Who starts alone knows of nobody with sessions, ready or not. */
function checkAlone({ label, life }: SimNode): void {
  for (const { name, state, count } of life?.replica.peers.all() ?? []) {
    const fact = () => `${label} starts alone and knows that ${name} has ${count} records`;
    hold(state !== "up" || count === 0, "alone-is-alone", fact);
  }
}

/** Who says it is in sync was given every range, whatever donors died or refused meanwhile. */
function checkRanges({ label, life }: SimNode): void {
  const isWhole = life?.ranges === undefined || life.ranges.isWhole;
  hold(isWhole, "in-sync-has-all-ranges", () => `${label} was not given all of the trie`);
}
