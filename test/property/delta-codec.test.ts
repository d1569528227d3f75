import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../src/protocol/limits.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { damaged, damages } from "../support/frame-arbitraries.ts";
import { deltas, everything } from "../support/session-arbitraries.ts";

const delta = deltas(everything);
const lists = fc.array(delta, { minLength: 1, maxLength: 5 });

function encoded(list: readonly SessionDelta[]): Uint8Array {
  const packer = deltaCodec.packer();
  for (const each of list) assert(packer.add(each, Number.POSITIVE_INFINITY));
  return packer.take();
}

test("law 11: a block gives back the deltas that were packed", () => {
  const law = fc.property(lists, (list) => {
    assert.deepEqual(deltaCodec.decode(encoded(list)), list);
  });
  fc.assert(law, { numRuns: 1_000 });
});

test("law 11: deltas whose parts share one stamp, as of one request, come back too", () => {
  const law = fc.property(lists, everything.stamp, (list, stamp) => {
    const same = list.map((each) => ({
      ...each,
      life: each.life && { ...each.life, stamp },
      floor: each.floor && stamp,
      expiry: each.expiry && { ...each.expiry, stamp },
      attributes: each.attributes.map((attribute) => ({ ...attribute, stamp })),
    }));
    assert.deepEqual(deltaCodec.decode(encoded(same)), same);
  });
  fc.assert(law, { numRuns: 300 });
});

test("a packer keeps its limit, and a refused delta leaves the block as it was", () => {
  const law = fc.property(
    fc.array(delta, { minLength: 1, maxLength: 12 }),
    fc.integer({ min: 0, max: 1_500 }),
    (list, bytesMax) => {
      const packer = deltaCodec.packer();
      let kept: SessionDelta[] = [];
      for (const each of list) {
        const { count, bytes } = packer;
        assert.equal(count, kept.length);
        if (packer.add(each, bytesMax)) {
          kept.push(each);
          assert(packer.bytes <= bytesMax || packer.count === 1);
          continue;
        }
        assert(count > 0, "the first delta of a block is always taken");
        assert.deepEqual([packer.count, packer.bytes], [count, bytes]);
        assert.deepEqual(deltaCodec.decode(packer.take()), kept);
        assert.deepEqual([packer.count, packer.bytes], [0, 0]);
        assert(packer.add(each, bytesMax));
        kept = [each];
      }
      const { bytes } = packer;
      const block = packer.take();
      assert.equal(block.length, bytes);
      assert.deepEqual(deltaCodec.decode(block), kept);
    },
  );
  fc.assert(law, { numRuns: 400 });
});

test("a refused delta does not change how the next one is packed", () => {
  const law = fc.property(delta, delta, delta, (first, refused, next) => {
    const packer = deltaCodec.packer();
    packer.add(first, 0);
    assert.equal(packer.add(refused, 0), false);
    packer.add(next, Number.POSITIVE_INFINITY);
    assert.deepEqual(packer.take(), encoded([first, next]));
  });
  fc.assert(law, { numRuns: 300 });
});

test("law 11: a prefix of a block is never read as the whole block", () => {
  const law = fc.property(lists, fc.nat(), (list, cut) => {
    const block = encoded(list);
    const read = deltaCodec.decode(block.subarray(0, cut % block.length));
    if (read === undefined) return;
    assert(read.length < list.length);
    assert.deepEqual(read, list.slice(0, read.length));
  });
  fc.assert(law, { numRuns: 500 });
});

test("law 12: arbitrary octets are refused or read, and never throw", () => {
  const law = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const read = deltaCodec.decode(bytes);
    assert(read === undefined || read.length > 0);
  });
  fc.assert(law, { numRuns: 2_000 });
});

test("law 12: damaged blocks never throw, and what is read of them can be packed again", () => {
  const law = fc.property(lists, damages, (list, sequence) => {
    const read = deltaCodec.decode(damaged(encoded(list), sequence));
    if (read === undefined) return;
    for (const { id, life, floor, attributes, expiry } of read) {
      assert(id.length > 0);
      const stamps = [life?.stamp, floor, expiry?.stamp, ...attributes.map(({ stamp }) => stamp)];
      for (const stamp of stamps) {
        assert(stamp === undefined || (stamp.time > 0 && Number.isSafeInteger(stamp.time)));
      }
    }
    assert.deepEqual(deltaCodec.decode(encoded(read)), read);
  });
  fc.assert(law, { numRuns: 2_000 });
});

test("law 12: an id or a name that is not UTF-8 makes a block invalid", () => {
  const stamp = { time: 4, tag: 1 };
  const life = { stamp, alive: true, absoluteDeadlineMs: 0 };
  const whole = { floor: undefined, expiry: undefined, life };
  const inId = { ...whole, id: "x".repeat(255), attributes: [] };
  const inName = { ...whole, id: "i", attributes: [{ name: "x".repeat(255), stamp, value: "" }] };
  const faults = ["\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc0\xaf", "\xed\xa0\x80", "\xff"];
  for (const delta of [inId, inName]) {
    for (const fault of faults) {
      const text = Buffer.from(encoded([delta])).toString("latin1");
      const broken = text.replace("x".repeat(255), fault.repeat(255).slice(0, 255));
      assert.equal(deltaCodec.decode(Buffer.from(broken, "latin1")), undefined);
    }
  }
});

test("a record that grew on both sides of a partition beyond what one write may is read", () => {
  const stamp = { time: 4096, tag: 7 };
  const value = "v".repeat(limits.sessionBytesMax / 512);
  const attributes = Array.from({ length: 2 * limits.attributesPerSessionMax }, (_, index) => ({
    name: `attribute-${index}`,
    stamp,
    value: value + value,
  }));
  const record = { id: "s", life: undefined, floor: stamp, attributes, expiry: undefined };
  assert.deepEqual(deltaCodec.decode(encoded([record])), [record]);
});

test("a count or a size far beyond the octets that follow is refused at once", () => {
  const most = "ffffffffffffff0f";
  for (const hex of [`0100000000000173${most}`, `010000000000017301016100${most}`, most]) {
    assert.equal(deltaCodec.decode(Buffer.from(hex, "hex")), undefined);
  }
});

test("an update of one 100-octet attribute costs about 145 octets", () => {
  const stamp = { time: 912_000_000_000_000, tag: 0x1234_5678 };
  const update: SessionDelta = {
    id: "0123456789abcdef0123456789abcdef",
    life: undefined,
    floor: undefined,
    attributes: [{ name: "cart", stamp, value: "v".repeat(100) }],
    expiry: undefined,
  };
  const first = encoded([update]).length;
  const second = encoded([update, { ...update, id: "f".repeat(32) }]).length - first;
  assert.deepEqual([first, second], [154, 142]);
});
