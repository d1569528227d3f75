import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lifetime, ListQuery } from "../../src/core/commands.ts";
import { Sessions } from "../../src/core/sessions.ts";
import { touchWindowMs, visibleUntilMs } from "../../src/core/store/lifetime.ts";
import type { Store } from "../../src/core/store/store.ts";
import { limits } from "../../src/protocol/limits.ts";
import { HybridClock } from "../../src/session/hybrid-clock.ts";
import { deltaSince, wholeDelta } from "../../src/session/record.ts";
import { compareStamps, type Stamp } from "../../src/session/stamp.ts";
import { storeWith } from "../support/store-model.ts";

const startMs = 1_800_000_000_000;
const idleMs = 1_800_000;
const nothingWritten = { applied: false, stamp: undefined, refusal: undefined };
const byDefault: Lifetime = { idleMs: undefined, absoluteMs: undefined };

/** One node: commands go in, what is to be sent comes out. */
class Node {
  readonly store: Store;
  readonly changes: { readonly id: string; readonly stamp: Stamp }[] = [];
  readonly sessions: Sessions;
  readonly tag: number;
  /** False: it is joining, and its peers hold what it does not know yet. */
  readonly moves: [string, string][] = [];
  complete = true;
  wallMs = startMs;

  constructor(tag = 1, countMax = 100_000) {
    this.tag = tag;
    this.store = storeWith({ countMax });
    this.sessions = new Sessions(
      { tag, idleMsDefault: idleMs, absoluteMsDefault: 0 },
      this.store,
      new HybridClock(limits.clockDriftMsMax),
      {
        changed: ({ id }, stamp) => this.changes.push({ id, stamp }),
        movedTogether: (source, target) => this.moves.push([source.id, target.id]),
        isComplete: () => this.complete,
      },
    );
  }

  create(id: string, values: Record<string, string> = {}, lifetime = byDefault) {
    return this.sessions.create(id, named(values), lifetime, this.wallMs);
  }

  set(id: string, values: Record<string, string>, lifetime = byDefault) {
    return this.sessions.set(id, named(values), lifetime, this.wallMs);
  }

  patch(
    id: string,
    values: Record<string, string>,
    unset: readonly string[] = [],
    ifStamp?: Stamp,
  ) {
    return this.sessions.patch(id, named(values), unset, this.wallMs, ifStamp);
  }

  touch(id: string, newIdleMs?: number) {
    return this.sessions.touch(id, newIdleMs, this.wallMs);
  }

  destroy(id: string) {
    return this.sessions.destroy(id, this.wallMs);
  }

  get(id: string) {
    return this.sessions.get(id, this.wallMs);
  }

  /** The visible values; undefined: no session. */
  values(id: string): Record<string, string> | undefined {
    const view = this.get(id);
    if (view === undefined) return undefined;
    const shown = view.attributes.filter(({ value }) => value !== undefined);
    return Object.fromEntries(shown.map(({ name, value }) => [name, value ?? ""]));
  }

  /** Gives a peer all that this node knows of a session. */
  sendTo(peer: Node, id: string): void {
    const record = this.store.find(id);
    assert(record !== undefined);
    const delta = wholeDelta(record);
    peer.store.apply({ ...delta, attributes: [...delta.attributes] }, peer.wallMs);
  }

  list(query: Partial<ListQuery>) {
    return this.sessions.list(
      { prefix: "", owner: undefined, limit: 1_000, cursor: "", ...query },
      this.wallMs,
    );
  }
}

