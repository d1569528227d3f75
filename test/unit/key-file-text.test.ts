import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OperatorError } from "../../src/base/operator-error.ts";
import {
  addKey,
  type DrawKey,
  newKeyFile,
  retireKey,
  useKey,
} from "../../src/daemon/key-file-edit.ts";
import { nameOfKey, parseKeyFile } from "../../src/daemon/key-file-text.ts";
import { limits } from "../../src/protocol/limits.ts";
import { keysOfOneMark, testKey } from "../support/test-keys.ts";

const file = "/etc/sessioncast/key";
const line = (word: string, n: number) => `${word} ${testKey(n).toString("hex")}`;
const smallest = `${line("identity", 1)}\n${line("use", 2)}\n`;

function refusal(work: () => unknown): OperatorError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof OperatorError, String(error));
    return error;
  }
  return assert.fail("it was accepted");
}

describe("a key file that is right", () => {
  test("gives its keys in the order of its lines", () => {
    const text = `${line("open", 3)}\n${smallest}${line("open", 4)}\n${line("open", 5)}\n`;
    const { identity, use, open, olderCount } = parseKeyFile(text, file);
    assert.deepEqual([identity, use, ...open], [1, 2, 3, 4, 5].map(testKey));
    assert.equal(olderCount, 1, "one that opens stands before the one in use");
  });

  test("may have comments, blank lines, capitals, tabs, and be made on Windows", () => {
    const use = line("use", 2).replace("use ", "use \t").toUpperCase().replace("USE", "use");
    const identity = `  ${line("identity", 1)}  # same everywhere`;
    const text = `\ufeff# all of it\r\n\r\n${identity}\r\n${use}#now`;
    const material = parseKeyFile(text, file);
    assert.deepEqual([material.identity, material.use], [testKey(1), testKey(2)]);
  });

  test("holds so many keys, and no more", () => {
    const opens = Array.from({ length: limits.keysMax }, (_, n) => line("open", n + 3));
    const full = smallest + opens.slice(1).join("\n");
    assert.equal(parseKeyFile(full, file).open.length, limits.keysMax - 1);
    const error = refusal(() => parseKeyFile(smallest + opens.join("\n"), file));
    assert.equal(error.fact, `line 10 of the key file ${file} is a key too many`);
  });

  test("a key is named by HKDF-SHA256 of it", () => {
    // Computed apart, with the hmac of another language.
    assert.equal(nameOfKey(Buffer.from([...Array(32).keys()])), "4426a1f5");
  });
});

describe("a key file that is wrong is refused with the line, and without its keys", () => {
  const digits = testKey(9).toString("hex");
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["nothing", "", /has no line of identity$/],
    ["no identity", line("use", 2), /has no line of identity$/],
    ["no key that seals", `${line("identity", 1)}\n${line("open", 2)}`, /has no line of use$/],
    ["two that seal", `${smallest}${line("use", 3)}`, /^line 3 of .* is a second use$/],
    ["two identities", `${smallest}\n${line("identity", 3)}`, /^line 4 .* a second identity$/],
    ["a word that is none", `${smallest}seal ${digits}`, /^line 3 of .* is not understood$/],
    ["a word in capitals", `${smallest}OPEN ${digits}`, /^line 3 of .* is not understood$/],
    ["a key without a word", `${smallest}${digits}`, /^line 3 of .* is not understood$/],
    ["a key too short", `${smallest}open ${digits.slice(1)}`, /^line 3 .* is not understood$/],
    ["a key too long", `${smallest}open ${digits}0`, /^line 3 of .* is not understood$/],
    ["no hex", `${smallest}open ${digits.slice(1)}g`, /^line 3 of .* is not understood$/],
    ["something behind", `${smallest}open ${digits} x`, /^line 3 of .* is not understood$/],
    ["one key twice", `${smallest}${line("open", 2)}`, /^lines 2 and 3 .* hold the same key$/],
    ["identity as a key", `${smallest}${line("open", 1)}`, /^lines 1 and 3 .* the same key$/],
  ];
  for (const [what, text, fact] of cases) {
    test(what, () => {
      const error = refusal(() => parseKeyFile(text, file));
      assert.equal(error.code, "E_KEY_FILE");
      assert.match(error.fact, fact);
      assert.ok(error.fact.includes(file) && error.remedy !== "", error.message);
      for (const octets of [1, 2, 3, 9].map((n) => testKey(n).toString("hex").slice(0, 12))) {
        assert.ok(!error.message.includes(octets), error.message);
      }
    });
  }

  test("two keys that a header could not tell apart", () => {
    const [one, other] = keysOfOneMark().map((key) => key.toString("hex"));
    const text = `${line("identity", 1)}\nuse ${one}\nopen ${other}`;
    const { fact } = refusal(() => parseKeyFile(text, file));
    assert.match(fact, /^lines 2 and 3 of .* hold keys whose fingerprints begin alike$/);
  });

  test("the identity is no key, so its fingerprint may begin like one", () => {
    const [one, other] = keysOfOneMark();
    const text = `identity ${one.toString("hex")}\nuse ${other.toString("hex")}`;
    assert.deepEqual(parseKeyFile(text, file).use, other);
  });
});

