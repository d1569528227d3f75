import assert from "node:assert/strict";
import { test } from "node:test";
import { newBootId } from "../../src/daemon/boot-id.ts";

const startedMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

test("a boot id is 12 octets in lower-case hex, the time of the start first", () => {
  const id = newBootId(startedMs);
  assert.match(id, /^[0-9a-f]{24}$/);
  assert.equal(Number.parseInt(id.slice(0, 12), 16), startedMs);
});

test("starts within one millisecond have different ids, by each of six octets", () => {
  const ids = Array.from({ length: 1_000 }, () => newBootId(startedMs));
  assert.equal(new Set(ids).size, ids.length);
  for (let at = 12; at < 24; at += 2) {
    const octets = new Set(ids.map((id) => id.slice(at, at + 2)));
    assert(octets.size > 100, `octet ${at / 2} is drawn`);
  }
});

test("a later start has the greater id, also where the time takes fewer digits", () => {
  const ids = [0, 1, 255, 256, startedMs, startedMs + 1].map(newBootId);
  assert.deepEqual([...ids].sort(), ids);
});
