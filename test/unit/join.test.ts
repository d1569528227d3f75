import { strict as assert } from "node:assert";
import { test } from "node:test";
import { leavesOf } from "../../src/core/store/digest-trie.ts";
import { type Heartbeat, Tag, type Want } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { LoneReplica, peerHeartbeat } from "../support/lone-replica.ts";
import { onlyOf } from "../support/recording-outbox.ts";

/** A node that joins, and peers whose answers the test writes. */
class Joining {
  readonly lone = new LoneReplica();
  /** Every range that a peer was asked for and gave, by peer. */
  readonly given = new Map<string, Want[]>();
  readonly #peers = new Map<string, Partial<Heartbeat>>();

  peer(digit: string, fields: Partial<Heartbeat>): void {
    this.#peers.set(digit, fields);
    this.#beat(digit, fields);
    this.lone.tick();
  }

  /** Lets time pass, with heartbeats of all peers, and answers each want as `answer` says. */
  pass(ms: number, answer: (digit: string, want: Want) => "give" | "refuse" | "silence"): void {
    for (const endMs = this.lone.nowMs + ms; this.lone.nowMs < endMs; this.lone.nowMs += 10) {
      for (const [digit, fields] of this.#peers) this.#beat(digit, fields);
      this.lone.tick();
      this.#answer(answer);
    }
  }

  gone(digit: string): void {
    this.#peers.delete(digit);
    this.#receive(digit, { tag: Tag.leave });
  }

  get reason(): string | undefined {
    const ready = this.lone.outbox.events.filter(({ event }) => event === "ready");
    return ready[0]?.event === "ready" ? ready[0].reason : undefined;
  }

  /** How often each leaf was given, over all peers, or by one. */
  leavesGiven(by?: string): Uint8Array {
    const times = new Uint8Array(65_536);
    for (const [digit, wants] of this.given) {
      if (by !== undefined && by !== digit) continue;
      for (const range of wants.flatMap(({ ranges }) => ranges)) {
        const { first, end } = leavesOf(range);
        for (let leaf = first; leaf < end; leaf++) times[leaf] = (times[leaf] ?? 0) + 1;
      }
    }
    return times;
  }

  #answer(answer: (digit: string, want: Want) => "give" | "refuse" | "silence"): void {
    for (const { to, frames } of this.lone.outbox.takeSent()) {
      const [frame] = frames;
      if (frame?.tag !== Tag.want || to === undefined) continue;
      const digit = to.slice(-1);
      const verdict = answer(digit, frame);
      const { transfer } = frame;
      if (verdict === "refuse") {
        this.#receive(digit, { tag: Tag.credit, transfer, next: 0, window: 0, missing: [] });
      } else if (verdict === "give") {
        this.given.set(digit, [...(this.given.get(digit) ?? []), frame]);
        const bytes = new Uint8Array(0);
        this.#receive(digit, { tag: Tag.chunk, transfer, index: 0, last: true, bytes });
      }
    }
  }

  #beat(digit: string, fields: Partial<Heartbeat>): void {
    this.#receive(digit, peerHeartbeat({ name: `peer-${digit}`, ...fields }));
  }

  #receive(digit: string, frame: Parameters<LoneReplica["receive"]>[0]): void {
    const { lone } = this;
    lone.receiveFrom(digit.repeat(24), `peer:${digit}`, "unicast", frame);
  }
}

const records = 100_000;
const isOnce = (times: Uint8Array) => times.every((count) => count === 1);

test("three donors give all ranges, each once, and a fourth is not needed", () => {
  const joining = new Joining();
  for (const digit of ["1", "2", "3", "4"]) joining.peer(digit, { count: records });
  joining.pass(1_000, () => "give");
  assert.equal(joining.reason, "in_sync");
  assert.deepEqual([...joining.given.keys()].sort(), ["1", "2", "3"]);
  assert.equal(isOnce(joining.leavesGiven()), true);
});

test("what a silent donor was asked for another gives, and nothing else again", () => {
  const joining = new Joining();
  for (const digit of ["1", "2"]) joining.peer(digit, { count: records });
  let wants = 0;
  joining.pass(5_000, (digit) => (digit === "2" && wants++ >= 3 ? "silence" : "give"));
  assert.equal(joining.reason, "in_sync");
  assert.equal(joining.given.get("2")?.length, 3);
  assert.equal(isOnce(joining.leavesGiven()), true);
});

test("a donor that leaves gives its ranges back at once", () => {
  const joining = new Joining();
  for (const digit of ["1", "2"]) joining.peer(digit, { count: records });
  joining.pass(20, (digit) => (digit === "2" ? "silence" : "give"));
  joining.gone("2");
  joining.pass(1_000, () => "give");
  assert.equal(joining.reason, "in_sync");
  assert.equal(isOnce(joining.leavesGiven("1")), true);
});

