/** Numbers and sizes that the octets of the protocol can hold and no honest peer would send. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { packStubs, readStubs } from "../../src/core/reconcile/stub-block.ts";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hashId } from "../../src/session/fingerprint.ts";
import type { Attribute, SessionDelta } from "../../src/session/record.ts";
import { earliestTime } from "../../src/session/restamp.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { hashKey } from "../support/hash-key.ts";
import { created, LoneReplica, withReadyPeer } from "../support/lone-replica.ts";
import { canonical, joinOf, snapshot } from "../support/session-arbitraries.ts";

const most = Number.MAX_SAFE_INTEGER;

function endless(id: string, time: number): SessionDelta {
  const stamp = { time, tag: 2 };
  return { ...created(id, time), expiry: { stamp, idleMs: most, idleDeadlineMs: most } };
}

test("a session with the longest idle time that octets can say is used, moved and sent on", () => {
  const lone = withReadyPeer();
  lone.receiveDeltas(1, endless("s", lone.peerTime));
  const { replica, now } = lone;
  const used = [
    () => replica.patch("s", [{ name: "b", value: "1" }], [], now),
    () => replica.touch("s", undefined, now),
    () => replica.set("s", [], { idleMs: undefined, absoluteMs: undefined }, now),
    () => replica.rotate("s", "t", now),
  ];
  for (const use of used) {
    assert.equal(use().applied, true);
    lone.tick();
  }
  const sent = lone.outbox.framesOf(Tag.delta).map(({ block }) => deltaCodec.decode(block));
  assert(sent.length > 0 && !sent.includes(undefined));
  assert.equal(replica.get("t", now)?.expiresAtMs, most);
});

/** In 2514; counted in slots of two seconds, its low 32 bits are those of -1. */
const farMs = (2 ** 33 - 1) * limits.expirySlotMs;

test("the stub of a session that ends after all time can be stored, passed on and swept", () => {
  const lone = new LoneReplica({ countMax: 1 });
  lone.settle();
  const far = (id: string): SessionDelta => {
    const delta = created(id, lone.peerTime);
    return { ...delta, life: delta.life && { ...delta.life, absoluteDeadlineMs: farMs } };
  };
  lone.receiveDeltas(1, far("old"), far("other"));
  const { stubs } = lone.replica.store;
  lone.receiveDeltas(2, far("new"), endless("newer", lone.peerTime));
  lone.tick();
  const [stub] = [stubs.find(hashId(hashKey, "old"))];
  assert(stub !== undefined && stubs.size === 3);
  assert.deepEqual(readStubs(packStubs([stub])), [stub]);
  const listed = Array.from({ length: stubs.rows }, (_, row) => stubs.at(row));
  assert.equal(listed.filter((each) => each !== undefined).length, stubs.size);
  lone.pass(10_000);
  assert.equal(stubs.size, 3);
});

function attributes(count: number, time: number): Attribute[] {
  const stamp = { time, tag: 1 };
  return Array.from({ length: count }, (_, index) => ({ name: `${index}`, stamp, value: "" }));
}

function holding(list: Attribute[]): SessionDelta {
  return { id: "s", life: undefined, floor: undefined, attributes: list, expiry: undefined };
}

test("a record of very many attributes is merged like any other, and before long", () => {
  const [older, newer] = [holding(attributes(150_000, 5)), holding(attributes(1_000, 6))];
  const oneWay = joinOf([older, newer, older]);
  const otherWay = joinOf([newer, older]);
  assert.deepEqual(oneWay.fingerprint, otherWay.fingerprint);
  assert.equal(oneWay.state.attributes.length, 150_000);
  assert.equal(earliestTime(oneWay.state), 5);
});

test("many attributes are merged as they are one by one, also when a name comes twice", () => {
  const twice = attributes(600, 3).flatMap((attribute, index) => [
    attribute,
    { ...attribute, stamp: { time: 3 + (index % 3), tag: 1 }, value: `${index % 2}` },
  ]);
  const held = holding(attributes(300, 4));
  const [together, apart] = [
    joinOf([held, holding(twice)]),
    joinOf([held, ...twice.map((attribute) => holding([attribute]))]),
  ];
  assert.equal(canonical(together.state), canonical(apart.state));
  assert.deepEqual(snapshot(together), snapshot(apart));
});
