import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/prng.ts";
import { Counters } from "../../src/core/counters.ts";
import { Peer } from "../../src/core/membership/peer.ts";
import { Donor } from "../../src/core/reconcile/donor.ts";
import { measureBytes } from "../../src/core/store/stored-record.ts";
import { IncomingStream } from "../../src/core/stream/incoming-stream.ts";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { created } from "../support/lone-replica.ts";
import { RecordingOutbox } from "../support/recording-outbox.ts";
import { recordsOf, storeWith } from "../support/store-model.ts";

/** Bounds that once did not hold. */

const time = 1_000_000_000_000;

test("the octets charged are those of the records, also after a session grew", () => {
  const store = storeWith({ bytesMax: 10_000 });
  for (let n = 0; n < 10; n++) store.apply(created(`s${n}`, time, ""), 0);
  for (let n = 0; n < 10; n++) store.apply(created(`s${n}`, time + 1, "v".repeat(5_000)), 0);
  const held = recordsOf(store).reduce((sum, record) => sum + measureBytes(record), 0);
  assert.equal(store.bytes, held);
  assert.equal(held <= 10_000, true, `${held} octets held`);
});

test("a donor sends one window at most, whatever a credit claims to have", () => {
  const outbox = new RecordingOutbox();
  const store = storeWith();
  for (let n = 0; n < 5_000; n++) store.apply(created(`s${n}`, time, "v".repeat(200)), 0);
  const donor = new Donor(store, deltaCodec, outbox, new Counters());
  const peer = new Peer("e".repeat(24), "p:1", 0, new Prng(1));
  donor.onWant(peer, { tag: Tag.want, transfer: 1, ranges: [{ level: 0, prefix: 0 }] }, 0);
  outbox.takeSent();
  const claim = { tag: Tag.credit, transfer: 1, next: 4_000_000_000, window: 64, missing: [] };
  donor.onCredit(peer, claim, 5);
  assert.equal(outbox.sent.length <= limits.transferWindowChunks, true);
});

test("a number that a heartbeat announced first is news when it arrives late", () => {
  const stream = new IncomingStream(new Prng(1));
  stream.announce(5, 0);
  assert.equal(stream.accept(5, 1), true);
});
