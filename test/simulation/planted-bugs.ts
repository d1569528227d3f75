/** A mutation of the compiled core, by text: the simulator has to notice it. */
export interface PlantedBug {
  readonly name: string;
  /** Below `dist/src`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  readonly why: string;
  /** The test beside the simulator that notices it, where random seeds hardly could. */
  readonly test?: string;
}

const dataModel: readonly PlantedBug[] = [
  {
    name: "the digest does not cover attributes",
    file: "session/fingerprint.js",
    find: "let high = idHash.high ^ componentSeeds[component];",
    replace: `if (component === "attribute") {
        scratch.high = 0;
        scratch.low = 0;
        return scratch;
    }
    let high = idHash.high ^ componentSeeds[component];`,
    why: "replicas that differ below the newest stamp look equal and stay different",
  },
  {
    name: "the digest keeps what was forgotten",
    file: "core/store/store.js",
    find: "this.trie.toggle(record.leaf, record.fingerprint);",
    replace: "",
    why: "a node that forgot a session looks different for ever",
  },
  {
    name: "the floor lets earlier attributes in",
    file: "session/merge.js",
    find: "if (compareStamps(incoming.stamp, state.floor) < 0)",
    replace: "if (false)",
    why: "an attribute that a replace or a destroy removed comes back",
  },
  {
    name: "the last to arrive wins",
    file: "session/merge.js",
    find: "if (!attributeWins(incoming, held))",
    replace: "if (false)",
    why: "replicas that hear two writes in different order end different",
  },
  {
    name: "a set revives a destroyed session",
    file: "core/sessions.js",
    find: 'if (held !== undefined && held.place === "tombstones")',
    replace: "if (false)",
    why: "a slow request undoes a logout",
  },
  {
    name: "a patch writes life",
    file: "core/sessions.js",
    find: "{ id, life: undefined, floor: undefined, attributes, expiry }",
    replace: "{ id, life: { ...record.life, stamp }, floor: undefined, attributes, expiry }",
    why: "a save on one node undoes a logout on another that it has not heard of yet",
  },
  {
    name: "an update without its create is visible",
    file: "core/store/lifetime.js",
    find: "if (!state.life.alive)",
    replace: "if (!state.life.alive && state.life.stamp.time > 0)",
    why: "a session that was never created, or is not known to be, can be used",
  },
  {
    name: "stamps of all nodes bear one tag",
    file: "core/replica.js",
    find: "const tag = tagOf(options.boot);",
    replace: "const tag = options.name.length;",
    why: "two writes get one stamp, and each replica keeps the one it had first",
  },
  {
    name: "stamps follow the wall clock only",
    file: "session/hybrid-clock.js",
    find: "this.#time = Math.max(this.#time + 1, stampTimeOf(wallMs));",
    replace: "this.#time = stampTimeOf(wallMs);",
    why: "two writes of one millisecond get one stamp, and a clock set back loses writes",
  },
  {
    name: "a peer's clock is believed whatever it says",
    file: "session/hybrid-clock.js",
    find: "if (this.isAhead(time, wallMs))",
    replace: "if (false)",
    why: "one wrong clock drags those of all others along, and its writes beat all later ones",
  },
];

const clocks: readonly PlantedBug[] = [
  {
    name: "what is stamped in the future stays there",
    file: "core/clock-recovery.js",
    find: "if (!this.#clock.isAhead(this.#clock.time, wallMs) || !this.votes.areWithUs(now))",
    replace: "if (true)",
    why: "a node whose clock ran ahead is not heard until real time has caught up",
  },
  {
    name: "restamping forgets the order",
    file: "session/restamp.js",
    find: "last = Math.max(afterwards(last, stamp), stamp.time - aheadMs * stampsPerMs);",
    replace: "last = stamp.time - aheadMs * stampsPerMs;",
    why: "a destroy may get before the create that it followed, and the session is back",
  },
  {
    name: "restamped records keep their fingerprint",
    file: "core/store/store.js",
    find: "record.fingerprint = fingerprintOf(record, record.idHash);",
    replace: "",
    why: "the digest says that nothing has changed, or something that nobody can repair",
  },
];

