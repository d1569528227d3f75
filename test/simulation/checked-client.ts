import type { Now } from "../../src/base/now.ts";
import type { Lifetime, NamedValue, WriteOutcome } from "../../src/core/commands.ts";
import type { Replica } from "../../src/core/replica.ts";
import { forgetAtMs } from "../../src/core/store/lifetime.ts";
import type { StoredRecord } from "../../src/core/store/stored-record.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hashId } from "../../src/session/fingerprint.ts";
import { clusterIdentity } from "../../src/wire/keyring.ts";
import { isOver, lifeKey } from "./model.ts";
import type { PeerWaits } from "./peer-waits.ts";
import type { Life, SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";
import type { WriteLedger } from "./write-ledger.ts";

export interface ClientShell {
  readonly nowMs: number;
  readonly ledger: WriteLedger;
  readonly waits: PeerWaits;
  readonly nodes: readonly SimNode[];
}

type Expected = "as visible" | "unless visible" | "unless destroyed";

/** Nodes on which a session is visible, and how it was known of where it was asked for. */
interface Elsewhere {
  readonly holders: readonly (readonly [SimNode, Life, StoredRecord | undefined])[];
  readonly wasJoining: boolean;
  /** When the stub or the part that is known of it may be forgotten; 0: never, or there is none. */
  readonly endMs: number;
  /** Whether every other node holds it or at least knows of it. */
  readonly isKnown: boolean;
}

/**
 * Sends commands to nodes as a client does, and holds each answer against the model. As the local
 * socket does, it first has a session fetched of which the node cannot tell: one that it knows of
 * and does not hold, and while it is joining any that it does not hold.
 */
export class CheckedClient {
  readonly #shell: ClientShell;

  constructor(shell: ClientShell) {
    this.#shell = shell;
  }

  create(node: SimNode, id: string, written: readonly NamedValue[], lifetime: Lifetime): void {
    this.#write(node, id, "unless visible", (replica, now) =>
      replica.create(id, written, lifetime, now),
    );
  }

  set(node: SimNode, id: string, written: readonly NamedValue[], lifetime: Lifetime): void {
    this.#write(node, id, "unless destroyed", (replica, now) =>
      replica.set(id, written, lifetime, now),
    );
  }

  patch(node: SimNode, id: string, written: readonly NamedValue[], unset: readonly string[]): void {
    this.#write(node, id, "as visible", (replica, now) => replica.patch(id, written, unset, now));
  }

  touch(node: SimNode, id: string, idleMs: number | undefined): void {
    this.#write(node, id, "as visible", (replica, now) => replica.touch(id, idleMs, now));
  }

  destroy(node: SimNode, id: string): void {
    this.#write(node, id, "as visible", (replica, now) => replica.destroy(id, now));
  }

  rotate(node: SimNode, id: string, newId: string): void {
    this.#whenHere(node, id, () =>
      this.#whenHere(node, newId, () => {
        // What was fetched first may have had to go for the second.
        if (node.life?.replica.store.lacks(id) === false) this.#rotate(node, id, newId);
      }),
    );
  }

  get(node: SimNode, id: string): void {
    this.#whenHere(node, id, () => this.#get(node, id));
  }

  #rotate(node: SimNode, id: string, newId: string): void {
    const { life } = node;
    if (life?.stores === undefined) return;
    const now = node.clock.at(this.#shell.nowMs);
    const [old, target] = [id, newId].map((each) => life.stores?.visibility(each, now.wallMs));
    const { outcome, written } = life.stores.writing([id, newId], () =>
      life.replica.rotate(id, newId, now),
    );
    const name = () => `${node.label} moves ${id} to ${newId}`;
    const { applied, refusal } = outcome;
    if (applied) {
      hold(old?.may === true && target?.must === false, "rotate-moves-what-is-there", name);
      hold(life.replica.get(id, now) === undefined, "nothing-under-the-old-id", name);
      hold(life.replica.get(newId, now) !== undefined, "all-under-the-new-id", name);
    } else if (refusal === "exists") {
      hold(id === newId || target?.may === true, "rotate-moves-what-is-there", name);
    } else hold(old?.must === false, "rotate-moves-what-is-there", name);
    for (const delta of written) this.#shell.ledger.note(node, delta.id, delta, applied);
    if (applied) this.#shell.ledger.noteMove(node, written);
  }

  #get(node: SimNode, id: string): void {
    const { life } = node;
    if (life === undefined) return;
    const now = node.clock.at(this.#shell.nowMs);
    const view = life.replica.get(id, now);
    life.stores?.checkView(id, view, now.wallMs);
    if (view === undefined) this.#shell.ledger.checkHidden(node, id, now.wallMs);
  }

  /** At once, or when the session has been fetched; never if nobody could tell. */
  #whenHere(node: SimNode, id: string, act: () => void): void {
    if (node.life?.replica.knows(id) === false) this.#fetch(node, id, act);
    else act();
  }

  #fetch(node: SimNode, id: string, act: () => void): void {
    const { life } = node;
    if (life === undefined) return;
    const now = node.clock.at(this.#shell.nowMs);
    life.stores?.checkEvicted(this.#shell.nowMs, now.wallMs);
    const elsewhere = this.#elsewhere(node, life, id);
    const ticket = life.replica.fetch(id, undefined, now);
    if (ticket === undefined) return;
    node.fetching.set(ticket, (known) => {
      if (!known) return;
      this.#checkAbsent(node, id, elsewhere);
      act();
    });
    node.wake();
  }

  #elsewhere(node: SimNode, life: Life, id: string): Elsewhere {
    const { nodes, nowMs } = this.#shell;
    const holders = nodes.flatMap((other) => {
      const { wallMs } = other.clock.at(nowMs);
      const isVisible = other.life?.stores?.visibility(id, wallMs).must === true;
      if (other === node || other.life === undefined || !isVisible) return [];
      return [[other, other.life, other.life.replica.store.peek(id)] as const];
    });
    const hash = hashId(clusterIdentity("simulated").hashKey, id);
    const part = life.replica.store.peek(id);
    const endMs =
      part === undefined
        ? (life.replica.store.stubs.find(hash)?.endSlot ?? 0) * limits.expirySlotMs
        : forgetAtMs(part, 0);
    const wasJoining = life.replica.phase === "joining";
    return { holders, wasJoining, endMs, isKnown: this.#isKnown(node, id) };
  }

  /** To all others; not only by an earlier life, which is over by the clock of this node. */
  #isKnown(node: SimNode, id: string): boolean {
    const { wallMs } = node.clock.at(this.#shell.nowMs);
    const others = this.#shell.nodes.filter((other) => other !== node && !other.foreign);
    return others.every(({ life }) => {
      const store = life?.replica.store;
      const record = store?.peek(id);
      if (store === undefined || store.lacks(id)) return true;
      const endMs = record === undefined ? 1 : forgetAtMs(record, node.retentionMs);
      return endMs === 0 || !isOver(endMs, wallMs);
    });
  }

  /**
   * Of a session that a peer holds all the while nobody says that it does not exist. But a node
   * that is joining believes the first that is complete, which may not have heard of it, and may
   * find that it is to start alone.
   */
  #checkAbsent(node: SimNode, id: string, elsewhere: Elsewhere): void {
    const { holders, wasJoining, endMs, isKnown } = elsewhere;
    const { life } = node;
    const { wallMs } = node.clock.at(this.#shell.nowMs);
    if (life?.stores === undefined || life.stores.known(id)?.cells.has(lifeKey)) return;
    const joins = life.replica.phase === "joining" && isKnown && this.#isKnown(node, id);
    if (wasJoining && !joins) return;
    if (endMs > 0 && endMs <= wallMs) return;
    for (const [holder, before, record] of holders) {
      const isSeen = life.replica.peers.get(before.boot)?.state === "up";
      if (holder.life !== before || !isSeen) continue;
      if (before.replica.store.peek(id) !== record) continue;
      const { must } = before.stores?.visibility(id, wallMs + 2 * limits.expirySlotMs) ?? {};
      const fact = () => `${node.label} says that there is no ${id}, and ${holder.label} has it`;
      hold(must !== true, "no-session-only-if-nobody-has-it", fact);
    }
  }

  #write(
    node: SimNode,
    id: string,
    expected: Expected,
    command: (replica: Replica, now: Now) => WriteOutcome,
  ): void {
    this.#whenHere(node, id, () => this.#writeHere(node, id, expected, command));
  }

  #writeHere(
    node: SimNode,
    id: string,
    expected: Expected,
    command: (replica: Replica, now: Now) => WriteOutcome,
  ): void {
    const { life } = node;
    if (life === undefined) return;
    const now = node.clock.at(this.#shell.nowMs);
    if (life.stores === undefined) {
      command(life.replica, now);
      return;
    }
    const { wallMs } = now;
    const { may, must } = life.stores.visibility(id, wallMs);
    const dead = life.stores.known(id)?.dead === true;
    const { outcome, written } = life.stores.writing([id], () => command(life.replica, now));
    const [delta] = written;
    const name = () => `${node.label} with ${id}`;
    const { applied } = outcome;
    if (expected === "as visible") {
      hold(!applied || may, "only-visible-sessions-change", name);
      hold(applied || !must, "visible-sessions-change", name);
    } else if (expected === "unless visible") {
      hold(applied ? !must : may, "create-only-where-none-is", name);
    } else {
      hold(applied === !dead, "set-does-not-revive", name);
    }
    const begins = expected === "unless visible" || !must;
    const lives = delta?.life?.alive !== true || (expected !== "as visible" && begins);
    hold(lives, "updates-do-not-write-life", name);
    this.#shell.ledger.note(node, id, delta, applied);
    if (delta !== undefined) this.#shell.waits.wrote(node, delta);
  }
}
