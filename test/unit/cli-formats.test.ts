import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { shellWord } from "../../src/base/shell-word.ts";
import { parseAssignments, parseValue } from "../../src/cli/assignments.ts";
import { commandName } from "../../src/cli/command-name.ts";
import { formatCounters, formatRecords } from "../../src/cli/counters.ts";
import { HopelessError, until } from "../../src/cli/demo/deadline.ts";
import { parseDuration } from "../../src/cli/duration.ts";
import { formatBytes, formatDuration, printable } from "../../src/cli/format.ts";
import { jsonValue } from "../../src/cli/output.ts";
import { plainWord, protectWords } from "../../src/cli/plain-words.ts";
import { formatEnd } from "../../src/cli/session-output.ts";
import { idField, shortId, shownId } from "../../src/cli/short-id.ts";
import { formatPairs, formatTable } from "../../src/cli/table.ts";
import { UsageError } from "../../src/cli/usage-error.ts";

describe("durations", () => {
  test("each unit is read", () => {
    const read = ["500ms", "30s", "30m", "12h", "7d", "0", "0s"].map(parseDuration);
    assert.deepEqual(read, [500, 30_000, 1_800_000, 43_200_000, 604_800_000, 0, 0]);
  });

  test("anything else is wrong usage, never a guess", () => {
    for (const text of [
      "",
      "30",
      "m",
      "1.5h",
      "-1s",
      "1 s",
      "1S",
      "1w",
      "30m ",
      "999999999999999d",
    ]) {
      assert.throws(() => parseDuration(text), UsageError, text);
    }
  });

  test("they are shown in at most two units", () => {
    const shown = [
      0, 0.25, 12, 999, 3_450, 59_999, 60_000, 312_000, 3_600_000, 12_000_000, 187_200_000,
    ];
    assert.deepEqual(shown.map(formatDuration), [
      "0 ms",
      "0.2 ms",
      "12 ms",
      "999 ms",
      "3.4 s",
      "59.9 s",
      "1m",
      "5m 12s",
      "1h",
      "3h 20m",
      "2d 4h",
    ]);
    assert.equal(formatDuration(-3_450), "-3.4 s");
  });

  test("the end of a session is a distance, or never", () => {
    assert.equal(formatEnd(61_000, 1_000), "in 1m");
    assert.equal(formatEnd(new Date(61_000), 1_000), "in 1m");
    assert.equal(formatEnd(1_800_000, 3), "in 30m");
    assert.equal(formatEnd(1_250, 1_000), "in 250 ms");
    assert.equal(formatEnd(500, 1_000), "in 0 ms");
    assert.equal(formatEnd(0, 1_000), "never");
    assert.equal(formatEnd(undefined, 1_000), "never");
    assert.equal(formatEnd(Number.POSITIVE_INFINITY, 1_000), "never");
  });
});

describe("attributes", () => {
  test("a value is JSON when it parses, else text", () => {
    const texts = ["3", "true", "null", '"3"', '{"a":[1]}', "ada", "", "01", "{a:1}", "a=b"];
    assert.deepEqual(texts.map(parseValue), [
      3,
      true,
      null,
      "3",
      { a: [1] },
      "ada",
      "",
      "01",
      "{a:1}",
      "a=b",
    ]);
  });

  test("a number that would lose digits stays a text", () => {
    assert.equal(parseValue("9007199254740993"), "9007199254740993");
    assert.equal(parseValue("1e999"), "1e999");
    assert.equal(parseValue("9007199254740991"), 9_007_199_254_740_991);
    assert.equal(parseValue("0.1"), 0.1);
  });

  test("the first equals sign divides", () => {
    assert.deepEqual(parseAssignments(["a=b=c", "n=1", "empty="]), { a: "b=c", n: 1, empty: "" });
  });

  test("words without a name, without a sign or given twice are wrong usage", () => {
    for (const words of [["a"], ["=1"], [""], ["a=1", "a=2"]]) {
      assert.throws(() => parseAssignments(words), UsageError, words.join(" "));
    }
  });

  test("__proto__ is a name like any other", () => {
    const attributes = parseAssignments(['__proto__={"admin":true}']);
    assert.deepEqual(Object.keys(attributes), ["__proto__"]);
    assert.equal("admin" in attributes, false);
  });
});

describe("words behind --", () => {
  test("they pass the parser marked, and come out as they were", () => {
    const words = ["set", "--json", "--", "-Xy7", "--", "-b=2"];
    const marked = protectWords(words);
    assert.equal(
      marked.slice(2).some((word) => word.startsWith("-")),
      false,
    );
    assert.deepEqual(marked.map(plainWord), ["set", "--json", "-Xy7", "--", "-b=2"]);
  });

  test("without -- nothing changes", () => {
    assert.deepEqual(protectWords(["get", "-x"]), ["get", "-x"]);
  });
});

describe("polling", () => {
  const signal = new AbortController().signal;
  const options = { deadlineMs: 50, everyMs: 1, signal, describe: () => "it is not there" };

  test("it ends with the first value", async () => {
    let asked = 0;
    const check = async () => (++asked < 3 ? undefined : "here");
    assert.equal(await until({ ...options, deadlineMs: 10_000, check }), "here");
    assert.equal(asked, 3);
  });

  test("it gives up at the deadline and tells the last error", async () => {
    const check = () => Promise.reject(new Error("refused"));
    await assert.rejects(until({ ...options, check }), {
      message: "gave up after 0.05 s: it is not there; last error: refused",
    });
  });

  test("it does not wait for what cannot come any more", async () => {
    let asked = 0;
    const check = () => {
      asked += 1;
      return Promise.reject(new HopelessError("ended"));
    };
    await assert.rejects(until({ ...options, check }), HopelessError);
    assert.equal(asked, 1);
  });
});

