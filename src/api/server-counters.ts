import { type RefusalReason, refusals } from "./messages.ts";

/** What the server has seen since it started; numbers only grow. */
export interface ServerCounters {
  connections: number;
  requests: number;
  /** Times that a client was not read for a while because it did not read what was sent to it. */
  clientsPaused: number;
  /** Those of them that went on not reading and were dropped. */
  clientsDropped: number;
  /** Connections that ended with an error of the operating system. */
  connectionsBroken: number;
  /** Times that a watch had to be told that it missed something. */
  eventsMissed: number;
  /** Times that a client was told that none of its copies is valid, there were too many to name. */
  copiesRevoked: number;
  /**
   * Time between requests in which the sidecar stayed awake, in microseconds, whatever else it did
   * then; and how often nobody asked until its end.
   */
  busyPollMicros: number;
  busyPollsInVain: number;
  readonly refusals: Record<RefusalReason, number>;
}

export function createServerCounters(): ServerCounters {
  const none = Object.fromEntries(Object.keys(refusals).map((reason) => [reason, 0]));
  return {
    connections: 0,
    requests: 0,
    clientsPaused: 0,
    clientsDropped: 0,
    connectionsBroken: 0,
    eventsMissed: 0,
    copiesRevoked: 0,
    busyPollMicros: 0,
    busyPollsInVain: 0,
    refusals: none as Record<RefusalReason, number>,
  };
}
