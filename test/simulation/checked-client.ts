import type { Lifetime, NamedValue, WriteOutcome } from "../../src/core/commands.ts";
import type { Replica } from "../../src/core/replica.ts";
import type { SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";
import type { WriteLedger } from "./write-ledger.ts";

export interface ClientShell {
  readonly nowMs: number;
  readonly ledger: WriteLedger;
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
    const { outcome, delta } = life.stores.writing(id, () => command(life.replica));
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
    if (applied) life.stores.used(id);
    this.#shell.ledger.note(node, id, delta, applied);
  }
}
