import assert from "node:assert/strict";
import { test } from "node:test";
import { heldKeys } from "../../src/cli/key-holders.ts";

const [a, b, c] = ["0000aaaa", "1111bbbb", "2222cccc"];

function peer(node: string, state: string, address = "127.0.0.1:1") {
  return { node, state, address, uses: a, opens: [b] };
}

test("this node comes first, then the others by name", () => {
  const keys = { uses: a, opens: [b, c], older: [c] };
  const peers = [peer("app-3", "up"), peer("app-2", "suspected")];
  assert.deepEqual(heldKeys({ node: "app-9", keys, peers }), {
    holders: [
      { node: "app-9", state: "here", uses: a, opens: [b, c] },
      { node: "app-2", state: "suspected", uses: a, opens: [b] },
      { node: "app-3", state: "up", uses: a, opens: [b] },
    ],
    older: [c],
  });
});

test("who has left, and former starts of who is there, have no say", () => {
  const peers = [
    peer("app-1", "down"),
    peer("app-2", "up"),
    peer("app-2", "down"),
    peer("app-3", "left"),
    peer("app-4", "down"),
    { ...peer("", "unproven", "10.0.0.5:7"), uses: undefined, opens: [] },
  ];
  const held = heldKeys({ node: "app-1", keys: { uses: a, opens: [] }, peers });
  assert.deepEqual(
    held?.holders.map(({ node, state }) => `${node} ${state}`),
    ["app-1 here", "10.0.0.5:7 unproven", "app-2 up", "app-4 down"],
  );
});

test("two nodes of one name are both shown", () => {
  const peers = [peer("app-1", "up"), peer("app-1", "up")];
  assert.equal(heldKeys({ node: "app-1", keys: { uses: a }, peers })?.holders.length, 3);
});

test("a node without keys says so", () => {
  assert.equal(heldKeys({ node: "app-1", peers: [peer("app-2", "up")] }), undefined);
});
