import assert from "node:assert/strict";
import { test } from "node:test";
import { Packr } from "msgpackr";
import { SessioncastError } from "../../src/client/errors.ts";
import { isValue } from "../../src/client/value-walk.ts";
import { packAttributes, unpackReport, unpackValue } from "../../src/client/values.ts";
import { limits } from "../../src/protocol/limits.ts";

function isInvalid(error: unknown): boolean {
  return error instanceof SessioncastError && error.code === "SESSIONCAST_INVALID";
}

/** As it lies in what a socket has received: between octets that are none of its own. */
function unpack(hex: string): unknown {
  const buffer = Buffer.from(`91${hex}05a161`, "hex");
  return unpackValue(buffer, 1, buffer.length - 3);
}

function roundTrip(value: unknown): unknown {
  const [attribute] = packAttributes({ value }).attributes;
  return unpack(Buffer.from(attribute?.bytes ?? []).toString("hex"));
}

function hexOf(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
}

test("values of every kind that may be stored come back", () => {
  const values = [
    [undefined, null, true, 0.1, -1, 2 ** 40, "é€😀", ""],
    [10n, -(2n ** 63n), 2n ** 64n, -(2n ** 200n), 2n ** 70_000n],
    [new Date(0), new Date(1_700_000_000_123), new Date(-5), new Date(2 ** 45)],
    new Set([1, "a", new Set([[2]])]),
    [
      new Uint16Array([1, 2]),
      new BigInt64Array([-1n]),
      new Float64Array([0.5]),
      new Int8Array(300),
    ],
    [Buffer.alloc(300, 1), Buffer.alloc(70_000, 2)],
    Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [`k${index}`, index])),
    Array.from({ length: 70_000 }, (_, index) => `text ${index}`.repeat(index % 9)),
  ];
  for (const value of values) assert.deepEqual(roundTrip(value), value);
  assert.deepEqual(roundTrip(new ArrayBuffer(3)), new ArrayBuffer(3));
  assert(Number.isNaN((roundTrip(new Date(Number.NaN)) as Date).getTime()));
  const keyed = new Map<unknown, number>([
    [1, 1],
    ["1a", 2],
    [true, 3],
    [null, 4],
    [1.5, 5],
  ]);
  assert.deepEqual(roundTrip(keyed), { 1: 1, "1a": 2, true: 3, null: 4, 1.5: 5 });
});

test("what a decoder would build beyond plain data is refused", () => {
  const hostile = {
    "a record definition": "d47240 91a161 01",
    "a record definition with two octets": "d5724001 91a161 01",
    "a record that is used again": "92 d47240 91a161 01 40 02",
    "a reference's target": "d66900000001 90",
    "a reference": "d67000000001",
    "texts in a bundle": "d66200000003 c101 a161 a162",
    "a text of a bundle": "c1",
    "an error": "d46500 93a54572726f72a16dc0",
    "an error that is a method": "d46500 93a776616c75654f66a16dc0",
    "a regular expression": "d47800 92a828612b292b62 24a0",
    "a set of a number": "d47300 05",
    "a set of a text": "d47300 a3616263",
    "a set of nothing": "d47300",
    "a longer absent value": "d5000000",
    "a timestamp of two octets": "d5ff0000",
    "a typed array of an unknown kind": "c7027450 00",
    "a typed array that ends in the middle of an element": "c7037405ff ff",
    "an integer without octets": "c70042",
    "an unknown extension": "d40100",
    "an object as a key": "81 80 01",
    "a list as a key": "81 9101 01",
    "octets as a key": "81 c40161 01",
    "a date as a key": "81 d6ff00000001 01",
    "two values": "0101",
    "no value": "",
    "an object that ends early": "82a16101",
    "a text that goes on in the neighbour": "a3",
    "an object whose key goes on in the neighbour": "81a2",
  };
  for (const [what, hex] of Object.entries(hostile)) {
    assert.throws(() => unpack(hex.replaceAll(" ", "")), isInvalid, what);
  }
  assert.equal(Reflect.get({}, "a"), undefined);
});