function named(values: Record<string, string>) {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

test("a created session is there with its values, until its idle time is over", () => {
  const node = new Node();
  const outcome = node.create("s", { user: "u", cart: "" });
  assert.deepEqual([outcome.applied, outcome.refusal], [true, undefined]);
  assert.deepEqual(node.values("s"), { user: "u", cart: "" });
  assert.equal(node.get("s")?.expiresAtMs, startMs + idleMs);
  assert.deepEqual(node.get("s")?.stamp, outcome.stamp);
});

test("an id that is taken is refused, and the session is left as it was", () => {
  const node = new Node();
  node.create("s", { a: "1" });
  assert.equal(node.create("s", { a: "2" }).refusal, "exists");
  assert.deepEqual(node.values("s"), { a: "1" });
  assert.equal(node.changes.length, 1);
});

test("an id is free again once its session has been destroyed or is over", () => {
  const node = new Node();
  node.create("s", { a: "1", b: "1" });
  node.destroy("s");
  assert.equal(node.create("s", { a: "2" }).applied, true);
  assert.deepEqual(node.values("s"), { a: "2" });
  node.wallMs += idleMs + touchWindowMs(idleMs);
  assert.equal(node.create("s", { c: "3" }).applied, true);
  assert.deepEqual(node.values("s"), { c: "3" });
});

test("set starts a session that is not there", () => {
  const node = new Node();
  assert.equal(node.set("s", { a: "1" }).applied, true);
  assert.deepEqual(node.values("s"), { a: "1" });
});

test("set replaces all values, and those of the former content do not come back", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s", { a: "1", b: "1" });
  node.sendTo(peer, "s");
  node.wallMs += 10;
  node.set("s", { b: "2" });
  node.sendTo(peer, "s");
  assert.deepEqual(node.values("s"), { b: "2" });
  assert.deepEqual(peer.values("s"), { b: "2" });
  assert.equal(node.store.find("s")?.attributes.length, 1, "without removal markers");
});

test("set does not start a session whose id was destroyed: a slow request undoes no logout", () => {
  const node = new Node();
  node.create("s", { a: "1" });
  node.destroy("s");
  const before = node.changes.length;
  const outcome = node.set("s", { a: "2" });
  assert.deepEqual(outcome, nothingWritten);
  assert.equal(node.values("s"), undefined);
  assert.equal(node.changes.length, before);
});

test("patch and touch of a session that is not there, destroyed or over write nothing", () => {
  const node = new Node();
  node.create("gone");
  node.destroy("gone");
  node.create("over", {}, { idleMs: undefined, absoluteMs: 1_000 });
  node.wallMs += 1_000;
  const before = node.changes.length;
  for (const id of ["never", "gone", "over"]) {
    for (const outcome of [node.patch(id, { a: "1" }), node.touch(id)]) {
      assert.deepEqual(outcome, nothingWritten);
    }
  }
  assert.equal(node.changes.length, before);
});

test("destroy of what is known to be nowhere, or dead already, writes nothing", () => {
  const node = new Node();
  node.create("gone");
  node.destroy("gone");
  const before = node.changes.length;
  for (const id of ["never", "gone"]) assert.deepEqual(node.destroy(id), nothingWritten);
  assert.equal(node.changes.length, before);
});

test("destroy of a session that may be elsewhere leaves a tombstone and does not claim it", () => {
  const joining = new Node();
  joining.complete = false;
  const evicting = new Node(2, 1);
  evicting.create("evicted");
  evicting.create("other");
  const over = new Node(3);
  over.create("over", {}, { idleMs: undefined, absoluteMs: 1_000 });
  over.wallMs += 1_000;
  const cases = [
    [joining, "unknown"],
    [evicting, "evicted"],
    [over, "over"],
  ] as const;
  for (const [node, id] of cases) {
    const outcome = node.destroy(id);
    assert.equal(outcome.applied, false, id);
    assert.deepEqual(node.changes.at(-1), { id, stamp: outcome.stamp });
    assert.equal(node.store.find(id)?.place, "tombstones");
  }
});

test("a destroy that overtook the create of its session keeps it destroyed", () => {
  const node = new Node();
  const peer = new Node(2);
  peer.complete = false;
  node.create("s", { a: "1" });
  peer.wallMs += 5;
  peer.destroy("s");
  node.sendTo(peer, "s");
  assert.equal(peer.values("s"), undefined);
});

test("patch changes what it names and leaves the rest", () => {
  const node = new Node();
  node.create("s", { a: "1", b: "1", c: "1" });
  const outcome = node.patch("s", { b: "2", d: "2" }, ["c", "unknown"]);
  assert.equal(outcome.applied, true);
  assert.deepEqual(node.values("s"), { a: "1", b: "2", d: "2" });
  assert.deepEqual(node.changes.at(-1), { id: "s", stamp: outcome.stamp });
});