const lifetimes: readonly PlantedBug[] = [
  {
    name: "tombstones go after seconds",
    file: "core/store/lifetime.js",
    find: "stampWallMs(state.life.stamp.time) + tombstoneRetentionMs",
    replace: "stampWallMs(state.life.stamp.time) + 5_000",
    why: "a node that missed the destroy brings the session back",
  },
  {
    name: "tombstones go when they were idle for seconds",
    file: "core/store/store.js",
    find: "this.stubs.sweep(currentSlot(wallMs));",
    replace: `this.stubs.sweep(currentSlot(wallMs));
        this.idle ??= new Map();
        for (const record of this.#records.all()) {
            const { id, life, newest } = record;
            if (life.alive || life.stamp.time === 0)
                continue;
            const { since = wallMs, time } = this.idle.get(id) ?? {};
            this.idle.set(id, { since: time === newest.time ? since : wallMs, time: newest.time });
            if (time === newest.time && wallMs - since > 10_000)
                this.#forget(record);
        }`,
    why: "a node that was away for longer than that brings the session back",
  },
  {
    name: "peers do not grant the window of short touches",
    file: "core/store/lifetime.js",
    find: "? idleDeadlineMs + touchWindowMs(idleMs)",
    replace: "? idleDeadlineMs",
    why: "a session that is in use elsewhere expires early",
  },
  {
    name: "expired sessions are taken in",
    file: "core/store/store.js",
    find: "!changed || isPast(forgetAt, wallMs)",
    replace: "!changed",
    why: "nodes trade a dead session back and forth for ever",
  },
  {
    name: "nothing is ever forgotten",
    file: "core/store/endings.js",
    find: "if (isPast(atMs, wallMs))",
    replace: "if (false)",
    why: "memory fills with sessions that ended",
  },
  {
    name: "an eviction is replicated as a destroy",
    file: "core/store/store.js",
    find: "this.#counters.store.evicted += 1;",
    replace: `this.#counters.store.evicted += 1;
        const stamp = { time: record.newest.time + 1, tag: record.newest.tag };
        const life = { stamp, alive: false, absoluteDeadlineMs: 0 };
        const end = { id: record.id, life, floor: stamp, attributes: [], expiry: undefined };
        (this.ends ??= []).push(end);
        if (this.ends.length > 4) this.apply(this.ends.shift(), 0);`,
    why: "one small node logs out the users of all",
  },
];

