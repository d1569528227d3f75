import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderCheck, halfSipHash } from "../../src/wire/header-check.ts";

const key = Buffer.from("0001020304050607", "hex");
const input = Buffer.from(Array.from({ length: 32 }, (_, index) => index));

/** Of the reference implementation: the key is 00 to 07, the input counts up from 00. */
for (const [length, hex] of [
  [0, "a9359f5b"],
  [4, "2a6e4689"],
] as const) {
  test(`the hash of ${length} octets is that of the reference`, () => {
    const result = Buffer.alloc(4);
    const [low, high] = [key.readInt32LE(0), key.readInt32LE(4)];
    result.writeUInt32LE(halfSipHash(low, high, input, 0, length));
    assert.equal(result.toString("hex"), hex);
  });
}

test("each octet from the version to the counter changes the check, and no other does", () => {
  const check = new HeaderCheck(key);
  const header = Buffer.alloc(40, 7);
  const before = check.of(header);
  for (let at = 0; at < header.length; at++) {
    header[at] = 8;
    assert.equal(check.of(header) !== before, at >= 2 && at < 26, `octet ${at}`);
    header[at] = 7;
  }
  assert.notEqual(new HeaderCheck(Buffer.alloc(8)).of(header), before);
});
