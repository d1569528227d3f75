import assert from "node:assert/strict";
import { test } from "node:test";
import { protocolVersion, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { Keyring } from "../../src/wire/keyring.ts";
import { GuardedReplica, keysOf, ownBoot, Sender } from "../support/guarded-replica.ts";
import {
  blockOf,
  created,
  LoneReplica,
  peerAddress,
  peerHeartbeat,
} from "../support/lone-replica.ts";

const peerBoot = "00000000bbbb000000000002";
const strangeBoot = "00000000eeee00000000000e";

function deltaOf(node: GuardedReplica, sender: Sender, sequence: number, id = "s"): Buffer {
  const block = blockOf([created(id, node.lone.peerTime)]);
  return sender.seal(node.lone.peerTime, { tag: Tag.delta, sequence, block });
}

function changedTail(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
  return changed;
}

/** Nothing may come of these octets but this one count. */
function isRefused(node: GuardedReplica, bytes: Buffer, reason: string, address = peerAddress) {
  const { state } = node;
  const before = node.gate.rejects[reason as "bad_seal"] ?? 0;
  assert.equal(node.take(bytes, "unicast", address), reason);
  assert.deepEqual(node.state, state, "state as before");
  assert.equal(node.gate.rejects[reason as "bad_seal"], before + 1);
  assert.deepEqual(node.lone.outbox.takeSent(), [], "no reply");
  assert.deepEqual(node.lone.outbox.takeEvents(), []);
}

/** How much was refused, for whatever reason. */
function refusalsOf(node: GuardedReplica): number {
  return Object.values(node.gate.rejects).reduce((sum, count) => sum + count, 0);
}

function metBy(sender: Sender): GuardedReplica {
  const node = new GuardedReplica();
  node.meet(sender);
  return node;
}

test("what a proven peer seals is taken in", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  assert.equal(node.take(deltaOf(node, peer, 1)), "taken");
  assert.equal(node.lone.replica.get("s", node.lone.now)?.attributes[0]?.value, "v");
});

test("no octet of a datagram can be changed, and none be left out or added", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const valid = deltaOf(node, peer, 1);
  const { state } = node;
  const attempt = (bytes: Buffer, what: string) => {
    const before = refusalsOf(node);
    assert.notEqual(node.take(bytes), "taken", what);
    assert.equal(refusalsOf(node), before + 1, `${what}: counted, and once`);
  };
  for (let bit = 0; bit < valid.length * 8; bit++) {
    const bytes = Buffer.from(valid);
    bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
    attempt(bytes, `bit ${bit}`);
  }
  for (let length = 0; length < valid.length; length++) {
    attempt(valid.subarray(0, length), `${length} octets`);
  }
  attempt(Buffer.concat([valid, Buffer.alloc(1)]), "one more");
  assert.deepEqual(node.state, state);
  assert.deepEqual(node.lone.outbox.takeSent(), []);
  assert.equal(node.take(valid), "taken", "the attempts took nothing of its place");
});

test("nothing of the plain text shows", () => {
  const bytes = new Sender(peerBoot).seal(1, peerHeartbeat({ name: "a-telling-name" }));
  assert.equal(bytes.includes("a-telling-name"), false);
});

test("a seal costs its tag and nothing else, and the header with it 44 octets", () => {
  const frame = { tag: Tag.ping, nonce: 1 };
  const sealed = new Sender(peerBoot).seal(1, frame);
  const plain = new Sender(peerBoot, null).seal(1, frame);
  assert.equal(sealed.length - plain.length, limits.sealBytes);
  assert.equal(limits.headerBytes + limits.sealBytes, 44);
});

test("the same datagram again is refused before the seal is looked at", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const bytes = deltaOf(node, peer, 1);
  node.take(bytes);
  isRefused(node, bytes, "replayed");
  // Were the seal looked at first, this would be a bad one.
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  isRefused(node, bytes, "replayed");
});

test("the copy by the other way tells of that way and is not taken in twice", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const bytes = peer.seal(node.lone.peerTime, { tag: Tag.ping, nonce: 7 });
  node.take(bytes, "unicast");
  assert.equal(node.lone.outbox.takeSent().length, 1);
  node.take(bytes, "multicast");
  assert.deepEqual(node.lone.outbox.takeSent(), [], "one answer is enough");
  assert.equal(node.lone.replica.counters.guard.copy, 1);
  isRefused(node, bytes, "replayed");
});