/** Hands out these keys, then fails. */
function drawing(...keys: readonly Buffer[]): DrawKey {
  const left = [...keys];
  return () => left.shift() ?? assert.fail("draws no more than it must");
}

describe("steps of a change", () => {
  const start = `# ours\n${line("identity", 1)}\n\n  ${line("use", 2)} # since May\n`;
  const names = [2, 3].map((n) => nameOfKey(testKey(n)));
  const [old = "", young = ""] = names;

  test("a new file is one that is accepted, and draws again what it could not tell apart", () => {
    const [one, other] = keysOfOneMark();
    const { text, fingerprint } = newKeyFile(drawing(one, other, testKey(3)));
    const { identity, use, open } = parseKeyFile(text, file);
    assert.deepEqual([identity, use, open], [one, testKey(3), []]);
    assert.equal(fingerprint, young);
  });

  test("two new files have nothing in common", () => {
    const [left, right] = [newKeyFile(), newKeyFile()].map(({ text }) => parseKeyFile(text, file));
    assert(left !== undefined && right !== undefined);
    assert.notDeepEqual(left.identity, right.identity);
    assert.notDeepEqual(left.use, right.use);
    assert.notDeepEqual(left.identity, left.use);
  });

  test("add appends one that opens and leaves the rest as it was", () => {
    const added = addKey(start, file, drawing(testKey(2), testKey(3)));
    assert.deepEqual(added, { text: `${start}${line("open", 3)}\n`, fingerprint: young });
    const open = addKey(start.trimEnd(), file, drawing(testKey(3)));
    assert.equal(open.text, added.text, "also behind a last line that is not ended");
  });

  test("add refuses what would be one key too many, before it is written", () => {
    const opens = Array.from({ length: limits.keysMax - 1 }, (_, n) => line("open", n + 10));
    const { fact } = refusal(() => addKey(start + opens.join("\n"), file));
    assert.match(fact, /is a key too many$/);
  });

  test("use exchanges the words and nothing else", () => {
    const added = addKey(start, file, drawing(testKey(3))).text;
    const { text, fingerprint } = useKey(added, file, young.toUpperCase());
    assert.equal(fingerprint, young);
    const expected = `# ours\n${line("identity", 1)}\n\n  ${line("open", 2)} # since May\n`;
    assert.equal(text, `${expected}${line("use", 3)}\n`);
    assert.equal(useKey(text, file, young).text, text, "twice is once");
  });

  test("retire takes the line out, but not that of the key that seals", () => {
    const added = addKey(start, file, drawing(testKey(3))).text;
    const used = useKey(added, file, young).text;
    const { text } = retireKey(used, file, old);
    assert.equal(text, `# ours\n${line("identity", 1)}\n\n${line("use", 3)}\n`);
    const error = refusal(() => retireKey(used, file, young));
    assert.equal(error.code, "E_KEY_IN_USE");
  });

  test("an unknown fingerprint is answered with the known ones", () => {
    const added = addKey(start, file, drawing(testKey(3))).text;
    for (const step of [useKey, retireKey]) {
      const error = refusal(() => step(added, file, nameOfKey(testKey(1))));
      assert.equal(error.code, "E_KEY_UNKNOWN");
      assert.equal(error.remedy, `Name one of these: use ${old}, open ${young}`);
    }
  });
});
