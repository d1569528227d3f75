import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { test } from "node:test";
import { OperatorError } from "../../src/base/operator-error.ts";
import { chooseInterface, type Family } from "../../src/net/interface-choice.ts";

function v4(address: string, internal = false): NetworkInterfaceInfo {
  const mac = "00:00:00:00:00:00";
  return { address, internal, family: "IPv4", netmask: "255.0.0.0", mac, cidr: null };
}

function v6(address: string, internal = false): NetworkInterfaceInfo {
  const mac = "00:00:00:00:00:00";
  return { address, internal, family: "IPv6", netmask: "::", mac, cidr: null, scopeid: 0 };
}

const lo = [v4("127.0.0.1", true), v6("::1", true)];
const eth0 = [v6("fe80::1"), v4("10.0.0.5")];
const eth1 = [v4("192.168.1.5")];

function refusalOf(
  setting: string,
  interfaces: Parameters<typeof chooseInterface>[1],
  family: Family = "IPv4",
) {
  try {
    chooseInterface(setting, interfaces, family);
  } catch (error) {
    assert(error instanceof OperatorError);
    return error;
  }
  return assert.fail("was not refused");
}

test("auto takes the only interface that is not the loopback one", () => {
  const chosen = chooseInterface("auto", { lo, eth0 });
  assert.deepEqual(chosen, { name: "eth0", address: "10.0.0.5", loopback: false });
});

test("auto does not guess between several interfaces, and lists them", () => {
  const error = refusalOf("auto", { lo, eth0, eth1 });
  assert.equal(error.code, "E_INTERFACE");
  assert.match(error.fact, /2 of .*eth0 \(10\.0\.0\.5\).*eth1 \(192\.168\.1\.5\)/);
  assert.match(error.remedy, /gossip\.interface/);
});

test("auto does not guess between several addresses of one interface", () => {
  const error = refusalOf("auto", { lo, eth0: [v4("10.0.0.5"), v4("10.0.0.6")] });
  assert.match(error.fact, /2 of /);
});

test("auto does not fall back to the loopback interface", () => {
  for (const interfaces of [{ lo }, {}, { lo, eth0: [v6("fe80::1")] }]) {
    assert.match(refusalOf("auto", interfaces).fact, /0 of /);
  }
});

test("loopback is the loopback interface, whatever it is called", () => {
  const chosen = chooseInterface("loopback", { eth0, lo0: lo });
  assert.deepEqual(chosen, { name: "lo0", address: "127.0.0.1", loopback: true });
});

test("another address of the loopback interface is none of this machine alone", () => {
  const interfaces = { lo: [v4("10.0.0.7", true), v4("127.0.0.1", true)], eth0 };
  const own = { name: "lo", address: "127.0.0.1", loopback: true };
  for (const setting of ["loopback", "lo", "127.0.0.1"]) {
    assert.deepEqual(chooseInterface(setting, interfaces), own);
  }
  const shared = { name: "lo", address: "10.0.0.7", loopback: false };
  assert.deepEqual(chooseInterface("10.0.0.7", interfaces), shared);
  assert.equal(chooseInterface("auto", interfaces).name, "eth0");
});

test("loopback works on a host that does not list it", () => {
  assert.equal(chooseInterface("loopback", { eth0 }).address, "127.0.0.1");
});

test("an interface is chosen by its name or by its address", () => {
  const interfaces = { lo, eth0, eth1 };
  const expected = { name: "eth1", address: "192.168.1.5", loopback: false };
  assert.deepEqual(chooseInterface("eth1", interfaces), expected);
  assert.deepEqual(chooseInterface("192.168.1.5", interfaces), expected);
  assert.equal(chooseInterface("127.0.0.1", interfaces).loopback, true);
});

test("a name or an address that is not there is refused with those that are", () => {
  for (const setting of ["eth9", "10.0.0.9", "fe80::1", ""]) {
    const error = refusalOf(setting, { lo, eth0 });
    assert.equal(error.code, "E_INTERFACE");
    assert.match(error.fact, /lo \(127\.0\.0\.1\), eth0 \(10\.0\.0\.5\)/);
  }
});

test("over IPv6 an address valid beyond its link goes first, and others name theirs", () => {
  const eth2 = [v6("fe80::2"), v6("fd00::2")];
  assert.equal(chooseInterface("auto", { lo, eth2 }, "IPv6").address, "fd00::2");
  assert.equal(chooseInterface("eth2", { lo, eth2 }, "IPv6").address, "fd00::2");
  assert.equal(chooseInterface("auto", { lo, eth0 }, "IPv6").address, "fe80::1%eth0");
  for (const setting of ["fe80::2", "FE80::0002%eth2"]) {
    assert.equal(chooseInterface(setting, { lo, eth2 }, "IPv6").address, "fe80::2%eth2");
  }
  assert.match(refusalOf("auto", { lo, eth0, eth2 }, "IPv6").fact, /2 of /);
});

test("over IPv6 the loopback interface has its own address", () => {
  const expected = { name: "lo", address: "::1", loopback: true };
  assert.deepEqual(chooseInterface("loopback", { eth0, lo }, "IPv6"), expected);
  assert.deepEqual(chooseInterface("0::1", { eth0, lo }, "IPv6"), expected);
  assert.deepEqual(chooseInterface("loopback", {}, "IPv6"), expected);
});
