/** By which of a node's sockets a datagram came: the group's or the one of its own. */
export type Via = "multicast" | "unicast";

/**
 * What the absence of multicast looks like: nobody's arrives and none ever did; it arrived once and
 * stopped for all; others' arrives and this peer's does not.
 */
export type PathFault = "never_any" | "stopped" | "not_this_peer";

/** The ways between this node and one peer, in both directions. */
export class Ways {
  /** When its last datagram came, and its last one by unicast since it came up. */
  heardMs = Number.NEGATIVE_INFINITY;
  unicastMs = Number.NEGATIVE_INFINITY;
  /**
   * Whether it has been greeted since then, and whether it knows that this node is there. Both
   * begin anew when it greets again without having answered.
   */
  greeted = false;
  greetsBack = false;
  /** Its greetings since it last answered one, or was silent for long. */
  greetings = 0;
  /** Since when its multicast has been missed: its last one, or when it came up after that. */
  silentSinceMs = Number.NEGATIVE_INFINITY;
  /** Since when its multicast has come without a gap; Infinity: it does not. */
  multicastSinceMs = Number.POSITIVE_INFINITY;
  /** Its multicast does not arrive, though it is up; undefined: it does. */
  fault: PathFault | undefined;
  /** When it is next asked for copies. */
  askDueMs = Number.POSITIVE_INFINITY;
  /** It asked for copies of all that goes to the group, until then. */
  copiesUntilMs = Number.NEGATIVE_INFINITY;
  /** When it is next greeted, and the pause before that; 0: there is no need. */
  greetDueMs = Number.POSITIVE_INFINITY;
  greetPauseMs = 0;
}
