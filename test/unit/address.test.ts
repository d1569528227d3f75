import assert from "node:assert/strict";
import { test } from "node:test";
import {
  canonicalHost,
  formatAddress,
  parseAddress,
  readHostPort,
  sourceOf,
} from "../../src/net/address.ts";

test("an address is written so that it is read back the same", () => {
  for (const host of ["10.0.0.7", "::1", "fd00::2", "fe80::1%eth0", "app-1.example"]) {
    assert.deepEqual(parseAddress(formatAddress(host, 45_883)), { host, port: 45_883 });
  }
  assert.equal(formatAddress("::1", 9), "[::1]:9");
});

test("port 0 is no source that can be answered", () => {
  assert.equal(sourceOf("10.0.0.7", 0), undefined);
  assert.equal(sourceOf("::1", 10), formatAddress("::1", 10));
});

test("a peer is named by a host or an address, with or without a port", () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ["app-1", "app-1", 7],
    ["app-1.example.:99", "app-1.example.", 99],
    ["10.0.0.7", "10.0.0.7", 7],
    ["10.0.0.7:1", "10.0.0.7", 1],
    ["::1", "::1", 7],
    ["[::1]", "::1", 7],
    ["[fd00::2]:65535", "fd00::2", 65_535],
    ["fe80::1%eth0", "fe80::1%eth0", 7],
    ["[fe80::1%eth0]:9", "fe80::1%eth0", 9],
  ];
  for (const [text, host, port] of cases) assert.deepEqual(readHostPort(text, 7), { host, port });
});

test("what names no peer is refused", () => {
  for (const text of ["", ":1", "a:", "a:0", "a:65536", "a b", "a/b", "[::1", "::1]", "[]:1"]) {
    assert.equal(readHostPort(text, 7), undefined, text);
  }
});

test("an IPv6 address has one form", () => {
  assert.equal(canonicalHost("0:0::0:1"), "::1");
  assert.equal(canonicalHost("FD00::0002"), "fd00::2");
  assert.equal(canonicalHost("FE80::1%eth0"), "fe80::1%eth0");
  for (const host of ["App-1", "10.0.0.7"]) assert.equal(canonicalHost(host), host);
});