test("a removed attribute leaves a marker, so that an older write cannot undo it", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s", { a: "1" });
  node.sendTo(peer, "s");
  peer.patch("s", { a: "2" });
  node.wallMs += 10;
  node.patch("s", {}, ["a"]);
  peer.sendTo(node, "s");
  node.sendTo(peer, "s");
  assert.deepEqual([node.values("s"), peer.values("s")], [{}, {}]);
});

test("all changes of one request share one stamp, later than every one before", () => {
  const node = new Node();
  node.create("s", { a: "1" });
  const { stamp } = node.patch("s", { b: "1", c: "1" }, ["a"]);
  assert(stamp !== undefined);
  for (const attribute of node.store.find("s")?.attributes ?? []) {
    assert.deepEqual(attribute.stamp, stamp);
  }
  const [first, second] = node.changes;
  assert(first !== undefined && second !== undefined);
  assert(compareStamps(second.stamp, first.stamp) > 0);
});

test("a session that would be too large is refused and left as it was", () => {
  const node = new Node();
  assert.equal(node.create("s", { a: "v".repeat(limits.sessionBytesMax) }).refusal, "too_large");
  assert.equal(node.values("s"), undefined);
  const half = "v".repeat(limits.sessionBytesMax / 2);
  node.create("s", { a: half });
  assert.equal(node.patch("s", { b: half }).refusal, "too_large");
  assert.equal(node.set("s", { b: half, c: half }).refusal, "too_large");
  assert.deepEqual(Object.keys(node.values("s") ?? {}), ["a"]);
  assert.equal(node.patch("s", { b: half }, ["a"]).applied, true);
});

test("more attributes than a session may have are refused", () => {
  const node = new Node();
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, "v"]));
  const max = limits.attributesPerSessionMax;
  assert.equal(node.create("s", many(max + 1)).refusal, "too_many_attributes");
  assert.equal(node.create("s", many(max)).applied, true);
  assert.equal(node.patch("s", { more: "v" }).refusal, "too_many_attributes");
  assert.equal(node.patch("s", { more: "v" }, ["a0"]).applied, true);
});

test("an empty id is refused", () => {
  assert.equal(new Node().create("", {}).refusal, "bad_id");
});

test("removal markers that pile up are shed by rewriting the session without them", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s", { kept: "k" });
  for (let number = 0; number <= limits.removalsPerSessionMax; number++) {
    node.wallMs += 1;
    node.patch("s", { [`a${number}`]: "v" });
    node.patch("s", {}, [`a${number}`]);
    assert((node.store.find("s")?.attributes.length ?? 0) <= limits.removalsPerSessionMax + 2);
  }
  assert.deepEqual(
    node.store.find("s")?.attributes.map(({ name }) => name),
    ["kept"],
  );
  node.sendTo(peer, "s");
  assert.deepEqual(peer.values("s"), { kept: "k" });
});

test("a touch within the window is noted here alone, and granted here as everywhere", () => {
  const node = new Node();
  node.create("s");
  node.wallMs += touchWindowMs(idleMs);
  const outcome = node.touch("s");
  assert.deepEqual(outcome, { applied: true, stamp: undefined, refusal: undefined });
  assert.equal(node.changes.length, 1);
  assert.equal(node.get("s")?.expiresAtMs, node.wallMs + idleMs);
  node.wallMs += idleMs - 1;
  assert.notEqual(node.get("s"), undefined);
  node.wallMs += 1;
  assert.equal(node.get("s"), undefined);
});

test("a node that used a session grants it for uses elsewhere that were not replicated", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s");
  node.sendTo(peer, "s");
  node.wallMs += 1_000;
  node.touch("s");
  peer.wallMs += touchWindowMs(idleMs);
  assert.equal(peer.touch("s").stamp, undefined);
  node.wallMs = peer.wallMs + idleMs - 1;
  assert.notEqual(node.get("s"), undefined);
});

test("a touch beyond the window is replicated", () => {
  const node = new Node();
  node.create("s");
  node.wallMs += touchWindowMs(idleMs) + 1;
  assert.notEqual(node.touch("s").stamp, undefined);
  assert.equal(node.changes.length, 2);
  assert.equal(node.store.find("s")?.expiry.idleDeadlineMs, node.wallMs + idleMs);
});