test("what comes far outside of the window is refused", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const late = deltaOf(node, peer, 1);
  let last = late;
  for (let sent = 0; sent < limits.replayWindow; sent++) last = peer.seal(1, { tag: Tag.leave });
  node.take(last);
  node.lone.outbox.takeEvents();
  isRefused(node, late, "replayed");
});

test("what was held back for long is refused by its sender's clock", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const late = deltaOf(node, peer, 1);
  node.lone.nowMs += limits.freshMs + 1;
  node.take(peer.seal(node.lone.peerTime, peerHeartbeat()));
  node.lone.outbox.takeSent();
  const { state } = node;
  node.take(late);
  assert.deepEqual(node.state, state);
  assert.deepEqual(node.lone.outbox.takeSent(), [], "no reply");
  assert.equal(node.lone.replica.counters.guard.stale, 1);
});

test("recorded traffic of a dead boot cannot enter a node that was started after its death", () => {
  const dead = new Sender(peerBoot);
  const before = metBy(dead);
  const recorded = [
    dead.seal(before.lone.peerTime, peerHeartbeat({ sequence: 1, hello: true })),
    deltaOf(before, dead, 1, "stolen"),
    dead.seal(before.lone.peerTime, { tag: Tag.fetch, nonce: 1, id: "s" }),
    dead.seal(before.lone.peerTime, { tag: Tag.leave }),
    dead.seal(before.lone.peerTime, { tag: Tag.ack, nonce: 12 }),
  ];
  const node = new GuardedReplica();
  const { digest, clock } = node.state as { digest: unknown; clock: unknown };
  for (let times = 0; times < 3; times++) {
    for (const bytes of recorded) {
      node.take(bytes);
      node.take(bytes, "multicast");
    }
    node.lone.pass(60_000);
  }
  assert.equal(node.lone.replica.store.recordCount, 0);
  assert.deepEqual(
    [node.lone.replica.store.trie.root, node.lone.replica.clockTime],
    [digest, clock],
  );
  assert.deepEqual([...node.lone.replica.peers.up()], []);
  assert(node.lone.replica.counters.guard.unprovenFrames > 0);
  assert.deepEqual(node.lone.outbox.framesOf(Tag.found), []);
  assert.deepEqual(node.lone.outbox.framesOf(Tag.nak), []);
});

test("before a boot has proven that it lives no answer is longer than what it answers", () => {
  const peer = new Sender(peerBoot);
  const says = [
    peerHeartbeat({ name: "n", hello: true }),
    peerHeartbeat({ name: "n", hello: true, sequence: 9 }),
    { tag: Tag.leave },
    { tag: Tag.ping, nonce: 5 },
    { tag: Tag.ack, nonce: 5 },
    { tag: Tag.fetch, nonce: 1, id: "s" },
    { tag: Tag.want, transfer: 1, ranges: [{ level: 0, prefix: 0 }] },
    { tag: Tag.delta, sequence: 1, block: blockOf([created("s", 1)]) },
    { tag: Tag.nak, boot: ownBoot, ranges: [{ first: 1, count: 1 }] },
    { tag: Tag.confirm, first: 1, last: 1 },
    { tag: Tag.suspect, boot: ownBoot },
    { tag: Tag.pingRequest, nonce: 1, boot: peerBoot },
    { tag: Tag.copies, leaseMs: 10_000 },
    { tag: Tag.digest, level: 0, nodes: [] },
  ] as const;
  for (const frame of says) {
    const node = new GuardedReplica();
    const bytes = peer.seal(node.lone.peerTime, frame);
    node.lone.outbox.takeSent();
    node.take(bytes);
    let answered = 0;
    for (const { to, frames } of node.lone.outbox.takeSent()) {
      if (to !== undefined) answered += node.codec.encode(frames, node.lone.peerTime).length;
    }
    assert(answered <= bytes.length, `${answered} octets for a ${bytes.length} of ${frame.tag}`);
  }
});

