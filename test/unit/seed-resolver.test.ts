import assert from "node:assert/strict";
import { test } from "node:test";
import type { Family } from "../../src/net/interface-choice.ts";
import { SeedResolver, systemLookup } from "../../src/net/seed-resolver.ts";
import { limits } from "../../src/protocol/limits.ts";

/** A name server that the test writes, and what a resolver made of it. */
class Names {
  readonly records = new Map<string, readonly string[]>();
  readonly asked: string[] = [];
  readonly failures: string[] = [];
  told = 0;

  resolver(peers: readonly string[], family: Family = "IPv4"): SeedResolver {
    return new SeedResolver({
      peers,
      portDefault: 7,
      family,
      lookup: async (name) => {
        this.asked.push(name);
        const addresses = this.records.get(name);
        if (addresses === undefined) throw new Error(`ENOTFOUND ${name}`);
        return addresses;
      },
      onSeeds: () => {
        this.told += 1;
      },
      onFailure: (peer, reason) => this.failures.push(`${peer}: ${reason}`),
    });
  }
}

test("names lead to all their addresses, addresses to themselves, each once", async () => {
  const names = new Names();
  names.records.set("all", ["10.0.0.1", "10.0.0.2"]);
  const resolver = names.resolver(["all", "10.0.0.2", "10.0.0.3:9"]);
  await resolver.resolve();
  assert.deepEqual(resolver.addresses, ["10.0.0.1:7", "10.0.0.2:7", "10.0.0.3:9"]);
  assert.deepEqual(names.asked, ["all"]);
  assert.equal(names.told, 1);
});

test("a name that moves is followed", async () => {
  const names = new Names();
  names.records.set("all", ["10.0.0.1"]);
  const resolver = names.resolver(["all"]);
  await resolver.resolve();
  names.records.set("all", ["10.0.0.2"]);
  await resolver.resolve();
  assert.deepEqual(resolver.addresses, ["10.0.0.2:7"]);
});

test("a name server that is away changes nothing, and is complained about once", async () => {
  const names = new Names();
  names.records.set("all", ["10.0.0.1"]);
  const resolver = names.resolver(["all", "never"]);
  await resolver.resolve();
  names.records.delete("all");
  for (let times = 0; times < 3; times++) await resolver.resolve();
  assert.deepEqual(resolver.addresses, ["10.0.0.1:7"]);
  assert.deepEqual(names.failures, ["never: ENOTFOUND never", "all: ENOTFOUND all"]);
  assert.equal(resolver.counters.failures, 7);
  names.records.set("all", ["10.0.0.1"]);
  await resolver.resolve();
  names.records.delete("all");
  await resolver.resolve();
  assert.equal(names.failures.length, 3, "it is told again when it was found in between");
});

test("an address of the other family is a failure, and is not asked about", async () => {
  const names = new Names();
  const resolver = names.resolver(["10.0.0.1", "0::1", "[FD00::1]:9"], "IPv6");
  await resolver.resolve();
  assert.deepEqual(resolver.addresses, ["[::1]:7", "[fd00::1]:9"]);
  assert.deepEqual(names.failures, ["10.0.0.1: it is IPv4, and the interface is IPv6"]);
  assert.deepEqual(names.asked, []);
});

test("names are looked up when it is time to, and one at a time", async () => {
  const names = new Names();
  const resolver = names.resolver(["all"]);
  resolver.tick(5);
  resolver.tick(5 + limits.seedResolveEveryMs - 1);
  assert.deepEqual(names.asked, ["all"]);
  resolver.tick(5 + limits.seedResolveEveryMs);
  assert.deepEqual(names.asked, ["all"], "the first is still under way");
  await resolver.resolve();
  resolver.tick(5 + 2 * limits.seedResolveEveryMs);
  assert.deepEqual(names.asked, ["all", "all"]);
});

test("the system knows its own name", async () => {
  assert.deepEqual(new Set(await systemLookup("localhost", "IPv4")), new Set(["127.0.0.1"]));
  await assert.rejects(systemLookup("nowhere.invalid", "IPv4"));
});
