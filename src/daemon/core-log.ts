import { unreachable } from "../base/assert.ts";
import type { CoreEvent } from "../core/outbox.ts";
import type { Log } from "./log.ts";
import { pathFaultWords } from "./peer-ways.ts";

/** What the core has to say, as log lines. */
export function logCoreEvent(log: Log, event: CoreEvent): void {
  switch (event.event) {
    case "ready":
      log.info("ready", { reason: event.reason });
      return;
    case "peer_up":
    case "peer_left":
    case "peer_restarted":
    case "multicast_back":
    case "peer_keeps_up":
      log.info(event.event, { ...event.peer });
      return;
    case "peer_suspected":
    case "peer_heard_again":
      log.debug(event.event, { ...event.peer });
      return;
    case "peer_vouched":
      log.warn(event.event, {
        ...event.peer,
        by: event.by.name,
        remedy: "it lives, but nothing of it arrives here: look at the network between the two",
      });
      return;
    case "isolated":
      log.warn(event.event, { remedy: "no peer is heard: look at this node's own network" });
      return;
    case "isolation_over":
      log.info(event.event, {});
      return;
    case "peer_down":
      log.warn(event.event, { ...event.peer });
      return;
    case "peer_skewed":
      log.warn(event.event, {
        ...event.peer,
        aheadMs: event.aheadMs,
        remedy: "synchronise the clocks; its writes are refused meanwhile",
      });
      return;
    case "clock_recovered":
      log.warn(event.event, { aheadMs: event.aheadMs, records: event.records });
      return;
    case "multicast_lost":
      log.warn(event.event, { ...event.peer, likely: pathFaultWords[event.fault] });
      return;
    case "peer_lags":
      log.warn(event.event, {
        ...event.peer,
        remedy: "it misses much of what others get: give it more CPU or receive buffer",
      });
      return;
    default:
      logMisconfiguration(log, event);
  }
}

type Misconfiguration = Extract<
  CoreEvent,
  {
    readonly event:
      | "name_taken"
      | "boot_shared"
      | "retention_differs"
      | "tombstones_dropped"
      | "sessions_evicted";
  }
>;

/** What somebody has set up so that it cannot go well. */
function logMisconfiguration(log: Log, event: Misconfiguration): void {
  switch (event.event) {
    case "name_taken":
      log.error(event.event, {
        ...event.peer,
        by: event.by,
        remedy: "two nodes that live have this name: give each node a name of its own",
      });
      return;
    case "boot_shared":
      log.error(event.event, {
        ...event.peer,
        remedy: "a machine was copied while it ran: stop both copies, and start each anew",
      });
      return;
    case "retention_differs":
      log.warn(event.event, {
        ...event.peer,
        theirMs: event.theirMs,
        remedy:
          "set sessions.tombstoneRetentionMs alike on all nodes; the longest counts meanwhile",
      });
      return;
    case "tombstones_dropped":
      log.error(event.event, {
        count: event.count,
        remedy: "raise sessions.tombstonesMax; destroyed sessions may come back until then",
      });
      return;
    case "sessions_evicted":
      log.warn(event.event, {
        count: event.count,
        remedy: "raise sessions.bytesMax or sessions.countMax",
      });
      return;
    default:
      unreachable(event);
  }
}
