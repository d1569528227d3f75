import { strict as assert } from "node:assert";
import { test } from "node:test";
import { limits } from "../../src/protocol/limits.ts";
import { PacedSender } from "../support/bottleneck.ts";

const mega = 1_000_000;

function between(value: number, low: number, high: number): void {
  assert(value >= low && value <= high, `${Math.round(value)} is not within ${low} to ${high}`);
}

test("without loss the rate stays where it starts, at the highest", () => {
  const sender = new PacedSender(20 * mega, ["a", "b"]);
  between(sender.throughput(5_000), 19.5 * mega, 20.5 * mega);
  assert.equal(sender.counters.pacing.cuts, 0);
});

for (const bottleneck of [1, 5, 15]) {
  test(`the rate follows a bottleneck of ${bottleneck} MB/s`, () => {
    const sender = new PacedSender(20 * mega, ["a"]);
    sender.link(0).bytesPerSecond = bottleneck * mega;
    sender.run(5_000);
    const { arrived } = sender.link(0);
    const sent = sender.throughput(20_000);
    const got = ((sender.link(0).arrived - arrived) * 1_372) / 20;
    between(got, 0.75 * bottleneck * mega, 1.05 * bottleneck * mega);
    between(1 - got / sent, 0, 0.12);
  });
}

test("a bottleneck that goes is followed up again", () => {
  const sender = new PacedSender(20 * mega, ["a"]);
  sender.link(0).bytesPerSecond = 2 * mega;
  sender.run(10_000);
  between(sender.pacer.rate, 1 * mega, 4 * mega);
  sender.link(0).bytesPerSecond = Number.POSITIVE_INFINITY;
  sender.run(15_000);
  assert.equal(sender.pacer.rate, 20 * mega);
});

for (const loss of [0.02, 0.1, 0.3]) {
  test(`a link that loses ${loss * 100} % at any rate costs no more than trials`, () => {
    for (let seed = 1; seed <= 5; seed++) {
      const sender = new PacedSender(5 * mega, ["a", "b", "c"], seed);
      for (const link of sender.links) link.loss = loss;
      between(sender.throughput(60_000), 4.25 * mega, 5.1 * mega);
      assert(sender.counters.pacing.cutsUndone > 0, "it was tried");
    }
  });
}

test("loss at any rate does not hide a bottleneck, nor a bottleneck the loss", () => {
  const sender = new PacedSender(20 * mega, ["a", "b"]);
  for (const link of sender.links) link.loss = 0.1;
  sender.link(1).bytesPerSecond = 4 * mega;
  sender.run(10_000);
  between(sender.throughput(30_000), 0.7 * 4 * mega, 1.5 * 4 * mega);
});

test("loss that ends is forgotten", () => {
  const sender = new PacedSender(5 * mega, ["a"]);
  sender.link(0).loss = 0.3;
  sender.run(10_000);
  between(sender.link(0).feedback.base, 0.25, 0.35);
  sender.link(0).loss = 0;
  sender.run(5_000);
  between(sender.link(0).feedback.base, 0, 0.01);
});

test("a base is looked into again after its time", () => {
  const sender = new PacedSender(5 * mega, ["a"]);
  sender.link(0).loss = 0.1;
  sender.run(limits.lossBaseMs - 5_000);
  const { cuts } = sender.counters.pacing;
  sender.run(10_000);
  assert(sender.counters.pacing.cuts > cuts);
});

test("what few datagrams lose changes nothing", () => {
  const sender = new PacedSender(5 * mega, ["a"]);
  sender.offeredBytesPerSecond = 30_000;
  sender.link(0).loss = 0.3;
  sender.run(30_000);
  assert.equal(sender.counters.pacing.cuts, 0);
  assert.equal(sender.pacer.rate, 5 * mega);
});

test("the rate never falls below its floor", () => {
  const sender = new PacedSender(5 * mega, ["a"]);
  sender.link(0).bytesPerSecond = 10_000;
  sender.run(30_000);
  between(sender.pacer.rate, limits.rateBytesPerSecondMin, 4 * limits.rateBytesPerSecondMin);
});

test("who alone loses much does not slow the others, and is left out when that lasts", () => {
  const sender = new PacedSender(10 * mega, ["a", "b", "slow"]);
  sender.link(2).bytesPerSecond = 1 * mega;
  sender.run(limits.laggardMs - 1_000);
  assert.equal(sender.link(2).feedback.leftOut, false);
  sender.run(2_000);
  assert.deepEqual(
    sender.outbox.takeEvents().map((event) => event.event),
    ["peer_lags"],
  );
  assert.equal(sender.link(2).feedback.leftOut, true);
  between(sender.goodput(sender.link(0), 10_000), 9.5 * mega, 10.5 * mega);
  assert.equal(sender.counters.pacing.cuts, 0);
  assert.equal(sender.counters.pacing.laggards, 1);
});

test("a laggard that keeps up again is served again", () => {
  const sender = new PacedSender(10 * mega, ["a", "b", "slow"]);
  sender.link(2).bytesPerSecond = 1 * mega;
  sender.run(8_000);
  sender.link(2).bytesPerSecond = 100 * mega;
  sender.run(limits.laggardMs - 1_000);
  assert.equal(sender.link(2).feedback.leftOut, true);
  sender.run(2_000);
  assert.equal(sender.link(2).feedback.leftOut, false);
  assert.equal(sender.outbox.takeEvents().at(-1)?.event, "peer_keeps_up");
});

test("a laggard is served again when there is little to lose", () => {
  const sender = new PacedSender(10 * mega, ["a", "b", "slow"]);
  sender.link(2).loss = 0.5;
  sender.run(8_000);
  assert.equal(sender.link(2).feedback.leftOut, true);
  sender.offeredBytesPerSecond = 10_000;
  sender.run(limits.laggardMs + limits.rateJudgeMsMax * 3);
  assert.equal(sender.link(2).feedback.leftOut, false);
});

test("when all lose much, or there is but one receiver, nobody is a laggard", () => {
  for (const names of [["a"], ["a", "b", "c"]]) {
    const sender = new PacedSender(10 * mega, names);
    for (const link of sender.links) link.loss = 0.4;
    sender.run(20_000);
    assert.equal(sender.counters.pacing.laggards, 0);
  }
});
