import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { limits } from "../../src/protocol/limits.ts";
import { checkGate, checkReplica } from "../support/held.ts";
import { RefusedFlood, refusals } from "../support/refused-flood.ts";

/** Long enough for more boots, at two in a millisecond, than there is room for sub-keys. */
const fillMs = limits.subKeysMax / 2 + 200;
/** Long enough to fill all but that: the sub-keys that the second adds are known to be few. */
const floodMs = 2_000;
/** For 100 000 datagrams: who keeps anything of each keeps more. */
const grownBytesMax = 2 * 1_048_576;

test("nothing that a flood leaves behind is ever more than its limit", () => {
  const flood = new RefusedFlood();
  const { gate, lone } = flood.node;
  const capacity = { count: 100_000, bytes: 1 << 26, tombstones: 1_000, stubs: 1_000 };
  const most = new Map<string, number>();
  const check = (what: string, value: number, max: number) => {
    if (value > max) assert.fail(`${value} ${what}, ${max} at most`);
    most.set(what, Math.max(value, most.get(what) ?? 0));
  };
  flood.run(fillMs, () => {
    checkGate(gate, check);
    checkReplica(lone.replica, capacity, check);
  });
  for (const reason of refusals) assert((gate.rejects[reason] ?? 0) > 0, `none was ${reason}`);
  const { unprovenFrames, replacedFrames, badProofs } = lone.replica.counters.guard;
  assert(
    unprovenFrames > 0 && replacedFrames > 0 && badProofs > 0,
    "what was opened leads nowhere",
  );
  // A flood that does not fill these shows nothing of their bounds.
  assert.equal(most.get("sub-keys"), limits.subKeysMax);
  assert.equal(most.get("hosts from which seals failed"), limits.failedHostsMax);
  assert.equal(most.get("terms of those who never answer"), limits.probationsMax);
  assert.equal(most.get("peers"), limits.peersMax);
  assert.equal(lone.replica.store.recordCount, 0);
});

test("a second flood leaves no more memory in use than the first", () => {
  const program = fileURLToPath(new URL("../support/refused-flood-memory.js", import.meta.url));
  const words = ["--expose-gc", program, String(floodMs)];
  const { first, second } = JSON.parse(execFileSync(process.execPath, words, { encoding: "utf8" }));
  assert(second <= first + grownBytesMax, `${second - first} octets more than ${first}`);
});