test("all answers to one heartbeat of the unproven are at most twice as long", () => {
  const peer = new Sender(peerBoot);
  const node = new GuardedReplica();
  const bytes = peer.seal(node.lone.peerTime, peerHeartbeat({ name: "n", hello: true }));
  node.lone.outbox.takeSent();
  node.take(bytes);
  node.lone.pass(2 * limits.peerForgetUnprovenMs);
  let answered = 0;
  for (const { to, frames } of node.lone.outbox.takeSent()) {
    if (to !== undefined) answered += node.codec.encode(frames, node.lone.peerTime).length;
  }
  assert(answered > 0 && answered <= 2 * bytes.length, `${answered} octets for ${bytes.length}`);
});

test("a boot that was followed by a newer start of its node is not heard any more", () => {
  const old = new Sender(peerBoot);
  const node = metBy(old);
  node.meet(new Sender("00000000cccc000000000003"));
  // So that its clock could move this node's.
  node.lone.peerAheadMs = 100;
  const { state } = node;
  node.take(deltaOf(node, old, 1, "of the old"));
  assert.deepEqual(node.state, state);
  assert.deepEqual(node.lone.outbox.takeSent(), [], "no reply");
  assert.equal(node.lone.replica.counters.guard.replacedFrames, 1);
});

test("what came before the proof is asked for after it, as if it were lost", () => {
  const peer = new Sender(peerBoot);
  const node = new GuardedReplica();
  node.take(deltaOf(node, peer, 1));
  assert.equal(node.lone.replica.store.recordCount, 0);
  node.meet(peer);
  node.lone.pass(limits.nakDelayMs + limits.nakJitterMs);
  const [nak] = node.lone.outbox.framesOf(Tag.nak);
  assert.deepEqual(nak?.ranges, [{ first: 1, count: 1 }]);
});

test("a hello is answered once its sender has proven that it lives", () => {
  const peer = new Sender(peerBoot);
  const node = new GuardedReplica();
  const hello = peerHeartbeat({ hello: true });
  node.take(peer.seal(node.lone.peerTime, hello));
  const [asked] = node.lone.outbox.takeSent().filter(({ to }) => to !== undefined);
  assert.deepEqual(
    asked?.frames.map(({ tag }) => tag),
    [Tag.ping],
  );
  const nonce = node.lone.replica.peers.get(peerBoot)?.challenge ?? 0;
  node.take(peer.seal(node.lone.peerTime, { tag: Tag.ack, nonce }));
  const [answer] = node.lone.outbox.takeSent().filter(({ to }) => to !== undefined);
  assert.deepEqual(
    answer?.frames.map(({ tag }) => tag),
    [Tag.heartbeat],
  );
});

test("other clusters, keys and ways to seal are refused by the reason", () => {
  const node = metBy(new Sender(peerBoot));
  const leave = { tag: Tag.leave };
  const { identity } = keysOf(9);
  const elsewhere = { ...keysOf(1), identity: Buffer.alloc(identity.length, 77) };
  isRefused(node, new Sender(strangeBoot, keysOf(1), "other").seal(1, leave), "wrong_cluster");
  isRefused(node, new Sender(strangeBoot, elsewhere).seal(1, leave), "wrong_cluster");
  isRefused(node, new Sender(strangeBoot, keysOf(2)).seal(1, leave), "wrong_key");
  isRefused(new GuardedReplica(null), new Sender(strangeBoot).seal(1, leave), "sealed");
  const plain = new Sender(strangeBoot, null).seal(1, leave);
  plain.writeUInt16BE(new Sender(strangeBoot).seal(1, leave).readUInt16BE(6), 6);
  isRefused(node, Buffer.concat([plain, Buffer.alloc(limits.sealBytes)]), "unsealed");
  plain[3] = 1;
  plain.writeUInt16BE(new Sender(strangeBoot).seal(1, leave).readUInt16BE(4), 4);
  isRefused(node, Buffer.concat([plain, Buffer.alloc(limits.sealBytes)]), "bad_header");
});

test("clusters of one key whose tags happen to be equal are told apart all the same", () => {
  const right = new Sender(strangeBoot, keysOf(1), "guarded").seal(1, { tag: Tag.leave });
  const other = new Sender(strangeBoot, keysOf(1), "other-89316").seal(1, { tag: Tag.leave });
  assert.equal(other.readUInt16BE(6), right.readUInt16BE(6));
  isRefused(metBy(new Sender(peerBoot)), other, "bad_header");
  // And where the header's check happens to be equal, too, by their sub-keys.
  right.copy(other, 0, 0, limits.headerBytes);
  isRefused(metBy(new Sender(peerBoot)), other, "bad_seal");
});

