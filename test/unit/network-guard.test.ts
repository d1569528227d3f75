import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfiguration } from "../../src/daemon/configuration.ts";
import { guardNetwork } from "../../src/daemon/network-guard.ts";

const loopback = { name: "lo", address: "127.0.0.1", loopback: true };
const network = { name: "eth0", address: "10.0.0.7", loopback: false };

const ofUsers =
  "no key: any user of this machine can join the cluster, and read, forge and destroy all " +
  "sessions; where there are others, start its nodes with --key-file, also on loopback";

function gossipOf(changes: { keyFile?: string; insecurePlaintext?: boolean; interface?: string }) {
  const { gossip } = loadConfiguration({ environment: {}, flags: {} }).configuration;
  return { ...gossip, ...changes };
}

test("without a key a node stays on loopback, and is told how to get one", () => {
  assert.deepEqual(guardNetwork(gossipOf({}), loopback), [ofUsers]);
  assert.throws(() => guardNetwork(gossipOf({ interface: "my net" }), network), {
    code: "E_PLAINTEXT",
    fact: "eth0 (10.0.0.7) leads to a network, and there is no key to seal datagrams with",
    remedy:
      "Stay on loopback, or make a key, copy it to all nodes and start them with it: " +
      "sessioncast keygen /etc/sessioncast/key; " +
      "sessioncast start --key-file /etc/sessioncast/key --interface 'my net'",
  });
});

test("with a key any interface is allowed, without a warning", () => {
  const gossip = gossipOf({ keyFile: "/etc/sessioncast/key" });
  assert.deepEqual(guardNetwork(gossip, loopback), []);
  assert.deepEqual(guardNetwork(gossip, network), []);
});

test("bare datagrams go to a network only when asked for, with a warning", () => {
  const gossip = gossipOf({ insecurePlaintext: true });
  assert.deepEqual(guardNetwork(gossip, network), [
    "PLAINTEXT: whoever is on the network can read and forge sessions",
  ]);
});

test("the wish for bare datagrams is told on loopback, too", () => {
  assert.deepEqual(guardNetwork(gossipOf({ insecurePlaintext: true }), loopback), [
    ofUsers,
    "PLAINTEXT: gossip.insecurePlaintext is set; it would also let bare datagrams onto a network",
  ]);
});

test("a key and bare datagrams contradict each other, on any interface", () => {
  const gossip = gossipOf({ insecurePlaintext: true, keyFile: "/k" });
  for (const chosen of [loopback, network]) {
    assert.throws(() => guardNetwork(gossip, chosen), {
      code: "E_PLAINTEXT",
      remedy: /^Leave out --insecure-plaintext/,
    });
  }
});