test("a touch that changes the idle time is replicated at once", () => {
  const node = new Node();
  node.create("s");
  assert.notEqual(node.touch("s", 60_000).stamp, undefined);
  assert.equal(node.get("s")?.expiresAtMs, startMs + 60_000);
  assert.notEqual(node.touch("s", 0).stamp, undefined);
  assert.equal(node.get("s")?.expiresAtMs, 0);
});

test("a peer grants the window, so it never ends a session before the touched node", () => {
  for (const idle of [1_000, 20_000, 60_000, idleMs, 86_400_000]) {
    const node = new Node();
    const peer = new Node(2);
    node.create("s", {}, { idleMs: idle, absoluteMs: undefined });
    node.sendTo(peer, "s");
    for (let step = 0; step < 40; step++) {
      node.wallMs += Math.floor(touchWindowMs(idle) / 3);
      if (node.touch("s").stamp !== undefined) node.sendTo(peer, "s");
      const record = peer.store.find("s");
      assert(record !== undefined);
      const exact = node.get("s")?.expiresAtMs ?? 0;
      const granted = visibleUntilMs(record);
      assert(granted >= exact, `idle ${idle}: ${granted - exact}`);
      assert(granted <= exact + touchWindowMs(idle));
    }
  }
});

test("a write counts as a use", () => {
  const node = new Node();
  node.create("s", { a: "1" });
  node.wallMs += 1_000;
  node.patch("s", { a: "2" });
  assert.equal(node.get("s")?.expiresAtMs, node.wallMs + idleMs);
  node.wallMs += 1_000;
  node.set("s", { a: "3" });
  assert.equal(node.get("s")?.expiresAtMs, node.wallMs + idleMs);
});

test("a peer's later use replaces what this node knew exactly", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s");
  node.sendTo(peer, "s");
  node.wallMs += 1_000;
  node.touch("s");
  peer.wallMs += 2 * touchWindowMs(idleMs);
  peer.touch("s");
  peer.sendTo(node, "s");
  assert.equal(node.get("s")?.expiresAtMs, peer.wallMs + idleMs);
});

test("the absolute deadline ends a session however much it is used", () => {
  const node = new Node();
  node.create("s", {}, { idleMs: 60_000, absoluteMs: 100_000 });
  for (let step = 0; step < 9; step++) {
    node.wallMs += 10_000;
    assert.equal(node.touch("s").applied, true);
  }
  assert.equal(node.get("s")?.expiresAtMs, startMs + 100_000);
  node.wallMs = startMs + 99_999;
  assert.notEqual(node.get("s"), undefined);
  node.wallMs += 1;
  assert.equal(node.get("s"), undefined);
});

test("a session without limits never ends", () => {
  const node = new Node();
  node.create("s", {}, { idleMs: 0, absoluteMs: 0 });
  assert.equal(node.get("s")?.expiresAtMs, 0);
  node.wallMs += 10 ** 12;
  node.store.sweep(node.wallMs);
  assert.notEqual(node.get("s"), undefined);
});

test("destroy removes the values and leaves a tombstone for the peers", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s", { a: "1" });
  node.sendTo(peer, "s");
  node.destroy("s");
  node.sendTo(peer, "s");
  for (const each of [node, peer]) {
    assert.equal(each.values("s"), undefined);
    assert.deepEqual(each.store.find("s")?.attributes, []);
    assert.equal(each.store.tombstoneCount, 1);
  }
});

test("an update that races with a destroy stays invisible, whichever arrives first", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s", { a: "1" });
  node.sendTo(peer, "s");
  node.destroy("s");
  peer.wallMs += 5_000;
  peer.patch("s", { a: "late" });
  peer.sendTo(node, "s");
  node.sendTo(peer, "s");
  assert.deepEqual([node.values("s"), peer.values("s")], [undefined, undefined]);
});

test("concurrent writes to different attributes on different nodes all survive", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("s", { a: "1", b: "1" });
  node.sendTo(peer, "s");
  node.patch("s", { a: "2" });
  peer.patch("s", { b: "2" });
  node.sendTo(peer, "s");
  peer.sendTo(node, "s");
  assert.deepEqual(node.values("s"), { a: "2", b: "2" });
  assert.deepEqual(peer.values("s"), { a: "2", b: "2" });
});

