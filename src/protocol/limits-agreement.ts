import { assert } from "../base/assert.ts";
import type { limits as theLimits } from "./limits.ts";

type Limits = typeof theLimits;

/** What limits owe each other. A pair that does not fit ends the program at its start. */
export function demandAgreement(limits: Limits, fragmentBytesMax: number): void {
  demandRoom(limits, fragmentBytesMax);
  demandOrder(limits);
}

/** Of sizes and numbers. */
function demandRoom(limits: Limits, fragmentBytesMax: number): void {
  assert(
    limits.fragmentsPerMessageMax * fragmentBytesMax > limits.sessionBytesMax,
    "a session of the largest size fits one train of fragments",
  );
  assert(
    limits.repairRingDatagramsMax >= 4 * limits.fragmentsPerMessageMax,
    "the repair ring holds several of the largest sessions",
  );
  assert(
    limits.rateBurstBytesMin >= limits.datagramBytesMax && limits.sendSliceDatagramsMax > 0,
    "a datagram fits the bucket and the slice",
  );
  assert(
    limits.sendQueuePauseBytes < limits.sendQueueBytesMax,
    "deltas wait before any is dropped",
  );
  assert(limits.refillRangesMax <= limits.rangesWaitingMax, "all that a refill asks for may wait");
  assert(limits.reassemblyBytesMax >= 4 * limits.sessionBytesMax, "several sessions reassemble");
  assert(limits.gapAheadMax <= limits.repairRingDatagramsMax, "no NAK for what no ring can hold");
  assert(
    limits.localFrameBytesMax > limits.sessionBytesMax + 65_536,
    "a session of the largest size fits one frame of the local socket",
  );
  assert(
    limits.eventsPerFrameMax * (limits.sessionIdBytesMax + 8) < limits.localFrameBytesMax,
    "events of the longest ids fit a frame",
  );
}

/** Of times: what has to be over before something else. */
function demandOrder(limits: Limits): void {
  assert(
    limits.nakRetryMs >= limits.repairLingerMs + 2,
    "a second ask finds the first one's linger over",
  );
  assert(
    limits.fetchMsMax < limits.clientTimeoutMsDefault,
    "clients hear why what was fetched for them is not to be had",
  );
  assert(
    limits.downAfterMs > limits.pingAfterMs + 3 * limits.pingEveryMs,
    "a silent peer is pinged several times before it counts as down",
  );
  assert(
    limits.suspectAfterMs > limits.pingAfterMs + limits.pingEveryMs &&
      limits.downAfterMs > limits.suspectAfterMs + 2 * limits.suspectEveryMs,
    "a peer is pinged before it is suspected, and others are asked several times",
  );
  assert(limits.pingAfterMs > 1.1 * limits.heartbeatMs, "one late heartbeat is no silence");
  assert(
    limits.downAfterMs > 2_000 + 1.1 * limits.heartbeatMs && limits.downAfterMs < 3_000,
    "a node stopped for 2 s is not down, a dead one is after 3 s",
  );
  assert(
    limits.ownPauseMsMin > 1.1 * limits.heartbeatMs,
    "a node that runs does something meanwhile",
  );
  assert(
    limits.deafAfterMs > limits.downAfterMs + limits.heartbeatMs,
    "a peer that fell silent altogether is down before its multicast is missed",
  );
  assert(
    Math.min(limits.peerForgetMs, limits.peerForgetLeftMs, limits.peerForgetUnprovenMs) >=
      limits.freshMs,
    "what was taken of a peer is stale by the time its window is forgotten",
  );
  assert(
    limits.subKeysMax >
      limits.bootTrialsBurst + limits.bootTrialsPerMs * (limits.downAfterMs + limits.subKeyMoveMs),
    "the sub-key of a peer that is up is not pushed out, however many are tried meanwhile",
  );
  assert(
    limits.failedHostsMax * limits.failedHostTrialsPerMs < limits.bootTrialsPerMs,
    "hosts whose seals fail leave trials to others, however many they are",
  );
  assert(
    limits.probationMs > 4 * limits.heartbeatMs,
    "who is heard for the first time says its name, and is pinged, several times in its term",
  );
  assert(
    limits.leaveMsMax > limits.leaveMismatchMs + 3 * limits.leaveHelloMs,
    "a node that leaves has time for a round with who lacks something",
  );
  assert(
    limits.copiesLeaseMs > 2 * limits.copiesEveryMs,
    "a lease outlives one request for the next that is lost",
  );
}
