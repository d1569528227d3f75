import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { Probation } from "../../src/net/probation.ts";
import { type BootId, Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { GuardedReplica, Sender } from "../support/guarded-replica.ts";
import { peerHeartbeat } from "../support/lone-replica.ts";

const bootOf = (index: number): BootId => `00000000dddd${index.toString(16).padStart(12, "0")}`;
const attacker = "10.9.9.9:4000";
const joiner = new Sender("00000000cccc000000000003");

/** The header of a boot that nobody knows, as it was recorded, and a body that it never had. */
function forgery(index: number): Buffer {
  const bytes = new Sender(bootOf(index)).seal(1, { tag: Tag.leave });
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return bytes;
}

const forgeries = Array.from({ length: 500 }, (_, index) => forgery(index));

/** So many milliseconds of 50 forgeries each, from these hosts in turn. */
function flood(node: GuardedReplica, milliseconds: number, sources: readonly string[]): void {
  let turn = 0;
  for (let passed = 0; passed < milliseconds; passed++) {
    node.lone.nowMs += 1;
    for (let each = 0; each < 50; each++) {
      const bytes = forgeries[turn % forgeries.length] as Buffer;
      node.take(bytes, "multicast", sources[turn % sources.length]);
      turn += 1;
    }
  }
}

function stateOf(node: GuardedReplica, { boot }: Sender): string | undefined {
  return node.lone.replica.peers.get(boot)?.state;
}

test("a flood of unknown boots from one host keeps nobody out who comes from another", () => {
  const node = new GuardedReplica();
  const ports = Array.from({ length: 999 }, (_, index) => `10.9.9.9:${4_000 + index}`);
  for (let starts = 0; starts < 20; starts++) {
    flood(node, 25, ports);
    const sender = new Sender(`00000000cccc${starts.toString(16).padStart(12, "0")}`);
    node.meet(sender, `joins-${starts}`, `10.0.0.${starts}:1`);
    assert.equal(stateOf(node, sender), "up", "at the first attempt");
  }
  const { bad_seal: tried = 0, boots_throttled: left = 0 } = node.gate.rejects;
  assert.equal(tried + left, 20 * 25 * 50);
  assert(tried < 2 * limits.bootTrialsBurst, `${tried} were tried`);
});

test("as many hosts as are known to fail leave enough to others", () => {
  const node = new GuardedReplica();
  const hosts = Array.from({ length: limits.failedHostsMax }, (_, index) => `attacker-${index}:1`);
  flood(node, 1_000, hosts);
  for (let times = 0; times < 10; times++) {
    flood(node, 50, hosts);
    const sender = new Sender(`00000000cccc${times.toString(16).padStart(12, "0")}`);
    node.meet(sender, `joins-${times}`, `joiner-${times}:1`);
    assert.equal(stateOf(node, sender), "up");
  }
});

test("a host from which seals failed is tried again, seldom at first and as ever later", () => {
  const node = new GuardedReplica();
  flood(node, 25, [attacker]);
  const everyMs = 1 / limits.failedHostTrialsPerMs;
  for (let times = 0; times < 3; times++) {
    node.lone.nowMs += everyMs + 1;
    assert.equal(node.take(forgery(1), "multicast", attacker), "bad_seal");
    assert.equal(node.take(forgery(2), "multicast", attacker), "boots_throttled");
  }
  node.lone.nowMs += everyMs + 1;
  node.meet(joiner, "joiner", attacker);
  assert.equal(stateOf(node, joiner), "up", "who is on that host gets in when it is its turn");
  node.lone.pass(limits.failedHostMs);
  for (let index = 0; index < 8; index++) {
    const bytes = new Sender(bootOf(1_000 + index)).seal(1, { tag: Tag.leave });
    assert.equal(node.take(bytes, "multicast", attacker), "taken");
  }
});

/** What a boot that is dead by now has sent, more of it with each call. */
class Recording {
  readonly #sender: Sender;

  constructor(boot: BootId) {
    this.#sender = new Sender(boot);
  }

  next(node: GuardedReplica): Buffer {
    return this.#sender.seal(node.lone.peerTime, peerHeartbeat({ name: "dead" }));
  }
}

test("a boot that never answers is opened for a term, then hardly for a while", () => {
  const node = new GuardedReplica();
  const recording = new Recording(bootOf(0));
  const send = () => node.take(recording.next(node), "multicast", attacker);
  const shortestMs = 0.5 * limits.probationRestMs;
  for (let terms = 0; terms < 6; terms++) {
    assert.equal(send(), "taken");
    node.lone.nowMs += limits.probationMs - 1;
    assert.equal(send(), "taken");
    node.lone.nowMs += 1;
    assert.equal(send(), "taken", "a glimpse");
    for (let times = 0; times < 3; times++) assert.equal(send(), "unanswered");
    // Were the seal looked at, this would be a bad one.
    const forged = recording.next(node);
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
    const { state } = node;
    node.lone.outbox.takeSent();
    assert.equal(node.take(forged, "multicast", attacker), "unanswered");
    assert.deepEqual(node.state, state);
    assert.deepEqual(node.lone.outbox.takeSent(), [], "no reply");
    node.lone.nowMs += shortestMs - 1;
    assert.equal(send(), "taken", "a glimpse");
    assert.equal(send(), "unanswered");
    node.lone.nowMs += 2 * shortestMs + 1;
    // What is not authentic begins no term.
    assert.equal(node.take(forged, "multicast", attacker), "bad_seal");
    node.lone.nowMs += limits.probationMs;
  }
  assert.equal(node.gate.rejects.unanswered, 6 * 5);
});

test("what is sparse is opened in a rest as well, whoever floods beside", () => {
  const node = new GuardedReplica();
  const recordings = Array.from({ length: 20 }, (_, index) => new Recording(bootOf(index)));
  const send = (recording: Recording) => node.take(recording.next(node), "multicast", attacker);
  for (const recording of recordings) send(recording);
  node.lone.nowMs += limits.probationMs;
  let taken = 0;
  const restMs = 0.5 * limits.probationRestMs;
  for (let passed = 0; passed < restMs; passed += 10) {
    for (const recording of recordings) if (send(recording) === "taken") taken += 1;
    node.lone.nowMs += 10;
  }
  const most = limits.probationGlimpsesPerSecond * (1 + restMs / 1_000);
  assert(taken > most / 2 && taken <= most, `${taken} of ${most}`);
});

test("rests are of different length, so that two that live do not miss each other in turns", () => {
  const lengths = new Set<number>();
  for (let boot = 0; boot < 5; boot++) {
    const probation = new Probation(new Prng(boot));
    probation.opened(bootOf(0), attacker, 0);
    let rested = limits.probationMs;
    const isAdmitted = () => probation.admits(bootOf(0), attacker, rested);
    while (!(isAdmitted() && isAdmitted())) rested += 10;
    assert(rested >= limits.probationMs + 0.5 * limits.probationRestMs);
    assert(rested <= limits.probationMs + 1.5 * limits.probationRestMs + 10);
    lengths.add(rested);
  }
  assert(lengths.size > 3, "each has drawn its own");
});

test("who was sent on in vain by somebody else is heard from where it is", () => {
  const node = new GuardedReplica();
  const seal = () => joiner.seal(node.lone.peerTime, peerHeartbeat({ name: "joiner" }));
  for (let passed = 0; passed < limits.probationMs; passed += 500) {
    node.take(seal(), "multicast", attacker);
    node.lone.pass(500);
  }
  assert.equal(node.take(seal(), "multicast", attacker), "taken", "a glimpse");
  assert.equal(node.take(seal(), "multicast", attacker), "unanswered");
  node.lone.pass(limits.proveEveryMs);
  node.meet(joiner, "joiner", "10.0.0.3:1");
  assert.equal(stateOf(node, joiner), "up");
});

test("one that has once shown that it lives is asked again whenever it is heard", () => {
  const node = new GuardedReplica();
  const peer = new Sender(bootOf(1));
  const seal = () => peer.seal(node.lone.peerTime, peerHeartbeat({ name: "peer" }));
  node.meet(peer);
  node.lone.pass(limits.downAfterMs + limits.vouchForMs);
  assert.equal(stateOf(node, peer), "down");
  for (let passed = 0; passed < 3 * limits.probationMs; passed += 500) {
    assert.equal(node.take(seal()), "taken");
    node.lone.pass(500);
  }
  node.meet(peer);
  assert.equal(stateOf(node, peer), "up");
});

test("recordings of many dead boots push nobody out of the table but each other", () => {
  const node = new GuardedReplica();
  const absent = new Sender(bootOf(1));
  node.meet(absent, "absent", "10.9.9.9:1");
  node.lone.pass(limits.downAfterMs + limits.vouchForMs);
  const seal = () => joiner.seal(node.lone.peerTime, peerHeartbeat({ name: "joiner" }));
  const dead = Array.from({ length: limits.peersMax + 40 }, (_, index) => {
    return new Recording(bootOf(100 + index));
  });
  node.take(seal(), "multicast", "10.0.0.3:1");
  const nonce = node.lone.replica.peers.get(joiner.boot)?.challenge ?? 0;
  for (const recording of dead) {
    node.lone.nowMs += 1;
    assert.equal(node.take(recording.next(node), "multicast", attacker), "taken");
  }
  assert.equal(stateOf(node, absent), "down", "it may come back");
  node.take(joiner.seal(node.lone.peerTime, { tag: Tag.ack, nonce }), "unicast", "10.0.0.3:1");
  assert.equal(stateOf(node, joiner), "up", "its answer took its time");
});