test("what is due to be sent is what the write changed, and nothing else", () => {
  const node = new Node(9);
  node.create("s", { a: "1" });
  node.wallMs += 1;
  const { stamp } = node.patch("s", { b: "2" });
  const record = node.store.find("s");
  assert(record !== undefined && stamp !== undefined);
  const sent = deltaSince(record, stamp);
  assert.deepEqual([sent.life, sent.floor, sent.expiry], [undefined, undefined, undefined]);
  assert.deepEqual(sent.attributes, [{ name: "b", stamp, value: "2" }]);
});

test("a list shows each visible session once, page by page, whatever the size of the page", () => {
  const node = new Node();
  const ids = Array.from({ length: 100 }, (_, index) => `session-${index}`);
  for (const id of ids) node.create(id);
  node.destroy("session-3");
  node.create("short", {}, { idleMs: 1, absoluteMs: undefined });
  node.wallMs += 1;
  for (const limit of [1, 7, 99, 100, 1_000]) {
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = node.list({ limit, cursor });
      assert(page.sessions.length <= limit);
      seen.push(...page.sessions.map(({ id }) => id));
      cursor = page.cursor;
    } while (cursor !== "");
    assert.deepEqual(seen.toSorted(), ids.filter((id) => id !== "session-3").toSorted());
  }
});

test("a list of a prefix shows only ids that begin with it, and when they end", () => {
  const node = new Node();
  for (const id of ["a-1", "a-2", "b-1", "xa-1"]) node.create(id);
  const { sessions, cursor } = node.list({ prefix: "a-" });
  assert.deepEqual(sessions.map(({ id }) => id).sort(), ["a-1", "a-2"]);
  assert.deepEqual(
    sessions.map(({ expiresAtMs }) => expiresAtMs),
    [startMs + idleMs, startMs + idleMs],
  );
  assert.equal(cursor, "");
});

test("a cursor stays valid when its session is gone and others come meanwhile", () => {
  const node = new Node();
  const ids = Array.from({ length: 50 }, (_, index) => `session-${index}`);
  for (const id of ids) node.create(id);
  const first = node.list({ limit: 20 });
  node.destroy(first.cursor);
  for (let number = 0; number < 50; number++) node.create(`new-${number}`);
  const rest = node.list({ cursor: first.cursor });
  const seen = [...first.sessions, ...rest.sessions].map(({ id }) => id);
  assert.equal(new Set(seen).size, seen.length);
  assert(ids.every((id) => seen.includes(id)));
});

test("one call looks at a bounded number of sessions and says where to go on", () => {
  const node = new Node();
  const count = limits.listScanMax + 10;
  for (let number = 0; number < count; number++) node.create(`s${number}`);
  // They are over, and have not been swept.
  node.wallMs += idleMs + touchWindowMs(idleMs);
  const page = node.list({});
  assert.deepEqual(page.sessions, []);
  assert.notEqual(page.cursor, "");
  assert.equal(node.list({ cursor: page.cursor }).cursor, "");
});

test("a list is in the order of the ids, and looks at no others than those of the prefix", () => {
  const node = new Node();
  for (let number = 0; number < limits.listScanMax + 10; number++) node.create(`s${number}`);
  for (const id of ["t-b", "t-", "t-a", "t", "u"]) node.create(id);
  const page = node.list({ prefix: "t-", limit: 2 });
  assert.deepEqual(
    page.sessions.map(({ id }) => id),
    ["t-", "t-a"],
  );
  const rest = node.list({ prefix: "t-", cursor: page.cursor });
  assert.deepEqual([rest.sessions.map(({ id }) => id), rest.cursor], [["t-b"], ""]);
});