const stream: readonly PlantedBug[] = [
  {
    name: "repairs do not linger",
    file: "core/stream/outgoing-stream.js",
    find: "if (isAnswered && sinceMs < limits.repairLingerMs)",
    replace: "if (false)",
    why: "a loss that many share is answered by as many multicasts",
  },
  {
    name: "a joiner asks for history",
    file: "core/stream/incoming-stream.js",
    find: "this.#notedFirst = sequence + 1;",
    replace: "this.#notedFirst = 1;",
    why: "each start of a node makes all others send all they still have",
  },
  {
    name: "the number in a heartbeat is not heeded",
    file: "core/dispatch.js",
    find: "peer.incoming.announce(heartbeat.sequence, monotonicMs);",
    replace: "",
    why: "a lost last datagram is not noticed until there is another",
  },
  {
    name: "no heartbeats follow data",
    file: "core/membership/heartbeat-schedule.js",
    find: "this.#ladderMs = nowMs + (limits.heartbeatLadderMs[0] ?? limits.heartbeatMs);",
    replace: "",
    why: "a lost last datagram is noticed a second late",
  },
  {
    name: "the second fragment counts as received",
    file: "core/stream/reassembly.js",
    find: "partial.missing -= 1;",
    replace: "partial.missing -= fragment.index === 0 && partial.missing > 1 ? 2 : 1;",
    why: "a block is put together with a hole in it",
  },
  {
    name: "numbers that are gone are asked for again",
    file: "core/dispatch.js",
    find: "peer.incoming.forget(frame.oldest)",
    replace: "true",
    why: "a sender is asked again and again for what it said it does not have",
  },
  {
    name: "gaps are never given up",
    file: "core/stream/incoming-stream.js",
    find: "if (tries === limits.nakTriesMax)",
    replace: "if (false)",
    why: "what a dead peer sent is waited for for ever",
  },
  {
    name: "gaps are not bounded",
    file: "core/stream/incoming-stream.js",
    find: "if (this.#missing.size >= limits.gapAheadMax)",
    replace: "if (false)",
    why: "a node that was cut off for long remembers each number it missed",
  },
  {
    name: "what a slice leaves over is forgotten",
    file: "core/stream/outgoing-stream.js",
    find: "return this.#sequence > before;",
    replace: "this.#dirty.sweep(() => false);\n        return this.#sequence > before;",
    why: "the change is never sent, nor any later one of its record",
  },
  {
    name: "the ring forgets after eight datagrams",
    file: "core/stream/repair-ring.js",
    find: "this.#next - this.#oldest > limits.repairRingDatagramsMax ||",
    replace: "this.#next - this.#oldest > 8 ||",
    why: "repair fails in every burst, and reconciliation has to do its work",
  },
  {
    name: "the ring is bounded by octets alone",
    file: "core/stream/repair-ring.js",
    find: "this.#next - this.#oldest > limits.repairRingDatagramsMax ||",
    replace: "false ||",
    why: "small datagrams cost more than their octets",
  },
  {
    name: "reassembly is not bounded",
    file: "core/stream/reassembly.js",
    find: "while (this.#bytes > limits.reassemblyBytesMax)",
    replace: "while (false)",
    why: "incomplete blocks fill the memory",
  },
];

const clusterState: readonly PlantedBug[] = [
  {
    name: "a restart leaves the former start in its place",
    file: "core/membership/peer-table.js",
    find: "if (other === peer || other.name !== peer.name)",
    replace: "if (true)",
    why: "a node is counted, asked and waited for twice",
  },
  {
    name: "silence has no consequence",
    file: "core/membership/suspicion.js",
    find: "if (nowMs >= this.#verdictMs(peer)) {",
    replace: "if (false) {",
    why: "a dead node counts as up, and is asked for what it has, for ever",
  },
  {
    name: "who speaks is up, without proof that it lives",
    file: "core/membership/peer-table.js",
    find: "peer.digest = heartbeat.digest;",
    replace: `peer.digest = heartbeat.digest;
        if (peer.state !== "up")
            this.#admit(peer);`,
    why: "late datagrams of a dead start make it a peer, or a former start of the node itself",
  },
  {
    name: "who leaves waits for nobody",
    file: "core/membership/departure.js",
    find: "if (!heardSince || !equal)",
    replace: "if (false)",
    why: "the last writes are lost with the datagrams that carried them",
  },
  {
    name: "a death is gossip",
    file: "core/membership/suspicion.js",
    find: `if (suspected !== undefined)
                suspected.doubts.toldMs = nowMs;`,
    replace: `if (suspected?.state === "up")
                this.#peers.markDown(suspected);`,
    why: "one node that is cut off takes down for all whoever it does not hear itself",
  },
  {
    name: "any answer proves that a peer lives",
    file: "core/membership/peer-table.js",
    find: "nonce !== peer.challenge || ",
    replace: "",
    why: "late datagrams of a dead node bring it back",
  },
  {
    name: "only who has more records is asked",
    file: "core/reconcile/anti-entropy.js",
    find: 'peer.phase === "ready" &&',
    replace: 'peer.phase === "ready" && peer.count > this.#store.recordCount &&',
    why: "nodes with equally many records, but different ones, stay different",
  },
  {
    name: "a transfer loses its last block",
    file: "core/reconcile/outgoing-transfer.js",
    find: `if (packer.count > 0)
        yield records(packer);`,
    replace: "packer.take();",
    why: "the receiver believes to have everything",
  },
];

