/**
 * The octets of the protocol, frozen. A change that makes one of these tests fail is a change of
 * the protocol: it needs a new version, not new vectors.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { hashComponent, hashId } from "../../src/session/fingerprint.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { deltaCodec } from "../../src/wire/delta-codec.ts";
import { clusterIdentity, Keyring } from "../../src/wire/keyring.ts";
import {
  deltaFromJson,
  deltaToJson,
  frameFromJson,
  frameToJson,
  hashHex,
  readVectors,
} from "../support/golden-form.ts";

const vectors = readVectors();

for (const { name, secret, checkKey: check, ...identity } of vectors.clusters) {
  const sealed = secret === null ? undefined : Buffer.from(secret, "hex");
  test(`the ${sealed ? "sealed" : "open"} cluster "${name}" has its tag and hash key`, () => {
    const checkKey = check === null ? undefined : Buffer.from(check, "hex");
    assert.deepEqual(clusterIdentity(name, sealed), { name, ...identity, checkKey });
  });
}

for (const { key, id, idHash, component, name, time, tag, hash } of vectors.hashes) {
  test(`the hash of ${component} "${name}" of "${id}" at ${time}/${tag} is ${hash}`, () => {
    const hashed = hashId(key, id);
    assert.equal(hashHex(hashed), idHash);
    assert.equal(hashHex(hashComponent(hashed, component, name, { time, tag })), hash);
  });
}

for (const { name, deltas, hex } of vectors.blocks) {
  test(`block "${name}" is written as its octets`, () => {
    const packer = deltaCodec.packer();
    for (const delta of deltas) packer.add(deltaFromJson(delta), Number.POSITIVE_INFINITY);
    assert.equal(Buffer.from(packer.take()).toString("hex"), hex);
  });

  test(`the octets of block "${name}" are read as its deltas`, () => {
    const read = deltaCodec.decode(Buffer.from(hex, "hex"));
    assert.deepEqual(read?.map(deltaToJson), deltas);
  });
}

for (const { name, cluster, boot, counter, clock, frames, hex } of vectors.datagrams) {
  test(`datagram "${name}" is written as its octets`, () => {
    const codec = new DatagramCodec(boot, clusterIdentity(cluster));
    const written = frames.map(frameFromJson);
    for (let before = 1; before < counter; before++) codec.encode(written, clock);
    assert.equal(codec.encode(written, clock).toString("hex"), hex);
  });

  test(`the octets of datagram "${name}" are read as its frames`, () => {
    const codec = new DatagramCodec("f".repeat(24), clusterIdentity(cluster));
    const bytes = Buffer.from(hex, "hex");
    const opened = codec.decode(bytes, 0);
    assert(opened.ok);
    const { datagram } = opened;
    assert.deepEqual([datagram.boot, datagram.counter, datagram.clock], [boot, counter, clock]);
    assert.deepEqual(datagram.frames.map(frameToJson), frames);
  });
}

for (const { name, cluster, secret, key, fingerprint, boot, clock, frames, hex } of vectors.seals) {
  const identity = Buffer.from(secret, "hex");
  const material = { identity, use: Buffer.from(key, "hex"), open: [] };
  const ring = new Keyring(material);
  const codecOf = (sender: string) =>
    new DatagramCodec(sender, clusterIdentity(cluster, identity), ring);

  test(`${name} is sealed as its octets`, () => {
    assert.deepEqual(ring.fingerprints, [fingerprint]);
    assert.equal(codecOf(boot).encode(frames.map(frameFromJson), clock).toString("hex"), hex);
  });

  test(`the octets of ${name} are opened as its frames`, () => {
    const opened = codecOf("f".repeat(24)).decode(Buffer.from(hex, "hex"), 0);
    assert(opened.ok);
    const { datagram } = opened;
    assert.deepEqual([datagram.boot, datagram.counter, datagram.clock], [boot, 1, clock]);
    assert.deepEqual(datagram.frames.map(frameToJson), frames);
  });
}

test("the limits that the specification names have the values that it says", () => {
  const page = readFileSync(join(process.cwd(), "src", "protocol", "PROTOCOL.md"), "utf8");
  let compared = 0;
  for (const [, names = "", values = ""] of page.matchAll(/\| (`[^|]+`) \| ([\d ,]+) (?=\|)/g)) {
    const named = [...names.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
    const stated = values.split(/,/).map((value) => Number(value.replaceAll(" ", "")));
    if (named.length !== stated.length) continue;
    for (const [index, name] of named.entries()) {
      assert.equal(Object.entries(limits).find(([key]) => key === name)?.[1], stated[index], name);
      compared += 1;
    }
  }
  assert(compared > 45, `${compared} limits compared`);
});

test("every kind of frame has a vector", () => {
  const covered = new Set(vectors.datagrams.flatMap(({ frames }) => frames.map(({ tag }) => tag)));
  for (const [name, tag] of Object.entries(Tag)) assert(covered.has(tag), `no vector of ${name}`);
});

test("the numbers of frames are those of protocol version 1", () => {
  assert.deepEqual(Object.entries(Tag), [
    ["heartbeat", 1],
    ["leave", 2],
    ["ping", 3],
    ["ack", 4],
    ["delta", 5],
    ["fragment", 6],
    ["nak", 7],
    ["nakMiss", 8],
    ["digest", 9],
    ["want", 10],
    ["offer", 11],
    ["chunk", 12],
    ["credit", 13],
    ["fetch", 14],
    ["found", 15],
    ["absent", 16],
    ["confirm", 17],
    ["confirmed", 18],
    ["copies", 19],
    ["evicted", 20],
    ["leaves", 21],
    ["suspect", 22],
    ["pingRequest", 23],
    ["vouch", 24],
  ]);
});
