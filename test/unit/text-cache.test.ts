import { strict as assert } from "node:assert";
import { test } from "node:test";
import { TextCache } from "../../src/base/text-cache.ts";

/** The text as the cache tells it, and kept when it was not. */
function read(cache: TextCache, text: string): string | undefined {
  const octets = Buffer.from(`<${text}>`);
  const end = octets.length - 1;
  const known = cache.find(octets, 1, end);
  if (known === undefined) cache.keep(text, octets, 1, end);
  return known;
}

test("a short text is known when it comes again", () => {
  const cache = new TextCache();
  for (const text of ["user", "v", "x".repeat(32)]) {
    assert.equal(read(cache, text), undefined);
    assert.equal(read(cache, text), text);
  }
});

test("what is empty, long or not ASCII is never known", () => {
  const cache = new TextCache();
  for (const text of ["", "x".repeat(33), "größe", "é", "日本"]) {
    read(cache, text);
    assert.equal(read(cache, text), undefined);
  }
});

test("a text is never taken for another, whoever has its slot", () => {
  const cache = new TextCache();
  let known = 0;
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 2_000; index++) {
      const text = `a${index.toString(36)}z`;
      const found = read(cache, text);
      if (found !== undefined) known += 1;
      assert(found === undefined || found === text);
    }
  }
  assert(known < 4_000, "slots are fewer than texts");
});