test("a cluster half of which seals with the next key hears all of itself", () => {
  const node = new GuardedReplica(keysOf(1, 2));
  const slow = new Sender(peerBoot, keysOf(1, 2));
  const quick = new Sender("00000000cccc000000000003", keysOf(2, 1));
  node.meet(slow, "slow");
  node.meet(quick, "quick");
  assert.equal(node.take(deltaOf(node, slow, 1, "a")), "taken");
  assert.equal(node.take(deltaOf(node, quick, 1, "b")), "taken");
  slow.codec.rekey(new Keyring(keysOf(2, 1)));
  assert.equal(node.take(deltaOf(node, slow, 2, "c")), "taken");
  assert.equal(node.lone.replica.store.live.size, 3);
  node.codec.rekey(new Keyring(keysOf(2)));
  assert.equal(node.take(deltaOf(node, quick, 2, "d")), "taken");
  isRefused(node, new Sender(strangeBoot, keysOf(1)).seal(1, { tag: Tag.leave }), "wrong_key");
});

test("a change of keys and back repeats no nonce", () => {
  const peer = new Sender(peerBoot, keysOf(1, 2));
  const counters = new Set<number>();
  for (const material of [keysOf(1, 2), keysOf(2, 1), keysOf(1, 2)]) {
    peer.codec.rekey(new Keyring(material));
    counters.add(peer.seal(1, { tag: Tag.leave }).readUIntBE(20, 6));
  }
  assert.deepEqual([...counters], [1, 2, 3]);
});

test("boots that nobody knows are tried so often, and those that are known always", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const forged = (index: number) => {
    const bytes = new Sender(`00000000dddd${index.toString(16).padStart(12, "0")}`, keysOf(1));
    const sealed = bytes.seal(1, { tag: Tag.leave });
    sealed[sealed.length - 1] = (sealed[sealed.length - 1] ?? 0) ^ 1;
    return sealed;
  };
  // From ever other hosts: one from which a seal did not hold has next to nothing of it.
  let hosts = 0;
  const elsewhere = () => `host-${hosts++}:1`;
  node.lone.nowMs += 100;
  for (let index = 0; index < limits.bootTrialsBurst; index++) {
    assert.equal(node.take(forged(index), "multicast", elsewhere()), "bad_seal");
  }
  isRefused(node, forged(1), "boots_throttled", elsewhere());
  assert.equal(node.take(deltaOf(node, peer, 1)), "taken");
  node.codec.rekey(new Keyring(keysOf(2, 1)));
  assert.equal(node.take(deltaOf(node, peer, 2)), "taken", "a change of keys forgets nobody");
  node.lone.nowMs += 1;
  for (let times = 0; times < limits.bootTrialsPerMs; times++) {
    assert.equal(node.take(forged(times), "multicast", elsewhere()), "bad_seal");
  }
  node.lone.outbox.takeSent();
  isRefused(node, forged(2), "boots_throttled", elsewhere());
});

test("who must leave datagrams unopened does not believe to be alone", () => {
  const lone = new LoneReplica();
  const { peers } = lone.replica;
  for (let times = 0; times < 20; times++) {
    peers.overlookedMs = lone.nowMs;
    lone.pass(limits.throttledMs - 1);
    assert.equal(lone.replica.phase, "joining");
  }
  lone.pass(limits.throttledMs);
  assert.equal(lone.replica.phase, "ready");
});

test("what is taken up to go to another address goes nowhere, and is not even opened", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const ping = peer.seal(node.lone.peerTime, { tag: Tag.ping, nonce: 3 });
  isRefused(node, ping, "strayed", "victim:9");
  // Were the seal looked at first, this would be a bad one.
  isRefused(node, changedTail(ping), "strayed", "victim:9");
  assert.equal(node.take(ping), "taken", "the attempts took nothing of its place");
});