test("five kinds of extensions are read, whatever their length and content, and no other", () => {
  const read = new Set<number>();
  const tagOf: Record<number, string> = { 1: "d4", 2: "d5", 4: "d6", 8: "d7", 16: "d8" };
  for (let type = 0; type < 256; type++) {
    for (const length of [0, 1, 2, 3, 4, 5, 8, 9, 12, 16, 17]) {
      const long = `c7${hexOf(length)}`;
      for (const head of [long, tagOf[length] ?? long]) {
        for (const first of ["00", "05", "90"]) {
          const body = first.padEnd(2 * length, "0").slice(0, 2 * length);
          // A set is its octet and the list that follows.
          for (const rest of ["", "90", "a161"]) {
            const bytes = Buffer.from(`${head}${hexOf(type)}${body}${rest}`, "hex");
            if (isValue(bytes, 0, bytes.length)) read.add(type);
          }
        }
      }
    }
  }
  assert.deepEqual([...read], [0, 0x42, 0x73, 0x74, 0xff]);
});

test("a size that is only claimed is refused, whatever has it", () => {
  for (const tag of ["c4", "c7", "d9"]) assert.throws(() => unpack(`${tag}ff`), isInvalid, tag);
  for (const tag of ["c5", "c8", "da", "dc", "de"]) {
    for (const rest of ["", "ff", "ffff", "ffff74"]) {
      assert.throws(() => unpack(tag + rest), isInvalid, tag + rest);
    }
  }
  for (const tag of ["c6", "c9", "db", "dd", "df"]) {
    for (const rest of ["", "ffffff", "ffffffff", "7fffffff00", "00100000c0c0c0"]) {
      assert.throws(() => unpack(tag + rest), isInvalid, tag + rest);
    }
  }
  // Each claims all that follows, so that together they claim the square of it.
  const greedy = Array.from({ length: 200 }, (_, index) => {
    return `dd${((200 - index) * 5 - 5).toString(16).padStart(8, "0")}`;
  });
  assert.throws(() => unpack(greedy.join("")), isInvalid);
});

test("values nest so far and no further, when they are packed and when they are unpacked", () => {
  const max = limits.valueDepthMax;
  const foreign = new Packr({ useRecords: false, moreTypes: true });
  const wraps = {
    list: (inner: unknown) => [inner],
    object: (inner: unknown) => ({ a: inner }),
    set: (inner: unknown) => new Set([inner]),
  };
  for (const [kind, wrap] of Object.entries(wraps)) {
    const deepest = nested(max, wrap);
    assert.deepEqual(roundTrip(deepest), deepest);
    const tooDeep = nested(max + 1, wrap);
    assert.throws(() => packAttributes({ tooDeep }), isInvalid, kind);
    assert.throws(() => unpack(foreign.pack(tooDeep).toString("hex")), isInvalid, kind);
  }
  assert.throws(() => packAttributes({ a: nested(100_000, wraps.list) }), isInvalid);
  for (const open of ["91", "81a161", "d4730091", "dd00000001"]) {
    assert.throws(() => unpack(`${open.repeat(200_000)}01`), isInvalid, open);
  }
});

test("what could not be read again is not stored", () => {
  const unreadable = {
    error: new Error("e"),
    pattern: /a/,
    keyed: new Map([[{}, 1]]),
    inside: [{ deep: new TypeError("t") }],
  };
  for (const [name, value] of Object.entries(unreadable)) {
    assert.throws(() => packAttributes({ [name]: value }), isInvalid, name);
  }
});

test("a report is a map of plain values, and anything else is none", () => {
  const report = (hex: string) => unpackReport(Buffer.from(hex, "hex"));
  assert.deepEqual(report("82a161cf0000010000000000a16293c0c2a3612f62"), {
    a: 2 ** 40,
    b: [null, false, "a/b"],
  });
  for (const hex of [
    "",
    "c0",
    "01",
    "90",
    "a161",
    "81a161",
    "81a161d6ff00000001",
    "81a161d4724090",
  ]) {
    assert.equal(report(hex), undefined, hex);
  }
});
