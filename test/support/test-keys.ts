import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { sameMark } from "../../src/daemon/key-file-text.ts";

/** A key of 32 octets for each number, the same in every run. */
export function testKey(n: number): Buffer {
  return createHash("sha256").update(`test key ${n}`).digest();
}

/** Two keys that the 16 bits of a header cannot tell apart; found by trying. */
export function keysOfOneMark(): readonly [Buffer, Buffer] {
  const keys = [testKey(1_000_000), testKey(1_010_328)] as const;
  assert(sameMark(...keys));
  return keys;
}
