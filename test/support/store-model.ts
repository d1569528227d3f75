import { strict as assert } from "node:assert";
import { Counters } from "../../src/core/counters.ts";
import { leafLevel } from "../../src/core/store/digest-trie.ts";
import { isPast } from "../../src/core/store/expiry-wheel.ts";
import { forgetAtMs, isVisible } from "../../src/core/store/lifetime.ts";
import { Store, type StoreOptions } from "../../src/core/store/store.ts";
import { measureBytes, type StoredRecord } from "../../src/core/store/stored-record.ts";
import { fingerprintOf } from "../../src/session/fingerprint.ts";
import {
  findAttribute,
  hasLife,
  ownerName,
  type SessionDelta,
  type SessionState,
} from "../../src/session/record.ts";
import { hashKey } from "./hash-key.ts";
import { type Joined, joinOf, mergeInto } from "./session-arbitraries.ts";

export function storeWith(options: Partial<StoreOptions> = {}): Store {
  return new Store(
    {
      hashKey,
      bytesMax: 1 << 26,
      countMax: 100_000,
      tombstonesMax: 10_000,
      stubsMax: 10_000,
      tombstoneRetentionMs: 60_000,
      ...options,
    },
    new Counters(),
  );
}

/** Sessions in a plain map: what the store means, without its bounds and its bookkeeping. */
export class StoreModel {
  readonly records = new Map<string, Joined>();
  readonly #retentionMs: number;

  constructor(retentionMs: number) {
    this.#retentionMs = retentionMs;
  }

  apply(delta: SessionDelta, wallMs: number): void {
    const held = this.records.get(delta.id);
    if (held !== undefined) {
      mergeInto(held, delta);
      return;
    }
    const joined = joinOf([], delta.id);
    const changed = mergeInto(joined, delta);
    if (changed && !this.#isPast(joined.state, wallMs)) this.records.set(delta.id, joined);
  }

  sweep(wallMs: number): void {
    for (const [id, { state }] of this.records) {
      if (this.#isPast(state, wallMs)) this.records.delete(id);
    }
  }

  get digest() {
    const sum = { high: 0, low: 0 };
    for (const { state, idHash } of this.records.values()) {
      const { high, low } = fingerprintOf(state, idHash);
      sum.high ^= high;
      sum.low ^= low;
    }
    return sum;
  }

  get aliveCount(): number {
    return [...this.records.values()].filter(({ state }) => state.life.alive).length;
  }

  visibleAt(wallMs: number): string[] {
    const visible = [...this.records.values()].filter(({ state }) => isVisible(state, wallMs));
    return visible.map(({ state }) => state.id).sort();
  }

  #isPast(state: SessionState, wallMs: number): boolean {
    return isPast(forgetAtMs(state, this.#retentionMs), wallMs);
  }
}

/** By way of the digest, which is not zero where there are records: the leaves are many. */
export function recordsOf(store: Store, level = 0, prefix = 0): StoredRecord[] {
  if (level === leafLevel) return [...store.recordsOfLeaf(prefix)];
  const halves = store.trie.children(level, prefix);
  const found: StoredRecord[] = [];
  for (let child = 0; child < 16; child++) {
    if (halves[child * 2] === 0 && halves[child * 2 + 1] === 0) continue;
    found.push(...recordsOf(store, level + 1, prefix * 16 + child));
  }
  return found;
}

/** Everything that holds of a store whatever was done to it. */
export function assertSound(store: Store): void {
  const records = recordsOf(store);
  const digest = { high: 0, low: 0 };
  let alive = 0;
  let bytes = 0;
  for (const record of records) {
    const { high, low } = fingerprintOf(record, record.idHash);
    assert.deepEqual(record.fingerprint, { high, low }, "a fingerprint is that of its record");
    digest.high ^= high;
    digest.low ^= low;
    alive += Number(record.life.alive);
    assert.equal(store.lacks(record.id), !hasLife(record), "peers are asked for what has no life");
    assert.equal(store.find(record.id), record, "what hangs in a leaf is found by its id");
    const dead = !record.life.alive && record.life.stamp.time > 0;
    assert.equal(record.place, dead ? "tombstones" : "sessions");
    if (dead) continue;
    assert.equal(record.bytes, measureBytes(record));
    bytes += record.bytes;
  }
  let stubBytes = 0;
  let stubs = 0;
  for (let row = 0; row < store.stubs.rows; row++) {
    const stub = store.stubs.at(row);
    if (stub === undefined) continue;
    stubs += 1;
    stubBytes += stub.bytes;
    digest.high ^= stub.fingerprint.high;
    digest.low ^= stub.fingerprint.low;
    const held = store.recordsOfLeaf(stub.idHash.high >>> 16).map(({ idHash }) => idHash);
    const isHeld = held.some(
      ({ high, low }) => high === stub.idHash.high && low === stub.idHash.low,
    );
    assert.equal(isHeld, false, "what is held has no stub");
    const inLeaf = store.stubs.ofLeaf(stub.idHash.high >>> 16);
    assert(
      inLeaf.some(({ idHash }) => idHash.low === stub.idHash.low),
      "it hangs in its leaf",
    );
  }
  assert.equal(store.stubs.size, stubs);
  assert.equal(store.stubs.bytes, stubBytes);
  assert.equal(store.bytes, bytes, "the octets charged are those of the records");
  assert.deepEqual(store.trie.root, digest, "the digest is that of records and stubs");
  assert.equal(store.recordCount, records.length);
  assert.equal(store.live.size, alive);
  const isSure = stubs === 0 && !store.stubs.lackSome && records.every(hasLife);
  assert.equal(store.lackSome, !isSure, "what has gone is not asked for");
  assertIndexed(
    store,
    records.filter(({ life }) => life.alive),
  );
  assert.equal(new Set(records.map(({ id }) => id)).size, records.length);
}

/** The index of what is alive, against a look at all records. */
function assertIndexed(store: Store, alive: readonly StoredRecord[]): void {
  const ids = alive.map(({ id }) => id).sort();
  assert.deepEqual([...store.live.ids("", "", undefined)], ids);
  const owners = new Map<string, string[]>();
  for (const record of alive) {
    const owner = findAttribute(record, ownerName)?.value;
    assert.equal(record.owner, owner);
    if (owner !== undefined) owners.set(owner, [...(owners.get(owner) ?? []), record.id]);
  }
  for (const [owner, owned] of owners) {
    assert.deepEqual([...store.live.ids("", "", owner)], owned.sort());
  }
}
