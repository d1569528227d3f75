import type { CoreEvent } from "../../src/core/outbox.ts";
import type { BootId } from "../../src/protocol/frames.ts";
import type { SimNode } from "./sim-node.ts";
import { hold } from "./violation.ts";

/**
 * Who is said to be up was alive: after the node that says so had started, and after it had last
 * said that the peer was not there. Late and replayed datagrams of the dead must not do.
 */
export class MembershipWatch {
  readonly #endedMs = new Map<BootId, number>();
  /** Since when an observer needs a proof of a peer's life. */
  readonly #doubtedMs = new Map<string, number>();

  onEnd(boot: BootId, nowMs: number): void {
    this.#endedMs.set(boot, nowMs);
  }

  onEvent(node: SimNode, event: CoreEvent, nowMs: number): void {
    const { life } = node;
    if (life === undefined || !("peer" in event)) return;
    const { boot } = event.peer;
    const key = `${life.boot} ${boot}`;
    if (event.event === "peer_down" || event.event === "peer_left") {
      this.#doubtedMs.set(key, nowMs);
    } else if (event.event === "peer_up" || event.event === "peer_restarted") {
      const endedMs = this.#endedMs.get(boot) ?? Number.POSITIVE_INFINITY;
      const sinceMs = this.#doubtedMs.get(key) ?? life.startedMs;
      const fact = () => `${node.label} says that ${boot} is up, which ended at ${endedMs}`;
      hold(endedMs >= sinceMs, "the-dead-are-not-up", fact);
    } else if (event.event === "name_taken") {
      const fact = () => `${node.label} says that ${boot} is another node of its name`;
      hold(false, "names-are-not-taken", fact);
    }
  }
}
