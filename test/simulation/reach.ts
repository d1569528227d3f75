import { limits } from "../../src/protocol/limits.ts";
import { stampWallMs } from "../../src/session/stamp.ts";
import { CheckedClient, type ClientShell } from "./checked-client.ts";
import type { Life, SimNode } from "./sim-node.ts";
import { correctNodes } from "./verdict.ts";
import { hold } from "./violation.ts";

export interface ReachShell extends ClientShell {
  readonly nodes: readonly SimNode[];
}

/** Less than the time after which reconciliation begins. */
const reachMsMax = 1_400;
/** Clocks that differ by less never make a node refuse another's writes. */
const clockMsMax = 200;

/**
 * In a network at rest each node's writes reach all others by themselves, whatever ways are left
 * between them: reconciliation would bring them as well, but later, so it hides ways that are not
 * there.
 */
export function checkReach(shell: ReachShell, advance: (forMs: number) => void): void {
  const client = new CheckedClient(shell);
  const nodes = correctNodes(shell.nodes).filter(
    (node) => Math.abs(node.clock.aheadMs(shell.nowMs)) < clockMsMax,
  );
  const idOf = ({ index }: SimNode) => `last-of-${index}`;
  for (const node of nodes) {
    const lifetime = { idleMs: undefined, absoluteMs: undefined };
    client.create(node, idOf(node), [{ name: "last", value: "write" }], lifetime);
    node.wake();
  }
  // A clock that is ahead, though not too far for its neighbours, has drawn those of others along.
  const refuses = new Set(
    nodes.flatMap((node) => {
      const { wallMs } = node.clock.at(shell.nowMs);
      const ahead = nodes.filter(
        ({ life }) => stampWallMs(life.replica.clockTime) > wallMs + limits.clockDriftMsMax,
      );
      return ahead.map((writer) => `${writer.index} ${node.index}`);
    }),
  );
  advance(reachMsMax);
  // A node without room may have had to give it up again.
  const holds = ({ life: { replica } }: { readonly life: Life }, id: string) =>
    replica.store.has(id) || replica.store.hasStub(id);
  for (const writer of nodes) {
    for (const node of nodes) {
      if (refuses.has(`${writer.index} ${node.index}`)) continue;
      const fact = () => `${node.label} lacks what ${writer.label} wrote`;
      hold(holds(node, idOf(writer)), "writes-arrive-by-themselves", fact);
    }
  }
}
