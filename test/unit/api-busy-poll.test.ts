import assert from "node:assert/strict";
import { test } from "node:test";
import { BusyPoll } from "../../src/api/busy-poll.ts";
import { createServerCounters } from "../../src/api/server-counters.ts";
import { limits } from "../../src/protocol/limits.ts";
import { serveFake } from "../support/local-server.ts";
import { frameOf, RawClient } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

const { busyPollAfter, busyPollRequestsMax } = limits;
const windowMicros = 50;
/** How long the event loop of this test takes to come round, and a request to be served. */
const roundMs = 0.01;
const serviceMs = 0.003;

/** An event loop in which nothing happens but what the poll defers, and its time. */
class IdleLoop {
  readonly counters = createServerCounters();
  readonly poll: BusyPoll;
  nowMs = 1_000;
  #deferred: (() => void)[] = [];

  constructor(micros = windowMicros) {
    this.poll = new BusyPoll(micros, this.counters, {
      now: () => this.nowMs,
      defer: (run) => this.#deferred.push(run),
    });
  }

  get awake(): boolean {
    return this.#deferred.length > 0;
  }

  /** Nobody asks for so long. It is awake for as long as something is deferred. */
  idle(ms: number): void {
    const endMs = this.nowMs + ms;
    while (this.awake && this.nowMs + roundMs < endMs) {
      this.nowMs += roundMs;
      assert.equal(this.#deferred.length, 1, "one poll at a time");
      for (const run of this.#deferred.splice(0)) run();
    }
    this.nowMs = endMs;
  }

  request(atOnce = 1): void {
    this.poll.arrived();
    this.nowMs += serviceMs;
    this.poll.served(atOnce);
  }

  requests(count: number, apartMs: number): void {
    for (let index = 0; index < count; index++) {
      this.idle(apartMs);
      this.request();
    }
  }
}

test("after some requests in a row that came soon it stays awake for the next", () => {
  const loop = new IdleLoop();
  // The first comes after a long time.
  loop.requests(1 + busyPollAfter - 1, 0.045);
  assert.ok(!loop.awake);
  loop.requests(1, 0.045);
  assert.ok(loop.awake);
  assert.equal(loop.counters.busyPollMicros, 0);
  loop.requests(10, 0.045);
  assert.ok(loop.awake);
  assert.deepEqual([loop.counters.busyPollMicros, loop.counters.busyPollsInVain], [450, 0]);
});

test("it falls asleep when nobody asks within the window, and needs as many again", () => {
  const loop = new IdleLoop();
  loop.requests(1 + busyPollAfter, 0.02);
  assert.ok(loop.awake);
  loop.idle(1);
  assert.ok(!loop.awake);
  assert.deepEqual([loop.counters.busyPollMicros, loop.counters.busyPollsInVain], [50, 1]);
  loop.requests(1 + busyPollAfter - 1, 0.02);
  assert.ok(!loop.awake);
  loop.requests(1, 0.02);
  assert.ok(loop.awake);
});

test("what comes too late, before it has looked at the time again, ends it too", () => {
  const loop = new IdleLoop();
  loop.requests(1 + busyPollAfter, 0.02);
  loop.nowMs += 7;
  loop.request();
  loop.idle(2 * roundMs);
  assert.ok(!loop.awake);
  assert.deepEqual([loop.counters.busyPollMicros, loop.counters.busyPollsInVain], [50, 0]);
});

test("to one that is asleep twice the window is soon, since it has to be woken", () => {
  const [soon, late] = [new IdleLoop(), new IdleLoop()];
  soon.requests(1 + busyPollAfter, 0.095);
  assert.ok(soon.awake);
  late.requests(10 * busyPollAfter, 0.105);
  assert.ok(!late.awake);
});

test("it falls asleep when many come at once", () => {
  const loop = new IdleLoop();
  loop.requests(1 + busyPollAfter, 0.02);
  loop.request(busyPollRequestsMax);
  loop.idle(2 * roundMs);
  assert.ok(loop.awake);
  loop.request(busyPollRequestsMax + 1);
  loop.idle(2 * roundMs);
  assert.ok(!loop.awake);
  assert.equal(loop.counters.busyPollsInVain, 0);
});

test("what is no whole request neither keeps it awake nor counts", () => {
  const loop = new IdleLoop();
  const drip = () => {
    loop.idle(0.02);
    loop.request(0);
  };
  loop.request();
  for (let count = 0; count < 2 * busyPollAfter; count++) drip();
  assert.ok(!loop.awake);
  loop.idle(1);
  loop.requests(1 + busyPollAfter, 0.02);
  assert.ok(loop.awake);
  for (let count = 0; count < 4; count++) drip();
  assert.ok(!loop.awake, "the window of the last request is over");
  assert.deepEqual([loop.counters.busyPollMicros, loop.counters.busyPollsInVain], [50, 1]);
});

test("without a window it never stays awake", () => {
  const loop = new IdleLoop(0);
  loop.requests(10 * busyPollAfter, 0);
  assert.ok(!loop.awake);
});

test("a server stays awake for who asks without a pause, until it has gone", async (t) => {
  // An hour: no pause of a busy machine is as long, and this file would not end in time if it went
  // on without its client.
  const { path, server } = await serveFake(t, { busyPollMicros: 3_600_000_000 });
  const client = await RawClient.greet(t, path);
  for (let requestId = 2; requestId < 2 + 2 * busyPollAfter; requestId++) {
    await client.ask([requestId, 2, "s-1"]);
  }
  const { counters } = server;
  assert.ok(counters.busyPollMicros > 0);
  client.socket.destroy();
  await until(() => server.clients === 0);
  assert.equal(counters.busyPollsInVain, 0);
});

test("a server does not, if it is not told to", async (t) => {
  const { path, server } = await serveFake(t);
  const client = await RawClient.greet(t, path);
  for (let requestId = 2; requestId < 2 + 2 * busyPollAfter; requestId++) {
    await client.ask([requestId, 2, "s-1"]);
  }
  assert.equal(server.counters.busyPollMicros, 0);
});

test("a server sleeps while a client has many requests in flight", async (t) => {
  const { path, server } = await serveFake(t, { busyPollMicros: 3_600_000_000 });
  const client = await RawClient.greet(t, path);
  let requestId = 2;
  for (let round = 0; round < 2 * busyPollAfter; round++) {
    const ids = Array.from({ length: busyPollRequestsMax + 1 }, () => requestId++);
    client.send(...ids.map((id) => frameOf([id, 2, "s-1"])));
    for (const _ of ids) await client.reply();
  }
  assert.equal(server.counters.busyPollMicros, 0);
});