const joining: readonly PlantedBug[] = [
  {
    name: "the records of a leaf are compared by their keys alone",
    file: "core/reconcile/leaf-digest.js",
    find: "own?.high === sum.high && own.low === sum.low",
    replace: "own !== undefined",
    why: "a session that both have, but not alike, stays different",
  },
  {
    name: "a broken transfer counts as complete",
    file: "core/reconcile/join.js",
    find: "queue.ended(transfer.ranges, completed);",
    replace: "queue.ended(transfer.ranges, true);",
    why: "a node answers for sessions that it does not have",
  },
  {
    name: "ranges of a donor that fails are lost",
    file: "core/reconcile/range-queue.js",
    find: "this.#waiting.push(...ranges);",
    replace: "this.#waiting.push();",
    why: "a node answers for sessions that it does not have",
  },
  {
    name: "nodes that join take nothing from each other",
    file: "core/reconcile/join.js",
    find: "const parts = donors.length === 0 ? partsAmong(peers) : [];",
    replace: "const parts = [];",
    why: "when the last full node restarts, the session that one had taken over are denied",
  },
  {
    name: "an absence is remembered for ever",
    file: "core/reconcile/absences.js",
    find: "if (nowMs < untilMs)",
    replace: "if (true)",
    why: "a joining node denies a session that was created meanwhile and lost on its way",
    test: "joining-reads",
  },
  {
    name: "absences are not bounded",
    file: "core/reconcile/absences.js",
    find: "this.#untilMs.size > limits.absencesMax &&",
    replace: "false &&",
    why: "who reads unknown ids fills the memory of a joining node",
  },
  {
    name: "requests for one session are not bounded",
    file: "core/reconcile/fetcher.js",
    find: "fetch.tickets.length >= limits.fetchWaitersMax",
    replace: "false",
    why: "who reads one id fills the memory of a joining node",
  },
  {
    name: "ranges that wait are not bounded",
    file: "core/reconcile/puller.js",
    find: "if (waiting.size < limits.rangesWaitingMax)",
    replace: "if (true)",
    why: "two stores with little in common fill the memory with what to ask for",
  },
  {
    name: "fetches are not limited",
    file: "core/reconcile/fetch-allowance.js",
    find: "if (this.#left < 1)",
    replace: "if (false)",
    why: "who reads unknown ids floods the network",
  },
];

const promises: readonly PlantedBug[] = [
  {
    name: "a peer confirms what has not arrived",
    file: "core/membership/peer.js",
    find: "return this.incoming.covers(first, last) && this.reassembly.isWhole(first, last);",
    replace: "return true;",
    why: "a client is told that its write is safe when it is not",
  },
  {
    name: "a peer confirms what it gave up",
    file: "core/stream/incoming-stream.js",
    find: "if (first <= this.#spoiledUpTo || last > this.#highest)",
    replace: "if (last > this.#highest)",
    why: "a client is told that its write is safe when it is not",
  },
  {
    name: "a later write is taken for an earlier one",
    file: "session/record.js",
    find: "return state.attributes.some(({ stamp }) => compareStamps(stamp, write) === 0);",
    replace: "return state.attributes.some(({ stamp }) => compareStamps(stamp, write) >= 0);",
    why: "a read that asks for a write is answered without it",
  },
  {
    name: "any peer's answer settles a read that asks for a write",
    file: "core/reconcile/fetcher.js",
    find: "const isEnough = fetch.write === undefined || (kept && wrote(peer, fetch.write));",
    replace: "const isEnough = true;",
    why: "a read that asks for a write is answered without it",
  },
  {
    name: "what changed together is sent apart",
    file: "core/stream/outgoing-stream.js",
    find: "if (group === undefined)",
    replace: "if (true)",
    why: "a receiver has a moved session under both ids, or under none",
  },
];

