import type { Peer } from "../../src/core/membership/peer.ts";
import { limits } from "../../src/protocol/limits.ts";
import { stampWallMs } from "../../src/session/stamp.ts";
import { checkReplica } from "../support/held.ts";
import type { SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";

/** Everything that a node buffers, within its limit: held after every turn of every node. */
export function checkBounds(node: SimNode): void {
  const { life } = node;
  if (life === undefined) return;
  checkReplica(life.replica, node.capacity, (what, value, max) => below(node, what, value, max));
}

/**
 * A clock that was never wrong is never dragged further than it may be. Whole milliseconds: a stamp
 * has counted beyond its own when many were issued in one.
 */
export function checkClock(node: SimNode, wallMs: number): void {
  const { life, tainted } = node;
  if (life === undefined || tainted) return;
  const aheadMs = stampWallMs(life.replica.clockTime) - wallMs;
  const fact = () => `${node.label} is ${aheadMs} ms ahead of its own clock`;
  hold(aheadMs <= limits.clockDriftMsMax + 1, "clocks-are-not-dragged", fact);
}

/** A name is up once: a start of a node replaces the one before. */
export class NameWatch {
  /** The peers that were up, and their names, when all names were last seen to differ. */
  readonly #held: { readonly peer: Peer; name: string }[] = [];

  /** Nearly always nothing has changed since the turn before, and names need not be compared. */
  check(node: SimNode): void {
    const { life } = node;
    if (life === undefined) return;
    let up = 0;
    let same = true;
    for (const peer of life.replica.peers.all()) {
      const { name, state } = peer;
      if (state !== "up") continue;
      const held = this.#held[up];
      if (held?.peer === peer && held.name === name) {
        // Each heartbeat brings a copy of the name, and one string is soonest compared with itself.
        held.name = name;
      } else {
        same = false;
        this.#held[up] = { peer, name };
      }
      up += 1;
    }
    if (same && up === this.#held.length) return;
    this.#held.length = up;
    const names = new Set([node.name]);
    for (const { name } of this.#held) {
      hold(!names.has(name), "one-start-of-a-name", () => `${node.label} has ${name} up twice`);
      names.add(name);
    }
  }
}

function below(node: SimNode, what: string, value: number, max: number): void {
  hold(value >= 0 && value <= max, "buffers-are-bounded", () => {
    return `${node.label} has ${value} ${what}, ${max} at most`;
  });
}
