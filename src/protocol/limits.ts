import { demandAgreement } from "./limits-agreement.ts";

/**
 * The limits of sidecars, of what is said between them and with apps, and of the client library, in
 * one place. Units are the last word of a name. What an operator may change is in the configuration
 * instead, and says there which of these bounds it. The stores of frameworks import only the client
 * and have their limits beside what these bound.
 */
export const limits = {
  // Datagrams. 1372 + 8 (UDP) + 40 (IPv6) = 1420 octets pass WireGuard, VXLAN and every cloud
  // network unfragmented; with IP fragmentation one lost piece would lose the whole.
  datagramBytesMax: 1372,
  headerBytes: 28,
  preambleBytes: 8,
  /** Room for the AEAD tag, kept free in unsealed datagrams too: sizes do not depend on a key. */
  sealBytes: 16,
  /** Counters of a boot that are told apart as new or seen; older ones count as seen (RFC 6479). */
  replayWindow: 16_384,
  /** Ends of a boot's datagrams that are kept, to tell a replay from a second sender. */
  tailsKept: 1_024,
  /** A datagram may be sent so long before the newest one of its boot that has arrived. */
  freshMs: 10_000,
  /** Of one node at one time. */
  keysMax: 8,
  keyFileBytesMax: 16_384,
  /** Sub-keys of boots that are kept; how many unknown ones are tried at once, and over time. */
  subKeysMax: 8_704,
  /** How exactly it is known which was used longest ago. */
  subKeyMoveMs: 50,
  bootTrialsBurst: 64,
  bootTrialsPerMs: 3,
  /** Of a host from which one did not hold; so many are known, until none has for so long. */
  failedHostTrialsPerMs: 0.02,
  failedHostsMax: 128,
  failedHostMs: 60_000,
  /** Who had to leave such datagrams unopened so long ago does not believe to be alone. */
  throttledMs: 500,
  /** Who has never shown that it lives is heard for so long, then hardly for half to one and... */
  probationMs: 3_000,
  /** ...a half times as long as this, and so on. */
  probationRestMs: 3_000,
  /** In between one datagram of it is opened in such a time, and so many of all such a second. */
  probationGlimpseMs: 100,
  probationGlimpsesPerSecond: 100,
  probationsMax: 4_096,
  /** What only shows whether two processes share a boot id is opened this often, and at once. */
  twinOpensPerSecond: 100,
  frameHeaderBytes: 3,
  /** Octets that wait for the kernel to take them: beyond this no delta or repair is added... */
  sendQueuePauseBytes: 262_144,
  /** ...until a look, this often, shows that it has taken some... */
  sendQueueLookMs: 2,
  /** ...and beyond this any datagram is dropped unsent. */
  sendQueueBytesMax: 8_388_608,

  // Sessions.
  sessionIdBytesMax: 255,
  attributeNameBytesMax: 255,
  attributesPerSessionMax: 256,
  /** The user whose session it is; as UTF-8. */
  ownerBytesMax: 255,
  /** Removal markers beyond this make the next write rewrite the session without them. */
  removalsPerSessionMax: 64,
  /** The encoded session, all attributes together. */
  sessionBytesMax: 1_048_576,
  /** Ten years: the longest idle or absolute time of a session. */
  durationMsMax: 315_360_000_000,
  /** For how long a destroyed session is remembered: at least this, and at most as above. */
  tombstoneRetentionMsMin: 1_000,
  /** A peer that kept tombstones for longest has gone: until then it may just be restarting. */
  retentionFallsAfterMs: 20_000,
  /** How far a peer's clock may run ahead before its writes are refused. */
  clockDriftMsMax: 500,
  /** A wall clock that disagrees by more is not drifting: somebody has set it. */
  clockStepMsMin: 250,
  /** How long it must go on disagreeing until it is believed... */
  clockStepPersistsMs: 10_000,
  /** ...and how often it is asked again whether a step that was refused is to be. */
  clockStepAskEveryMs: 1_000,
  /** An update whose create never came is forgotten after this. */
  unbornRetentionMs: 60_000,
  /** Expired records leave the digest on this common schedule, so that peers do it together. */
  expirySlotMs: 2_000,
  /** And so many at a time: a million sessions may have started together, and end so. */
  sweptPerTurnMax: 2_000,
  /** The log says at most this often that the store is at its limits. */
  alarmEveryMs: 60_000,
  /** Touches are replicated when the deadline moved by more than max(this, idle/20)... */
  touchWindowMsMin: 5_000,
  touchWindowIdleDivisor: 20,
  /** ...but never by more than a quarter of the idle time itself. */
  touchWindowIdleShare: 4,

  // Stream: what a sender keeps for repair and what a receiver asks for.
  repairRingBytesMax: 33_554_432,
  /** Memory is taken, and reused, in pieces of so many octets. */
  repairRingPageBytes: 65_536,
  repairRingDatagramsMax: 32_768,
  gapAheadMax: 32_768,
  nakRangesMax: 100,
  nakSequencesMax: 128,
  /** Between two NAKs to one peer when one could not name all that is missing. */
  nakPauseMs: 5,
  nakTriesMax: 8,
  nakDelayMs: 5,
  nakJitterMs: 2,
  /** Longer than a repair lingers, or the second ask would find nobody who answers. */
  nakRetryMs: 12,
  nakRetryMsMax: 320,
  repairLingerMs: 10,
  repairSharedMs: 50,
  fragmentsPerMessageMax: 1_024,
  reassemblyBytesMax: 16_777_216,
  reassemblyMessagesMax: 64,
  reassemblyMs: 3_000,

  // Pace: how fast numbered frames leave, and what is made of their loss.
  /** Where the rate starts and what bounds it, unless the configuration says otherwise. */
  rateBytesPerSecondDefault: 67_108_864,
  /** However much is lost, so fast anybody may send. */
  rateBytesPerSecondMin: 131_072,
  /** What the bucket holds: this time's worth of the rate, and no less than that. */
  rateBurstMs: 10,
  rateBurstBytesMin: 32_768,
  /** Datagrams in one turn of the event loop; then what has arrived has its turn. */
  sendSliceDatagramsMax: 64,
  /** A turn that takes in more than so many commands and datagrams sends in between. */
  inputsPerTickMax: 512,
  /** Loss is judged over this time, and up to that, until so many numbers were sent... */
  rateJudgeMs: 250,
  rateJudgeMsMax: 2_000,
  rateJudgeDatagrams: 200,
  /** ...and not at all when it were fewer than this. */
  rateJudgeDatagramsMin: 50,
  /** After a cut the rate is not raised for so long. */
  rateRaiseAfterMs: 1_000,
  /** Loss that no cut has lowered is looked into again after this. */
  lossBaseMs: 30_000,
  /** Who alone loses much for so long is left to anti-entropy, until it has not for as long. */
  laggardMs: 5_000,
  /** The list of waiting records is cleared of evicted ones when it is this long, or doubled. */
  dirtyRecordsMin: 65_536,

  // Membership.
  heartbeatMs: 500,
  heartbeatLadderMs: [4, 6, 20, 80, 240, 640] as readonly number[],
  helloMs: [0, 60, 160, 320] as readonly number[],
  /** A node that has heard no peer with sessions by then starts alone. */
  joinAloneMs: 500,
  /** A join that cannot be completed (donors die, packets vanish) ends as ready all the same. */
  joinMsMax: 30_000,
  /** A donor gives about so many records at a time: what is lost with it is asked for again. */
  joinTransferRecords: 4_096,
  /** Who has less of what the fullest peer has is no donor. */
  donorSharePercent: 90,
  /** A leaving node asks this often whether its peers hold what it holds, for this long at most. */
  leaveHelloMs: 100,
  leaveMsMax: 1_000,
  /** What a peer still lacks of it then, by its digest, repair is not left to deliver alone. */
  leaveMismatchMs: 250,
  /** What waits to be sent is sent before that, for this long at most. */
  leaveFlushMsMax: 5_000,
  pingAfterMs: 900,
  pingEveryMs: 300,
  /** A silent peer is suspected after this: others are asked, and it is, this often... */
  suspectAfterMs: 1_500,
  suspectEveryMs: 400,
  /** ...so many at a time; and one vouching keeps it from being down for so long. */
  vouchersMax: 3,
  vouchForMs: 2_000,
  /** How many may wait for one node to tell them of a peer. */
  vouchAskersMax: 16,
  /** Who is suspected says that it lives at most this often. */
  refuteEveryMs: 100,
  /** A peer that is not up is pinged when it says its name, at most this often... */
  proveEveryMs: 50,
  /** ...and again at doubling pauses, so often in all for each time that it says its name. */
  proofsPerHeartbeat: 3,
  /** A process may be stopped for 2 s just before its heartbeat, and a dead one must show in 3. */
  downAfterMs: 2_800,
  /** Where all of several peers are silent it may be this node that is cut off: patience. */
  isolatedDownAfterMs: 10_000,
  /** A node that did nothing for this long was itself stopped: it heard nobody for that reason. */
  ownPauseMsMin: 1_000,
  peersMax: 256,
  /** How long a peer that is down stays in the table, and one that has left. */
  peerForgetMs: 3_600_000,
  peerForgetLeftMs: 60_000,
  /** And one that never proved that it lives, or whose place a newer start has taken. */
  peerForgetUnprovenMs: 10_000,
  nodeNameBytesMax: 64,

  // Ways. Multicast is an optimisation: links without it get copies by unicast.
  /** A peer that lives, but whose multicast has been absent this long, is asked for copies... */
  deafAfterMs: 4_000,
  /** ...this often, each time for so long... */
  copiesEveryMs: 3_000,
  copiesLeaseMs: 10_000,
  /** (and no sender grants more at a time)... */
  copiesLeaseMsMax: 60_000,
  /** ...until its multicast has come without a gap for this long. */
  copiesEndAfterMs: 10_000,
  /** While nobody's multicast arrives, membership of the group is renewed this often. */
  rejoinEveryMs: 30_000,
  /** Peers that may not know this node are greeted after this, then at doubling pauses. */
  greetMs: 250,
  greetMsMax: 20_000,
  /** Configured peers that are not up are greeted for ever, at pauses from this to that. */
  seedGreetMs: 60,
  seedGreetMsMax: 5_000,
  seedsMax: 1_024,
  /** Names of configured peers are looked up this often; a start waits for them so long. */
  seedResolveEveryMs: 30_000,
  seedResolveMsMax: 2_000,

  // Reconciliation.
  digestNodesPerFrame: 9,
  digestNodesPerRoundMax: 4_096,
  /** Leaves whose records are told to one peer in `roundEveryMs`; others are pulled whole. */
  leavesToldPerRoundMax: 4_096,
  /** A leaf with more records than this is not told record by record, but pulled as a whole. */
  leafRecordsMax: 32,
  /** Leaves of one record each, which are the smallest, that fit a datagram. */
  leavesPerFrameMax: 101,
  rangesPerFrameMax: 256,
  /** Leaves of stubs that are pulled at once when there is room for their records again. */
  refillRangesMax: 4_096,
  transferWindowChunks: 64,
  transferOutgoingMax: 8,
  transferIncomingMax: 3,
  transferSilenceMs: 2_000,
  /** Records are packed into blocks of about this size... */
  transferBlockBytes: 8_192,
  /** ...and one record may exceed it: a merge of partitions' writes may exceed every single one. */
  transferBlockBytesMax: 33_554_432,
  /** A chunk that was sent less long ago is not sent again. */
  transferLingerMs: 15,
  /** Ranges of the trie that wait for the transfer under way to end. */
  rangesWaitingMax: 8_192,
  /** A donor that refused or failed is not asked again at once, and then at doubling pauses. */
  transferPauseMs: 200,
  transferPauseMsMax: 3_200,
  transferCreditMs: 30,
  transferCreditEveryChunks: 16,
  creditMissingMax: 256,
  /** Root digests must differ this long before a round starts: repair has its chance first. */
  mismatchMs: 1_500,
  /** Not so where a peer had sent something before this node, which has joined, heard of it. */
  lateMismatchMs: 250,
  roundEveryMs: 1_000,
  /** Rounds with a peer that bring nothing new become rarer, up to this. */
  roundEveryMsMax: 60_000,
  /** While a node is behind with sending it compares a sixteenth with each peer as often. */
  sliceEveryMs: 2_000,

  // A group that others flood is heard from members only; see `FloodShield`.
  /** So many refused datagrams by multicast within the window are a flood. */
  floodRefusalsMax: 1_000,
  floodWindowMs: 500,
  /** For so long others are not heard; then it is seen whether the flood goes on. */
  floodNarrowMs: 10_000,
  /** How often it is looked who the members are. */
  floodLookMs: 100,
  /** After the system has refused. */
  floodRetryMs: 60_000,
  /** When it was not narrowed again for so long the flood is over. */
  floodOverMs: 5_000,

  // Writes that wait for peers to have them.
  /** How many may wait at once. */
  confirmationsMax: 8_192,
  confirmRetryMs: 10,
  confirmRetryMsMax: 160,
  /** How long a client may have a write wait, and how long it does if the client does not say. */
  confirmMsMax: 10_000,
  confirmMsDefault: 500,

  // Fetching single sessions: while joining, and for reads that ask for a certain write.
  fetchesMax: 1_024,
  /** How often peers are asked, each time two or three of them; beyond it a client is refused. */
  fetchAsksPerSecondMax: 4_096,
  /** While joining it is remembered for so long that a complete node knows no such session. */
  absenceMs: 1_000,
  absencesMax: 4_096,
  /** Requests that wait for the same session. */
  fetchWaitersMax: 256,
  fetchRetryMs: 25,
  fetchMsMax: 700,

  // Local socket.
  localFrameBytesMax: 2_097_152,
  localClientsMax: 4_096,
  /** Of the stats socket: who may only look on must not use up what apps need. */
  localStatsClientsMax: 16,
  /** Replies queued for a client that does not read; above it is paused, then dropped. */
  localBacklogBytesMax: 16_777_216,
  localBacklogMsMax: 10_000,
  /** Connections that wait to be accepted, if the system (net.core.somaxconn) lets them. */
  localBacklogMax: 4_096,
  /** A refused connection stays open this long for its client to read why. */
  localRefusalLingerMs: 1_000,
  /** `sun_path` of Linux without its closing zero. */
  localSocketPathBytesMax: 107,
  /** Symbolic links on the way to a socket, as Linux has it. */
  localSocketLinksMax: 40,
  /** Who holds a socket file and has not said who it is by then is frozen, and an owner. */
  localProbeMsMax: 500,
  /** Reports of our own making nest a few levels; this stops one that refers to itself. */
  reportDepthMax: 16,
  localCursorBytesMax: 512,
  /** Of one owner; the rest in later turns. */
  destroyAllPerTurnMax: 2_000,
  /** After so many requests of one client the others have their turn. */
  localRequestsPerTurnMax: 72,
  /** And after so many their replies leave: the client need not wait for all. */
  localRepliesPerWrite: 24,
  /** And of one on the stats socket, where a request may cost a hundred times as much. */
  localStatsPerTurnMax: 1,
  /** And with more than this unread, no more is read before its next turn. */
  localUnreadBytesMax: 16_384,
  /** After so many requests in a row that came soon, the sidecar stays awake for the next. */
  busyPollAfter: 16,
  /** Where so many come at once at most. */
  busyPollRequestsMax: 8,
  /** So many requests are decoded before the first is served, so that all are sought at once... */
  localRequestsAheadMax: 24,
  /** ...with so many attributes of each session. */
  prefetchedAttributesMax: 8,
  watchesPerClientMax: 16,
  /** Sessions of which a client is told when they change, because it keeps copies. */
  trackedPerClientMax: 1_000_000,
  /** Of all clients together; about a hundred octets each. */
  trackedMax: 4_000_000,
  /** Events that wait for a client's next turn; beyond, it is told that it missed some. */
  eventsPerTurnMax: 65_536,
  eventsPerFrameMax: 4_096,
  /** How long a request of a client library takes at most, unless the app says otherwise. */
  clientTimeoutMsDefault: 1_000,
  /** Requests that a client library holds while its sidecar does not take them. */
  clientBacklogBytesMax: 67_108_864,
  /** So many requests leave at once, without waiting for the end of the turn. */
  clientRequestsPerWrite: 16,
  /** What a client library reads of its socket at once. */
  clientReadBytes: 65_536,
  /** How deep lists and objects may nest in a value: less than a stack bears. */
  valueDepthMax: 256,
  clientReconnectMsMin: 25,
  clientReconnectMsMax: 1_000,
  /** After such a silence of the sidecar a client's copies do not count any more. */
  nearCacheSilenceMsMax: 1_000,
  listPageMax: 1_000,
  listScanMax: 20_000,
} as const;

/** What is left for frames once header, preamble and seal have taken their part. */
export const framesBytesMax =
  limits.datagramBytesMax - limits.headerBytes - limits.preambleBytes - limits.sealBytes;

/** Fixed fields before the bytes of a fragment or chunk; see PROTOCOL.md. */
export const fragmentBytesMax = framesBytesMax - limits.frameHeaderBytes - 12;

demandAgreement(limits, fragmentBytesMax);