const paths: readonly PlantedBug[] = [
  {
    name: "a lease of copies is never renewed",
    file: "core/membership/reception.js",
    find: "ways.askDueMs = nowMs + limits.copiesEveryMs;",
    replace: "ways.askDueMs = Number.POSITIVE_INFINITY;",
    why: "a node without multicast falls back to reconciliation after ten seconds",
  },
  {
    name: "a deaf link is not noticed",
    file: "core/membership/reception.js",
    find: "return lives ? ways.silentSinceMs + limits.deafAfterMs : Number.POSITIVE_INFINITY;",
    replace: "return Number.POSITIVE_INFINITY;",
    why: "a node without multicast gets every write seconds late",
  },
  {
    name: "copies are not sent",
    file: "core/membership/group.js",
    find: "this.#copies = copies;",
    replace: "",
    why: "without multicast nothing arrives by itself",
  },
  {
    name: "nobody is greeted who may not know this node",
    file: "core/membership/greeter.js",
    find: "if (!isUnsure(peer)) {",
    replace: "if (true) {",
    why: "a node without multicast does not learn of peers that start after it",
  },
  {
    name: "configured peers are greeted once",
    file: "core/membership/greeter.js",
    find: "seed.dueMs = nowMs + seed.pauseMs;",
    replace: "seed.dueMs = Number.POSITIVE_INFINITY;",
    why: "nodes that no multicast connects do not find each other again",
  },
];

const pace: readonly PlantedBug[] = [
  {
    name: "the bucket is never refilled",
    file: "core/stream/token-bucket.js",
    find: "this.#bytes = Math.min(this.#burst, this.#bytes + sinceMs * this.#perMs);",
    replace: "",
    why: "after a burst nothing is sent any more",
  },
  {
    name: "repairs are not charged",
    file: "core/stream/pacer.js",
    find: `this.#repairs.take(bytes, nowMs);
        this.#charge(bytes, nowMs);`,
    replace: "",
    why: "loss makes a node send more, where it should send less",
    test: "pacing",
  },
  {
    name: "a laggard counts like any other",
    file: "core/stream/laggards.js",
    find: "return median !== undefined && median < othersShareMax;",
    replace: "return false;",
    why: "one slow node slows all others down",
    test: "pacing",
  },
  {
    name: "all loss is taken for the rate's",
    file: "core/stream/rate-control.js",
    find: "if (fell || before > hopelessShare)",
    replace: "if (true)",
    why: "a bad cable takes the rate down to nothing",
    test: "pacing",
  },
];

