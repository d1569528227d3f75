import assert from "node:assert/strict";
import { test } from "node:test";
import { type KeyHolder, nextStep } from "../../src/cli/key-rotation.ts";

const [old, young, third] = ["0000aaaa", "1111bbbb", "2222cccc"];

/** `+use open open` of app-1, which is asked, app-2, app-3 ...; `down:` and the like before it. */
function cluster(...nodes: readonly string[]): KeyHolder[] {
  return nodes.map((text, index) => {
    const [, state = index === 0 ? "here" : "up", keys = ""] = /^(?:(\w+):)?(.*)$/.exec(text) ?? [];
    const [uses = "", ...opens] = keys.split(" ");
    return { node: `app-${index + 1}`, state, uses, opens };
  });
}

const both = `${old} ${young}`;
const swapped = `${young} ${old}`;

const states: readonly (readonly [string, readonly string[], readonly string[], string])[] = [
  [
    "a node alone with one key",
    [old],
    [],
    `all use ${old} and hold no other; to change it: sessioncast keygen --add`,
  ],
  [
    "all with one key",
    [old, old, old],
    [],
    `all use ${old} and hold no other; to change it: sessioncast keygen --add`,
  ],
  [
    "a new key on some nodes",
    [both, both, old, old],
    [],
    `wait: ${young} is not on app-3, app-4; add it there before any node uses it`,
  ],
  [
    "a new key everywhere but here",
    [old, both, both],
    [],
    `no node uses ${young}; app-2, app-3 hold it, and not app-1: ` +
      "give it to them if it is new, retire it if it is old",
  ],
  [
    "a new key everywhere",
    [both, both, both],
    [],
    `safe: all hold ${young}, so let it seal: sessioncast keygen --use ${young}`,
  ],
  [
    "some use the new key",
    [swapped, swapped, both],
    [old],
    `under way: in use are app-1, app-2 ${young}, app-3 ${old}; ` +
      "retire none before all use the same",
  ],
  [
    "a key in use that somebody does not hold",
    [swapped, both, old],
    [old],
    `wrong: ${young} is in use on app-1 and not held by app-3; add it there as open, and reload`,
  ],
  [
    "an old key gone where it is still in use",
    [swapped, young, both],
    [old],
    `wrong: ${old} is in use on app-3 and not held by app-2; add it there as open, and reload`,
  ],
  [
    "all use the new key and hold the old one",
    [swapped, swapped, swapped],
    [old],
    `safe: no node uses ${old} any more, so retire it: sessioncast keygen --retire ${old}`,
  ],
  [
    "the old key gone from some nodes",
    [swapped, young, swapped],
    [old],
    `safe: no node uses ${old} any more, so retire it: sessioncast keygen --retire ${old}`,
  ],
  [
    "two keys beside the one in use",
    [`${old} ${young} ${third}`, `${old} ${young} ${third}`, both],
    [],
    `safe: all hold ${young}, so let it seal: sessioncast keygen --use ${young}; ` +
      `wait: ${third} is not on app-3; add it there before any node uses it`,
  ],
  [
    "peers of which it is not known what they hold",
    [both, both, `down:${old}`, "unproven:"],
    [],
    "not known: what app-3 (down), app-4 (unproven) may hold, so give it the file of each step; " +
      `the others: safe: all hold ${young}, so let it seal: sessioncast keygen --use ${young}`,
  ],
  [
    "a doubtful peer with another key in use decides nothing",
    [both, `suspected:${swapped}`],
    [],
    "not known: what app-2 (suspected) may hold, so give it the file of each step; " +
      `the others: safe: all hold ${young}, so let it seal: sessioncast keygen --use ${young}`,
  ],
];

for (const [what, nodes, older, expected] of states) {
  test(what, () => assert.equal(nextStep(cluster(...nodes), older), expected));
}
