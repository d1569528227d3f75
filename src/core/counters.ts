/** What the core counts, as shown by `stats`. Only grows; a refusal never goes uncounted. */
export class Counters {
  readonly stream = {
    deltasSent: 0,
    deltasReceived: 0,
    deltasApplied: 0,
    datagramsSent: 0,
    fragmentsSent: 0,
    duplicates: 0,
    badBlocks: 0,
    skewedDeltas: 0,
    lateDeltas: 0,
    /** Starts of sessions, older than tombstones are kept. */
    ancientDeltas: 0,
    stubDeltas: 0,
    reassembliesDropped: 0,
    /** Evicted while it waited to be sent, and so many waited that it was not. */
    evictedUnsent: 0,
  };
  readonly naks = {
    sent: 0,
    sequencesAsked: 0,
    received: 0,
    repairsUnicast: 0,
    repairsMulticast: 0,
    lingered: 0,
    missesSent: 0,
    missesReceived: 0,
    /** Asked for too often in vain, or too old to be repeated. */
    sequencesLost: 0,
    /** Not asked for any more, as who sent them went meanwhile. */
    sequencesAbandoned: 0,
    foreignBoot: 0,
    /** Not sent for want of rate: left to the next ask. */
    repairsDeferred: 0,
  };
  readonly pacing = {
    /** Turns in which deltas waited because the network did not take more. */
    backlogPauses: 0,
    cuts: 0,
    /** Cuts that did not lower the loss and were taken back. */
    cutsUndone: 0,
    raises: 0,
    laggards: 0,
  };
  readonly reconcile = {
    rounds: 0,
    /** Of the trie, compared while this node was behind with sending. */
    slices: 0,
    roundsPutOff: 0,
    refills: 0,
    digestsSent: 0,
    digestsReceived: 0,
    transfersIn: 0,
    transfersOut: 0,
    transfersFailed: 0,
    transfersRefused: 0,
    rangesDropped: 0,
    chunksSent: 0,
    chunksReceived: 0,
    recordsSent: 0,
    recordsReceived: 0,
    stubsSent: 0,
    stubsReceived: 0,
    fetches: 0,
    fetchesRefused: 0,
    fetchesThrottled: 0,
    fetchesFailed: 0,
    fetchesServed: 0,
  };
  readonly confirmations = {
    asked: 0,
    refused: 0,
    tooFew: 0,
    given: 0,
  };
  readonly membership = {
    heartbeatsSent: 0,
    heartbeatsReceived: 0,
    pingsSent: 0,
    ownPauses: 0,
    proofsAsked: 0,
    suspicions: 0,
    refutations: 0,
    vouchesGiven: 0,
    requestsRefused: 0,
    isolations: 0,
    namesTaken: 0,
    tableFull: 0,
  };
  /** Authentic, and not acted upon. */
  readonly guard = {
    /** Taken in before, or too old to tell. */
    replayed: 0,
    /** The same by the other way: multicast and unicast. */
    copy: 0,
    /** Sent long before the newest of their boot. */
    stale: 0,
    /** Of a second process under the same boot id. */
    twins: 0,
    /** Answers of who is to show that it lives: wrong ones, late ones, and from elsewhere. */
    badProofs: 0,
    /** Answers to nothing that is still asked, and comparisons while this node joins. */
    unasked: 0,
    /** Frames of who has not shown that it lives, and of former starts of a node. */
    unprovenFrames: 0,
    replacedFrames: 0,
  };
  readonly paths = {
    greetings: 0,
    copiesAsked: 0,
    copiesGranted: 0,
    copiesSent: 0,
    rejoins: 0,
  };
  readonly clock = {
    recoveries: 0,
    restamped: 0,
    /** Of the machine's clock, that most peers did not show. */
    stepsRefused: 0,
  };
  readonly store = {
    evicted: 0,
    expired: 0,
    tombstonesDropped: 0,
    stubsDropped: 0,
  };
}