test("a donor that comes up later gives as well", () => {
  const joining = new Joining();
  joining.peer("1", { count: records });
  joining.pass(50, () => "give");
  joining.peer("2", { count: records });
  joining.pass(1_000, () => "give");
  assert.equal(joining.reason, "in_sync");
  assert((joining.given.get("2")?.length ?? 0) > 3);
  assert.equal(isOnce(joining.leavesGiven()), true);
});

test("few records make one transfer", () => {
  const joining = new Joining();
  for (const digit of ["1", "2"]) joining.peer(digit, { count: 50 });
  joining.pass(100, () => "give");
  assert.equal(onlyOf([...joining.given.values()].flat()).ranges.length, 256);
});

test("who has much less than another is no donor, unless the other fails", () => {
  const joining = new Joining();
  joining.peer("1", { count: 800 });
  joining.peer("2", { count: 1_000 });
  joining.pass(100, () => "silence");
  joining.pass(3_000, (digit) => (digit === "2" ? "silence" : "give"));
  assert.equal(joining.reason, "in_sync");
  assert.deepEqual([...joining.given.keys()], ["1"]);
});

test("without a complete node those that join give what they have, each all of it", () => {
  const joining = new Joining();
  for (const digit of ["1", "2"]) joining.peer(digit, { count: 9_000, phase: "joining" });
  joining.pass(limits.joinAloneMs, () => "give");
  assert.equal(joining.given.size, 0, "a complete one may still be heard of");
  joining.pass(1_000, () => "give");
  assert.equal(joining.reason, "together");
  for (const digit of ["1", "2"]) assert.equal(isOnce(joining.leavesGiven(digit)), true, digit);
});

test("what a complete node gave before it died is not asked of those that join", () => {
  const joining = new Joining();
  joining.peer("1", { count: records });
  joining.pass(30, () => "give");
  joining.gone("1");
  joining.peer("2", { count: 9_000, phase: "joining" });
  joining.pass(2_000, () => "give");
  assert.equal(joining.reason, "together");
  assert.equal(isOnce(joining.leavesGiven()), true);
});

test("what a joining node gave is asked of a complete one that comes up in time", () => {
  const joining = new Joining();
  joining.peer("1", { count: 9_000, phase: "joining" });
  let wants = 0;
  joining.pass(1_000, () => (wants++ < 1 ? "give" : "silence"));
  assert.equal(joining.given.get("1")?.length, 1);
  joining.peer("2", { count: records });
  joining.pass(3_000, (digit) => (digit === "2" ? "give" : "silence"));
  assert.equal(joining.reason, "in_sync");
  assert.equal(isOnce(joining.leavesGiven("2")), true);
});

test("a node whose peers hold nothing starts alone, whatever they are", () => {
  const joining = new Joining();
  joining.peer("1", { count: 0 });
  joining.peer("2", { count: 0, phase: "joining" });
  joining.pass(limits.joinAloneMs + 20, () => "silence");
  assert.equal(joining.reason, "alone");
});

test("when nobody gives anything it ends all the same, and not before", () => {
  const joining = new Joining();
  joining.peer("1", { count: records });
  joining.pass(limits.joinMsMax - 20, () => "silence");
  assert.equal(joining.reason, undefined);
  joining.pass(limits.transferSilenceMs + limits.transferPauseMsMax, () => "silence");
  assert.equal(joining.reason, "gave_up");
});

test("a join that has just got on does not give up at the first silence", () => {
  const joining = new Joining();
  joining.peer("1", { count: 10_000_000 });
  const getOn = (wants: number, ms: number) => {
    let given = 0;
    joining.pass(ms, () => (given++ < wants ? "give" : "silence"));
  };
  while (joining.lone.nowMs < limits.joinMsMax + 5_000) getOn(1, 3_000);
  assert.equal(joining.reason, undefined);
  joining.pass(limits.transferSilenceMs + limits.transferPauseMsMax, () => "silence");
  assert.equal(joining.reason, undefined, "it last got on a moment ago");
  joining.pass(20_000, () => "give");
  assert.equal(joining.reason, "in_sync");
});

test("a join that takes long but gets on does not give up", () => {
  const joining = new Joining();
  joining.peer("1", { count: 10_000_000 });
  let answeredMs = 0;
  // A few ranges every half a second is more than 30 s for all.
  for (const { lone } = joining; lone.nowMs < 200_000 && joining.reason === undefined; ) {
    joining.pass(10, () => "silence");
    if (lone.nowMs - answeredMs < 500) continue;
    answeredMs = lone.nowMs;
    joining.pass(40, () => "give");
  }
  assert.equal(joining.reason, "in_sync");
  assert(joining.lone.nowMs > limits.joinMsMax);
});