test("the sessions of an owner are listed, whoever wrote it, and change hands", () => {
  const node = new Node(1);
  const peer = new Node(2);
  const owned = (of: Node, owner: string) => of.list({ owner }).sessions.map(({ id }) => id);
  for (const id of ["s-2", "s-1", "s-3"]) node.create(id, { "": "ada" });
  node.create("other");
  for (const id of ["s-1", "s-2", "s-3"]) node.sendTo(peer, id);
  assert.deepEqual(owned(peer, "ada"), ["s-1", "s-2", "s-3"]);
  assert.deepEqual(owned(node, "bob"), []);
  node.patch("s-1", { "": "bob" });
  node.patch("s-2", {}, [""]);
  assert.deepEqual([owned(node, "ada"), owned(node, "bob")], [["s-3"], ["s-1"]]);
  const page = peer.list({ owner: "ada", limit: 2 });
  assert.deepEqual(
    page.sessions.map(({ id }) => id),
    ["s-1", "s-2"],
  );
  assert.deepEqual(peer.list({ owner: "ada", cursor: page.cursor }).sessions.length, 1);
  assert.deepEqual(peer.list({ owner: "ada", prefix: "s-3" }).sessions.length, 1);
});

test("a replace and a rotate leave a session whose it is", () => {
  const node = new Node();
  node.create("s", { "": "ada", a: "1" });
  node.set("s", { b: "2" });
  assert.deepEqual(node.values("s"), { "": "ada", b: "2" });
  node.set("s", { "": "bob" });
  assert.deepEqual(node.values("s"), { "": "bob" });
  node.sessions.rotate("s", "t", node.wallMs);
  assert.deepEqual(
    node.list({ owner: "bob" }).sessions.map(({ id }) => id),
    ["t"],
  );
});

test("all sessions of an owner end but one, and those of others stay", () => {
  const node = new Node(1);
  const peer = new Node(2);
  for (const id of ["s-1", "s-2", "s-3"]) node.create(id, { "": "ada" });
  node.create("other", { "": "bob" });
  const { count, stamp, complete } = node.sessions.destroyAll("ada", "s-2", node.wallMs);
  assert.deepEqual([count, complete], [2, true]);
  assert.notEqual(stamp, undefined);
  for (const id of ["s-1", "s-2", "s-3", "other"]) node.sendTo(peer, id);
  for (const each of [node, peer]) {
    assert.deepEqual(
      each.list({}).sessions.map(({ id }) => id),
      ["other", "s-2"],
    );
  }
  const again = node.sessions.destroyAll("ada", "s-2", node.wallMs);
  assert.deepEqual([again.count, again.stamp], [0, undefined]);
});

test("a node that had to give up sessions says that it cannot tell whose they were", () => {
  const node = new Node(1, 2);
  for (const id of ["s-1", "s-2", "s-3"]) node.create(id, { "": "ada" });
  const { count, complete } = node.sessions.destroyAll("ada", undefined, node.wallMs);
  assert.deepEqual([count, complete], [2, false]);
});

test("one call ends a bounded number of sessions, and says that there are more", () => {
  const node = new Node();
  const count = limits.destroyAllPerTurnMax + 5;
  for (let number = 0; number < count; number++) node.create(`s${number}`, { "": "ada" });
  const first = node.sessions.destroyAll("ada", "s7", node.wallMs);
  assert.deepEqual([first.count, first.more], [limits.destroyAllPerTurnMax, true]);
  const second = node.sessions.destroyAll("ada", "s7", node.wallMs);
  assert.deepEqual([second.count, second.more], [4, false]);
  assert.deepEqual(
    node.list({}).sessions.map(({ id }) => id),
    ["s7"],
  );
});

test("an owner is none of the attributes that are counted", () => {
  const node = new Node();
  const most = Array.from({ length: limits.attributesPerSessionMax }, (_, index) => [
    `a${index}`,
    "",
  ]);
  assert.equal(node.create("s", { ...Object.fromEntries(most), "": "ada" }).refusal, undefined);
});

test("a patch that changes nothing has no stamp, so that none is asked for that nobody has", () => {
  const node = new Node();
  const { stamp } = node.create("s", { a: "1" });
  const outcome = node.patch("s", {}, ["b"]);
  assert.deepEqual([outcome.applied, outcome.stamp], [true, undefined]);
  assert.equal(node.patch("s", { a: "2" }, [], stamp).applied, true);
});

test("an observer is told what became of a session, and of nothing else", () => {
  const node = new Node(1, 2);
  const told: string[] = [];
  node.store.observer = (id, change) => told.push(`${change} ${id}`);
  node.create("s", { a: "1" }, { idleMs: 10, absoluteMs: undefined });
  node.patch("s", { a: "2" });
  node.touch("s", 20);
  node.destroy("s");
  node.create("s");
  node.create("t", {}, { idleMs: 1, absoluteMs: undefined });
  node.wallMs += 10_000;
  node.create("t");
  node.create("u");
  assert.deepEqual(told, [
    ...["created s", "changed s", "touched s", "destroyed s", "created s", "created t"],
    ...["created t", "created u", "evicted s"],
  ]);
});