test("what comes from where nobody can be answered is refused before it is looked at", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const bytes = deltaOf(node, peer, 1);
  const { state } = node;
  for (const via of ["unicast", "multicast"] as const) {
    assert.equal(node.gate.take(bytes, undefined, via, node.lone.now), "portless");
  }
  assert.deepEqual(node.gate.rejects, { portless: 2 });
  assert.deepEqual(node.state, state);
  assert.equal(node.take(bytes), "taken", "the attempts took nothing of its place");
});

test("a recording of a peer's multicast is refused by unicast from elsewhere, too", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const bytes = deltaOf(node, peer, 1);
  assert.equal(node.take(bytes, "multicast"), "taken");
  for (let times = 0; times < 3; times++) isRefused(node, bytes, "strayed", "stranger:1");
});

test("a twin is found out wherever it is", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const twin = new Sender(peerBoot).seal(3, { tag: Tag.leave });
  assert.equal(node.take(twin, "unicast", "elsewhere:1"), "twin");
});

test("a peer whose address changes is heard again once it is down, and proves it there", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const address = "elsewhere:1";
  const says = () => peer.seal(node.lone.peerTime, peerHeartbeat());
  assert.equal(node.take(says(), "unicast", address), "strayed");
  node.lone.pass(limits.downAfterMs + limits.vouchForMs);
  assert.equal(node.take(says(), "unicast", address), "taken");
  const nonce = node.lone.replica.peers.get(peerBoot)?.challenge ?? 0;
  node.take(peer.seal(node.lone.peerTime, { tag: Tag.ack, nonce }), "unicast", address);
  const { state, address: now } = node.lone.replica.peers.get(peerBoot) ?? {};
  assert.deepEqual([state, now], ["up", address]);
  assert.equal(node.take(says()), "strayed", "from where it was");
});

test("what a peer that fell silent sent long ago is not taken without a new proof", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const held = [
    peer.seal(node.lone.peerTime, peerHeartbeat({ sequence: 1 })),
    deltaOf(node, peer, 1, "held back"),
  ];
  node.lone.pass(5_000);
  assert.equal(node.lone.replica.peers.get(peerBoot)?.state, "down");
  for (const bytes of held) assert.equal(node.take(bytes), "taken", "by the gate");
  assert.equal(node.lone.replica.store.recordCount, 0);
  assert.equal(node.lone.replica.counters.guard.unprovenFrames, 1);
});

test("recordings of a stream cost nothing before its sender has proven that it lives", () => {
  const peer = new Sender(peerBoot);
  const node = new GuardedReplica();
  node.take(peer.seal(node.lone.peerTime, peerHeartbeat({ sequence: 1 })));
  node.take(peer.seal(node.lone.peerTime, peerHeartbeat({ sequence: limits.gapAheadMax })));
  assert.equal(node.lone.replica.buffers.missingSequences, 0);
});

test("garbage is told from the header alone", () => {
  const node = metBy(new Sender(peerBoot));
  const valid = new Sender(strangeBoot).seal(1, { tag: Tag.leave });
  const changed = (at: number, octet: number) => {
    const bytes = Buffer.from(valid);
    bytes[at] = octet;
    return bytes;
  };
  isRefused(node, Buffer.alloc(0), "too_short");
  isRefused(node, valid.subarray(0, 28 + 8 + 16 - 1), "too_short");
  isRefused(node, Buffer.concat([valid, Buffer.alloc(limits.datagramBytesMax)]), "too_long");
  isRefused(node, changed(0, 0), "bad_magic");
  isRefused(node, changed(2, protocolVersion + 1), "bad_version");
  isRefused(node, changed(3, 3), "bad_flags");
  isRefused(node, changed(27, (valid[27] ?? 0) ^ 1), "bad_header");
  isRefused(node, changed(25, 9), "bad_header");
});

test("our own datagrams, sent again by whoever from wherever, are no clone's", () => {
  const node = metBy(new Sender(peerBoot));
  const own = node.codec.encode([{ tag: Tag.leave }], 1);
  assert.equal(node.take(own, "multicast"), "own");
  assert.deepEqual(node.gate.rejects, {});
  for (let times = 1; times <= 2 * limits.twinOpensPerSecond; times++) {
    assert.equal(node.take(own, "multicast", "stranger:1"), "replayed", "it came back before");
    assert.equal(node.take(own, "unicast", "stranger:1"), "replayed");
    assert.equal(node.gate.rejects.replayed, 2 * times);
  }
  const next = node.codec.encode([{ tag: Tag.leave }], 1);
  isRefused(node, next, "replayed");
  for (let sent = 0; sent < limits.replayWindow; sent++) node.codec.encode([{ tag: Tag.leave }], 1);
  isRefused(node, next, "replayed", "stranger:1");
});

