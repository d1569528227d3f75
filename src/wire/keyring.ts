import { createHash, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { assert } from "../base/assert.ts";
import type { HashKey } from "../session/fingerprint.ts";

/** The secrets of a cluster, 32 octets each. They are read from a file and never sent. */
export interface KeyMaterial {
  /** The same on all nodes for the life of the cluster; no datagram is sealed with it. */
  readonly identity: Buffer;
  /** Seals, and opens. */
  readonly use: Buffer;
  /** Open only: keys about to be used, or about to be retired. */
  readonly open: readonly Buffer[];
}

export const keyBytes = 32;

/** What tells clusters apart; the hash key also keeps outsiders from aiming at digests. */
export interface ClusterIdentity {
  readonly name: string;
  readonly clusterTag: number;
  readonly hashKey: HashKey;
  /** Eight octets; see `HeaderCheck`. Undefined: datagrams are not sealed. */
  readonly checkKey: Buffer | undefined;
}

/**
 * Derived from the cluster's name and its identity secret, which a rotation of keys leaves alone:
 * were it derived from a key, all digests would change with it. Without a secret (plaintext) it is
 * derived from the name alone, and known to whoever knows that.
 */
export function clusterIdentity(name: string, secret?: Buffer): ClusterIdentity {
  const purpose = `sessioncast cluster ${name}`;
  const derived =
    secret === undefined
      ? createHash("sha256").update(purpose).digest()
      : derive(secret, purpose, 18);
  return {
    name,
    clusterTag: derived.readUInt16BE(0),
    hashKey: { high: derived.readUInt32BE(2), low: derived.readUInt32BE(6) },
    checkKey: secret === undefined ? undefined : derived.subarray(10, 18),
  };
}

/** One key that this node holds. Printing it shows its name and nothing of it. */
export interface Key {
  /** What operators call it: eight hex digits. Heartbeats name keys so. */
  readonly fingerprint: number;
  readonly secret: KeyObject;
}

/** The keys of one node at one time: one seals, all open. */
export class Keyring {
  readonly use: Key;
  readonly #byMark = new Map<number, Key>();

  constructor(material: KeyMaterial) {
    this.use = keyOf(material.use);
    for (const key of [this.use, ...material.open.map(keyOf)]) {
      assert(!this.#byMark.has(markOf(key)), "the keys of a ring have marks of their own");
      this.#byMark.set(markOf(key), key);
    }
  }

  /** Names of all keys; the one that seals comes first. */
  get fingerprints(): number[] {
    return [...this.#byMark.values()].map(({ fingerprint }) => fingerprint);
  }

  /** The key that a header names. Undefined: this node does not hold it. */
  find(mark: number): Key | undefined {
    return this.#byMark.get(mark);
  }
}

/** How a header names a key: the upper half of its fingerprint. */
export function markOf({ fingerprint }: Pick<Key, "fingerprint">): number {
  return fingerprint >>> 16;
}

export function fingerprintOfKey(key: Buffer): number {
  return derive(key, "sessioncast key id 1", 4).readUInt32BE(0);
}

const noSalt = Buffer.alloc(0);

/** HKDF-SHA256 (RFC 5869). */
export function derive(
  secret: Buffer | KeyObject,
  purpose: string,
  length: number,
  salt: Uint8Array = noSalt,
): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, purpose, length));
}

function keyOf(key: Buffer): Key {
  return { fingerprint: fingerprintOfKey(key), secret: createSecretKey(key) };
}
