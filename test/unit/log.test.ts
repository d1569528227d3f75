import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogLevel } from "../../src/daemon/configuration-schema.ts";
import { createLog } from "../../src/daemon/log.ts";

function capture(level: LogLevel = "debug") {
  const lines: string[] = [];
  const log = createLog({
    level,
    write: (line) => lines.push(line),
    now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  });
  return { log, lines };
}

test("a line carries time, level, event and fields in the order given", () => {
  const { log, lines } = capture();
  log.info("peer_up", { node: "app-2", peers: 2, ready: true });
  assert.deepEqual(lines, [
    "2026-01-02T03:04:05.678Z info peer_up node=app-2 peers=2 ready=true\n",
  ]);
});

test("an event without fields ends after its name", () => {
  const { log, lines } = capture();
  log.warn("alone");
  assert.deepEqual(lines, ["2026-01-02T03:04:05.678Z warn alone\n"]);
});

test("lines below the level are not written", () => {
  const levels = ["debug", "info", "warn", "error"] as const;
  for (const [index, level] of levels.entries()) {
    const { log, lines } = capture(level);
    for (const each of levels) log[each]("event");
    const written = lines.map((line) => line.split(" ")[1]);
    assert.deepEqual(written, levels.slice(index));
  }
});

const valueCases: readonly (readonly [string, string])[] = [
  ["/run/sessioncast.sock", "/run/sessioncast.sock"],
  ["239.255.83.67:45883", "239.255.83.67:45883"],
  ["", '""'],
  ["two words", '"two words"'],
  ['a"b', '"a\\"b"'],
  ["a=b", '"a=b"'],
  ["a\\b", '"a\\\\b"'],
  ["a\nb", '"a\\nb"'],
  ["\u001b[31m", '"\\u001b[31m"'],
  ["\u007f\u009b", '"\\u007f\\u009b"'],
  ["\u202e\u2028", '"\\u202e\\u2028"'],
  ["\u{e0001}", '"\\udb40\\udc01"'],
  ["naïve", '"naïve"'],
];
for (const [value, shown] of valueCases) {
  test(`the value ${JSON.stringify(value)} stays one word of one line`, () => {
    const { log, lines } = capture();
    log.info("event", { key: value });
    assert.deepEqual(lines, [`2026-01-02T03:04:05.678Z info event key=${shown}\n`]);
    assert.equal(shown.startsWith('"') ? JSON.parse(shown) : shown, value);
  });
}

test("an event or a key cannot forge a line either", () => {
  const { log, lines } = capture();
  log.error("a\nb", { "c d": 1 });
  assert.deepEqual(lines, ['2026-01-02T03:04:05.678Z error "a\\nb" "c d"=1\n']);
});