test("our boot id in a header that nobody has sealed is refused like any other garbage", () => {
  const node = metBy(new Sender(peerBoot));
  const own = node.codec.encode([{ tag: Tag.leave }], 1);
  const unkeyed = Buffer.from(own);
  unkeyed.writeUIntBE(9, 20, 6);
  isRefused(node, unkeyed, "bad_header");
  isRefused(node, unkeyed.subarray(0, limits.headerBytes), "too_short");
  isRefused(node, changedTail(own), "not_ours");
  const bare = new GuardedReplica(null);
  const sent = bare.codec.encode([{ tag: Tag.leave }], 1);
  isRefused(bare, new Sender(ownBoot, null).seal(1, { tag: Tag.ping, nonce: 7 }), "not_ours");
  assert.equal(bare.take(sent, "multicast"), "own");
});

test("what only tells of twins and clones is opened so often, and then not", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const taken = deltaOf(node, peer, 1);
  node.take(taken);
  const own = changedTail(node.codec.encode([{ tag: Tag.leave }], 1));
  const forged = changedTail(taken);
  const twin = new Sender(peerBoot).seal(3, { tag: Tag.leave });
  const clone = new Sender(ownBoot).seal(3, { tag: Tag.leave });
  node.lone.nowMs += 1_000;
  for (let times = 0; times < limits.twinOpensPerSecond / 2; times++) {
    assert.equal(node.take(forged), "replayed");
    assert.equal(node.take(own), "not_ours");
  }
  node.lone.outbox.takeSent();
  // These would be found out, had they been opened.
  for (const bytes of [forged, own, twin, clone]) isRefused(node, bytes, "twins_throttled");
  assert.equal(node.take(deltaOf(node, peer, 2)), "taken");
  node.lone.nowMs += 2_000 / limits.twinOpensPerSecond;
  assert.equal(node.take(twin), "twin");
  assert.equal(node.take(clone), "cloned");
});

test("two processes under one boot id are found out by a third, and shown to each other", () => {
  const peer = new Sender(peerBoot);
  const node = metBy(peer);
  const clone = new Sender(peerBoot);
  const twins = [1, 2].map((clock) => clone.seal(clock, { tag: Tag.leave }));
  const { state } = node;
  for (const bytes of twins) assert.equal(node.take(bytes), "twin");
  assert.deepEqual(node.state, state);
  const [bytes] = twins;
  assert(bytes !== undefined);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  isRefused(node, bytes, "replayed");
  const { peers } = node.lone.replica;
  assert.equal(peers.onTwin(peerBoot), peerAddress);
  peers.onTwin(peerBoot);
  const told = node.lone.outbox.takeEvents().map(({ event }) => event);
  assert.deepEqual(told, ["boot_shared"], "once");
  // What it is shown is how the known process finds out.
  const shown = new GuardedReplica();
  const own = new Sender(ownBoot);
  for (let sent = 0; sent < 9; sent++) shown.codec.encode([{ tag: Tag.leave }], 5);
  assert.equal(shown.take(own.seal(7, { tag: Tag.leave })), "cloned");
});

test("what another process seals under our boot id is, and what it does not seal is not", () => {
  const node = metBy(new Sender(peerBoot));
  const clone = new Sender(ownBoot);
  // The same counter with other content, and then one that this process has not come to.
  node.codec.encode([{ tag: Tag.leave }], 1);
  assert.equal(node.take(clone.seal(2, { tag: Tag.leave })), "cloned");
  for (let sent = 0; sent < 50; sent++) clone.seal(1, { tag: Tag.leave });
  const later = clone.seal(1, { tag: Tag.leave });
  assert.equal(node.take(later), "cloned");
  later[later.length - 1] = (later[later.length - 1] ?? 0) ^ 1;
  isRefused(node, later, "not_ours");
});