const stubs: readonly PlantedBug[] = [
  {
    name: "a stub is not in the digest",
    file: "core/store/stubs.js",
    find: "this.#trie.toggle(leafOf(stub.idHash), difference);",
    replace: "",
    why: "a node without room and its peers reconcile without end",
  },
  {
    name: "an eviction leaves no stub",
    file: "core/store/store.js",
    find: `#leaveStub(record) {
        this.#unlink(record);`,
    replace: `#leaveStub(record) {
        this.#unlink(record);
        return;`,
    why: "a node without room says that there is no session while a peer has it",
  },
  {
    name: "one peer that has not settles a stub",
    file: "core/reconcile/fetcher.js",
    find: "up.every((peer) => without.has(peer))",
    replace: "up.some((peer) => without.has(peer))",
    why: "a session is denied that another peer has",
  },
  {
    name: "a stub adopts nothing",
    file: "core/store/store.js",
    find: "return this.stubs.put({ ...stub, version });",
    replace: "return false;",
    why: "once a record changes elsewhere, the digests differ for ever",
  },
  {
    name: "a stub outlives its session",
    file: "core/store/stubs.js",
    find: "if (endSlot <= slot)",
    replace: "if (false)",
    why: "the digest keeps sessions that all others have forgotten",
  },
  {
    name: "a write to a stub counts as applied",
    file: "core/intake.js",
    find: 'if (outcome !== "changed" && outcome !== "known")',
    replace: 'if (outcome === "skewed" || outcome === "late")',
    why: "a client is told that a peer has its write which has not",
  },
  {
    name: "an equal digest confirms whatever the peer holds",
    file: "core/reconcile/anti-entropy.js",
    find: "return equal && !this.#store.hasEvicted && peer.stubs === 0;",
    replace: "return equal;",
    why: "a client is told that a peer has its write which only knows of it",
  },
  {
    name: "part of a record ends its stub",
    file: "core/intake.js",
    find: "delta.life?.alive === false || !this.#store.hasStub(delta.id)",
    replace: "true",
    why: "a client is shown the part of a session that was written last, as if it were all",
  },
  {
    name: "a part without life is taken for all there is",
    file: "core/store/store.js",
    find: "return this.lacksLife(id);",
    replace: "return false;",
    why: "a session is denied whose create is on its way, or that a donor had evicted",
  },
  {
    name: "a transfer leaves out the stubs",
    file: "core/reconcile/outgoing-transfer.js",
    find: "if (stubs.length > 0)",
    replace: "if (false)",
    why: "a node that joined through one without room believes to know all sessions",
  },
  {
    name: "a node with room never gets the records of its stubs",
    file: "core/reconcile/refill.js",
    find: "if (ranges.length === 0)",
    replace: "if (true)",
    why: "sessions are on fewer nodes than have room for them",
    test: "hard-cases",
  },
];

/** What keeps the recorded, the forged and the dead out. */
const security: readonly PlantedBug[] = [
  {
    name: "the nonce begins anew with each change of keys",
    file: "wire/datagram-codec.js",
    find: "this.#seal.rekey(ring);",
    replace: "this.#seal.rekey(ring); this.#counter = 0;",
    why: "once the first key is used again, two datagrams have one nonce and give away both",
  },
  {
    name: "the nonce comes round",
    file: "wire/datagram-codec.js",
    find: "this.#counter += 1;",
    replace: "this.#counter = (this.#counter % 200) + 1;",
    why: "two datagrams under one key and nonce give away both",
  },
  {
    name: "what the seal does not hold for is delivered all the same",
    file: "wire/seal.js",
    find: "catch {\n        return false;",
    replace: "catch {\n        return true;",
    why: "anybody can write sessions",
  },
  {
    name: "the window is off by one",
    file: "core/membership/replay-window.js",
    find: "if (counter > this.#top ||",
    replace: "if (counter >= this.#top ||",
    why: "the newest datagram can be sent again",
  },
  {
    name: "each way has a memory of its own and no other",
    file: "core/membership/replay-window.js",
    find: 'return "copy";',
    replace: 'return "fresh";',
    why: "what came by unicast can be sent again by multicast",
  },
  {
    name: "the challenge is skipped",
    file: "core/membership/peer.js",
    find: 'return this.state === "up" || this.lingers;',
    replace: "return !this.replaced;",
    why: "a recording of the dead enters a node that was started after them",
  },
  {
    name: "a former start of a node is heard still",
    file: "core/membership/peer.js",
    find: 'return this.state === "up" || this.lingers;',
    replace: "return this.wasUp;",
    why: "a recording of it counts as news",
  },
  {
    name: "what came before the proof counts as taken",
    file: "core/dispatch.js",
    find: "peer.incoming.note(frame.sequence);",
    replace: "peer.incoming.accept(frame.sequence, this.#now.monotonicMs);",
    why: "a new node's first writes count as applied and are not",
  },
];

export const plantedBugs: readonly PlantedBug[] = [
  ...dataModel,
  ...clocks,
  ...lifetimes,
  ...stream,
  ...clusterState,
  ...joining,
  ...promises,
  ...paths,
  ...pace,
  ...stubs,
  ...security,
];