test("a use that comes with a whole record is told as a use", () => {
  const node = new Node(1);
  const peer = new Node(2);
  const told: string[] = [];
  node.create("s", { a: "1" });
  node.sendTo(peer, "s");
  peer.store.observer = (id, change) => told.push(`${change} ${id}`);
  node.touch("s", 20_000);
  node.sendTo(peer, "s");
  node.sendTo(peer, "s");
  node.patch("s", { a: "2" });
  node.touch("s", 30_000);
  node.sendTo(peer, "s");
  node.patch("s", {}, ["a"]);
  node.sendTo(peer, "s");
  assert.deepEqual(told, ["touched s", "changed s", "changed s"]);
});

test("a patch that names a stamp is refused once another write came", () => {
  const node = new Node(1);
  const peer = new Node(2);
  const { stamp } = node.create("s", { a: "1" });
  node.touch("s");
  assert.equal(node.patch("s", { a: "2" }, [], stamp).applied, true);
  assert.equal(node.patch("s", { a: "3" }, [], stamp).refusal, "changed");
  assert.deepEqual(node.values("s"), { a: "2" });
  node.sendTo(peer, "s");
  const shown = peer.get("s")?.stamp;
  peer.wallMs += 1;
  assert.equal(peer.patch("s", { b: "1" }, [], shown).applied, true);
  peer.sendTo(node, "s");
  assert.equal(node.patch("s", { a: "4" }, [], shown).refusal, "changed");
});

test("rotate moves all that a session holds to a new id, and the old id is dead", () => {
  const node = new Node();
  const peer = new Node(2);
  node.create("old", { a: "1", b: "2" }, { idleMs: 60_000, absoluteMs: 100_000 });
  node.patch("old", {}, ["b"]);
  node.wallMs += 30_000;
  const outcome = node.sessions.rotate("old", "new", node.wallMs);
  assert.equal(outcome.applied, true);
  assert.deepEqual(node.values("new"), { a: "1" });
  assert.equal(node.get("new")?.expiresAtMs, node.wallMs + 60_000, "it counts as a use");
  assert.equal(node.values("old"), undefined);
  assert.deepEqual(node.moves, [["old", "new"]]);
  const [old, moved] = [node.store.find("old"), node.store.find("new")];
  assert.equal(old?.place, "tombstones");
  assert.deepEqual(old?.life.stamp, moved?.life.stamp, "one write, one stamp");
  assert.equal(moved?.life.absoluteDeadlineMs, startMs + 100_000, "its absolute end stays");
  for (const id of ["old", "new"]) node.sendTo(peer, id);
  assert.deepEqual([peer.values("old"), peer.values("new")], [undefined, { a: "1" }]);
  assert.deepEqual(node.set("old", { late: "x" }), nothingWritten);
});

test("rotate needs a session of the old id and none of the new", () => {
  const node = new Node();
  const rotate = (id: string, newId: string) => node.sessions.rotate(id, newId, node.wallMs);
  assert.deepEqual(rotate("never", "new"), nothingWritten);
  node.create("a", { of: "a" });
  node.create("b", { of: "b" });
  assert.equal(rotate("a", "b").refusal, "exists");
  assert.equal(rotate("a", "a").refusal, "exists");
  assert.deepEqual([node.values("a"), node.values("b")], [{ of: "a" }, { of: "b" }]);
  node.destroy("b");
  assert.equal(rotate("a", "b").applied, true);
  assert.deepEqual([node.values("a"), node.values("b")], [undefined, { of: "a" }]);
});

test("rotate in a store that is full evicts neither half of itself wrongly", () => {
  const node = new Node(1, 1);
  node.create("a", { of: "a" });
  assert.equal(node.sessions.rotate("a", "b", node.wallMs).applied, true);
  assert.deepEqual(node.values("b"), { of: "a" });
  assert.equal(node.store.find("a")?.place, "tombstones");
});
