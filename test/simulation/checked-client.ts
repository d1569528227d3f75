import type { Lifetime, NamedValue, WriteOutcome } from "../../src/core/commands.ts";
import type { Replica } from "../../src/core/replica.ts";
import type { PeerWaits } from "./peer-waits.ts";
import type { SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";
import type { WriteLedger } from "./write-ledger.ts";

export interface ClientShell {
  readonly nowMs: number;
  readonly ledger: WriteLedger;
  readonly waits: PeerWaits;
}

type Expected = "as visible" | "unless visible" | "unless destroyed";

/** Sends commands to nodes as a client does, and holds each answer against the model. */
export class CheckedClient {
  readonly #shell: ClientShell;

  constructor(shell: ClientShell) {
    this.#shell = shell;
  }

  create(node: SimNode, id: string, written: readonly NamedValue[], lifetime: Lifetime): void {
    const now = node.clock.at(this.#shell.nowMs);
    this.#write(node, id, "unless visible", (replica) =>
      replica.create(id, written, lifetime, now),
    );
  }

  set(node: SimNode, id: string, written: readonly NamedValue[], lifetime: Lifetime): void {
    const now = node.clock.at(this.#shell.nowMs);
    this.#write(node, id, "unless destroyed", (replica) => replica.set(id, written, lifetime, now));
  }

  patch(node: SimNode, id: string, written: readonly NamedValue[], unset: readonly string[]): void {
    const now = node.clock.at(this.#shell.nowMs);
    this.#write(node, id, "as visible", (replica) => replica.patch(id, written, unset, now));
  }

  touch(node: SimNode, id: string, idleMs: number | undefined): void {
    const now = node.clock.at(this.#shell.nowMs);
    this.#write(node, id, "as visible", (replica) => replica.touch(id, idleMs, now));
  }

  destroy(node: SimNode, id: string): void {
    const now = node.clock.at(this.#shell.nowMs);
    this.#write(node, id, "as visible", (replica) => replica.destroy(id, now));
  }

  rotate(node: SimNode, id: string, newId: string): void {
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

  get(node: SimNode, id: string): void {
    const { life } = node;
    if (life === undefined) return;
    const now = node.clock.at(this.#shell.nowMs);
    const view = life.replica.get(id, now);
    life.stores?.checkView(id, view, now.wallMs);
    if (view === undefined) this.#shell.ledger.checkHidden(node, id, now.wallMs);
  }

  #write(
    node: SimNode,
    id: string,
    expected: Expected,
    command: (replica: Replica) => WriteOutcome,
  ): void {
    const { life } = node;
    if (life === undefined) return;
    if (life.stores === undefined) {
      command(life.replica);
      return;
    }
    const { wallMs } = node.clock.at(this.#shell.nowMs);
    const { may, must } = life.stores.visibility(id, wallMs);
    const dead = life.stores.known(id)?.dead === true;
    const { outcome, written } = life.stores.writing([id], () => command(life.replica));
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