describe("tables", () => {
  test("columns are as wide as their longest cell, without trailing spaces", () => {
    const columns = [
      { title: "node" },
      { title: "sent", align: "right" as const },
      { title: "state" },
    ];
    const table = formatTable(columns, [
      ["a", "1", "up"],
      ["longest", "12345", ""],
    ]);
    assert.equal(table, "node      sent  state\na            1  up\nlongest  12345");
  });

  test("a missing cell is empty and a table may have no rows", () => {
    assert.equal(formatTable([{ title: "a" }, { title: "b" }], [["1"]]), "a  b\n1");
    assert.equal(formatTable([{ title: "a" }], []), "a");
  });

  test("pairs align their values", () => {
    assert.equal(
      formatPairs(
        [
          ["a", "1"],
          ["long", "2"],
        ],
        "  ",
      ),
      "  a     1\n  long  2",
    );
  });
});

describe("sizes, ids and foreign text", () => {
  test("sizes are exact and rounded", () => {
    const shown = [0, 1_023, 1_024, 1_536, 268_435_456, 1_099_511_627_776].map(formatBytes);
    assert.deepEqual(shown, [
      "0 B",
      "1023 B",
      "1024 B (1 KiB)",
      "1536 B (1.5 KiB)",
      "268435456 B (256 MiB)",
      "1099511627776 B (1 TiB)",
    ]);
  });

  test("of an id a quarter is shown, four characters at most, and what tells it apart", () => {
    assert.equal(shortId("0123456789abcdef"), "0123…9f9f51");
    assert.equal(shortId("0123456789abcdef".repeat(10)), "0123…c84e56");
    assert.equal(shortId("01234567"), "01…924592");
    assert.equal(shortId("abc"), "…ba7816");
    assert.match(shortId("😀".repeat(9)), /^😀😀…[0-9a-f]{6}$/u);
  });

  test("a whole id is shown only to who asks for it, and called an id only then", () => {
    assert.equal(shownId("0123456789abcdef", true), "0123456789abcdef");
    assert.equal(shownId("0123456789abcdef", false), "0123…9f9f51");
    assert.deepEqual(idField("abc", true), { id: "abc" });
    assert.deepEqual(idField("abc", false), { shortId: "…ba7816" });
  });

  test("control characters are shown, not obeyed", () => {
    assert.equal(printable("a\u001b[2J\n\u202eb"), "a\\u{1b}[2J\\u{a}\\u{202e}b");
    assert.doesNotMatch(shortId("\u001b\u009b\nabcdefghi"), /\p{Cc}/u);
  });

  test("JSON output takes values that JSON lacks", () => {
    const value = {
      n: 1n,
      bytes: new Uint8Array([1]),
      buffer: Buffer.from([2]),
      set: new Set([3]),
    };
    assert.equal(
      JSON.stringify({ ...value, map: new Map([["a", 4]]) }, jsonValue),
      '{"n":"1","bytes":"AQ==","buffer":"Ag==","set":[3],"map":{"a":4}}',
    );
  });
});

describe("counters", () => {
  test("single values, then groups, then lists; each sorted, with units", () => {
    const text = formatCounters({
      version: "1",
      uptimeMs: 61_000,
      sessions: { count: 2, bytes: 2_048 },
      datagrams: { sent: 7, rejected: { bad_seal: 1 }, bytesSent: 10 },
      peers: [{ state: "up", node: "b", boot: "0123456789abcdef", naks: { sent: 1 } }],
      local: {},
    });
    assert.equal(
      text,
      [
        "uptimeMs  1m 1s",
        "version   1",
        "",
        "datagrams:",
        "  bytesSent          10 B",
        "  rejected.bad_seal  1",
        "  sent               7",
        "",
        "sessions:",
        "  bytes  2048 B (2 KiB)",
        "  count  2",
        "",
        "peers:",
        "  node  state  boot      naks.sent",
        "  b     up     01234567  1",
      ].join("\n"),
    );
  });

  test("a column that one record lacks is a dash there", () => {
    assert.equal(formatRecords([{ node: "a" }, { node: "b", x: 1 }]), "node  x\na     -\nb     1");
  });

  test("an empty list is shown as a value", () => {
    assert.equal(formatCounters({ peers: [] }), "peers  []");
  });
});

describe("how to run it again", () => {
  test("the command fits how it was started", () => {
    assert.equal(commandName("/usr/bin/sessioncast", "/"), "sessioncast");
    assert.equal(commandName("/p/node_modules/.bin/sessioncast", "/p"), "npx sessioncast");
    assert.equal(commandName("/p/bin/sessioncast.js", "/p"), "node bin/sessioncast.js");
  });

  test("a path is quoted when a shell would take it apart", () => {
    assert.equal(shellWord("/run/a.sock"), "/run/a.sock");
    assert.equal(shellWord("/run/my app's.sock"), "'/run/my app'\\''s.sock'");
  });
});
