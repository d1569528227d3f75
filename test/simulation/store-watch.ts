import type { SessionView } from "../../src/core/commands.ts";
import { isVisible } from "../../src/core/store/lifetime.ts";
import type { Store } from "../../src/core/store/store.ts";
import type { StoredRecord } from "../../src/core/store/stored-record.ts";
import { type Hash64, hashId } from "../../src/session/fingerprint.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import { stampsPerMs } from "../../src/session/stamp.ts";
import { clusterIdentity } from "../../src/wire/keyring.ts";
import type { Issued } from "./issued.ts";
import { cellsOf, grantedMs, isOver, lifeKey, ModelSession } from "./model.ts";
import { hold } from "./violation.ts";

interface Shadow {
  model: ModelSession;
  readonly record: StoredRecord;
  /** Wall time when it last changed: a late change may set an end that is over already. */
  readonly changedMs: number;
  /** As it was when it last changed, peers have all said that they do not have it. */
  isGone: boolean;
}

export interface WatchOptions {
  readonly label: string;
  readonly tombstoneRetentionMs: number;
  /** The node is too small for the workload: it may lose records, nobody else may. */
  readonly mayEvict: boolean;
  /** It is no member of the cluster: what it has seen has come to an end there only. */
  readonly foreign: boolean;
  /** The node's clock was set back: what it schedules meanwhile comes up late or early. */
  clockWasWrong(): boolean;
}

/**
 * Stands at the door of one node's store: keeps the join of all that was let in, by the model's own
 * rules, and demands after every step that the store holds exactly that, forgets nothing early and
 * keeps nothing late.
 */
export class StoreWatch {
  readonly #store: Store;
  readonly #issued: Issued;
  readonly #options: WatchOptions;
  readonly #shadows = new Map<string, Shadow>();
  /** The sessions that a client is just writing to. */
  #writing: readonly string[] = [];
  #written: SessionDelta[] = [];
  /** What had to go for lack of room, and when last. */
  readonly #evicted = new Map<string, { readonly model: ModelSession; readonly atMs: number }>();

  constructor(store: Store, issued: Issued, options: WatchOptions) {
    this.#store = store;
    this.#issued = issued;
    this.#options = options;
    const apply = store.apply.bind(store);
    store.apply = (delta, wallMs, held) =>
      this.#onApply(() => apply(delta, wallMs, held), delta, wallMs);
    const restamp = store.restamp.bind(store);
    store.restamp = (correction, wallMs) => {
      const outcome = restamp(correction, wallMs);
      this.#afterRestamp(correction.acceptedTime);
      return outcome;
    };
    const nobodyHas = store.nobodyHas.bind(store);
    store.nobodyHas = (id) => {
      nobodyHas(id);
      const shadow = this.#shadows.get(id);
      if (shadow !== undefined) shadow.isGone = true;
    };
    const sweep = store.sweep.bind(store);
    store.sweep = (wallMs) => {
      sweep(wallMs);
      this.#afterSweep(wallMs, store.isSweeping);
    };
  }

  /** Runs a client's command on some sessions; what it wrote, if anything, is returned too. */
  writing<T>(
    ids: readonly string[],
    command: () => T,
  ): { readonly outcome: T; readonly written: readonly SessionDelta[] } {
    this.#writing = ids;
    this.#written = [];
    const outcome = command();
    this.#writing = [];
    return { outcome, written: this.#written };
  }

  /** What this node knows of a session now; undefined: nothing. */
  known(id: string): ModelSession | undefined {
    const shadow = this.#shadows.get(id);
    return shadow === undefined || shadow.record.place === "none" ? undefined : shadow.model;
  }

  /** What this node has held of a session and evicted since; undefined: it did not. */
  evictedSince(id: string, sinceMs: number): ModelSession | undefined {
    const evicted = this.#evicted.get(id);
    return evicted !== undefined && evicted.atMs >= sinceMs ? evicted.model : undefined;
  }

  /** What has gone outside of a sweep has left a stub. After each turn of the node. */
  checkEvicted(nowMs: number, wallMs: number): void {
    const { label, mayEvict, tombstoneRetentionMs } = this.#options;
    if (!mayEvict) return;
    for (const [id, { model, record }] of this.#shadows) {
      if (record.place !== "none") continue;
      // It may have had to go more than once, and each time have held something else.
      const held = model.clone();
      held.joinCells(this.#evicted.get(id)?.model.cells ?? []);
      this.#evicted.set(id, { model: held, atMs: nowMs });
      this.#shadows.delete(id);
      const over = isOver(model.forgetAtMs(tombstoneRetentionMs), wallMs);
      const fact = () => `${label} evicted ${id} and does not know of it any more`;
      hold(over || this.#store.lacks(id), "evicted-is-known-of", fact);
    }
  }

  *all(): Generator<readonly [string, ModelSession]> {
    for (const [id, { model, record }] of this.#shadows) {
      if (record.place !== "none") yield [id, model];
    }
  }

  /** What a client was shown, against what it had to be shown. */
  checkView(id: string, view: SessionView | undefined, wallMs: number): void {
    const { label } = this.#options;
    const model = this.known(id);
    if (view === undefined) {
      const fact = () => `${label} hides ${id} too early`;
      hold(wallMs >= this.#certainUntilMs(id), "visible-until-its-end", fact);
      // An update without its create is proof that there was a session.
      const isPart = model !== undefined && !model.cells.has(lifeKey);
      const isGone = this.#shadows.get(id)?.isGone === true;
      hold(!isPart || isGone, "a-part-is-no-answer", () => `${label} denies ${id}, and has a part`);
      return;
    }
    const name = () => `${label} shows ${id}`;
    hold(model?.alive === true, "visible-only-alive", name);
    if (model === undefined) return;
    const endMs = model.forgetAtMs(this.#options.tombstoneRetentionMs);
    hold(wallMs < endMs, "hidden-after-its-end", name);
    const shown = view.attributes
      .flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]))
      .sort(([left], [right]) => (left < right ? -1 : 1));
    hold(sameLists(shown, model.shown), "shown-as-written", name);
  }

  /** Whether a client of this node may, and whether it must, find the session. */
  visibility(id: string, wallMs: number): { readonly may: boolean; readonly must: boolean } {
    const model = this.known(id);
    if (model === undefined || !model.alive) return { may: false, must: false };
    const endMs = model.forgetAtMs(this.#options.tombstoneRetentionMs);
    return { may: wallMs < endMs, must: wallMs < this.#certainUntilMs(id) };
  }

  /** The store's records, as far as their sessions are known here. */
  records(): StoredRecord[] {
    const leaves = new Set([...this.all()].map(([id]) => this.#store.leafOf(id)));
    return [...leaves].flatMap((leaf) => [...this.#store.recordsOfLeaf(leaf)]);
  }

  /** Each record of the store is known here, and the other way round. */
  checkAll(): void {
    let count = 0;
    for (const record of this.records()) {
      count += 1;
      const difference = this.known(record.id)?.difference(record);
      hold(difference === undefined, "store-is-the-join", () => `${record.id}: ${difference}`);
    }
    const known = [...this.all()].length;
    const fact = () => `${this.#options.label} holds ${count} records instead of ${known}`;
    hold(count === known && count === this.#store.recordCount, "store-is-the-join", fact);
  }

  #certainUntilMs(id: string): number {
    const model = this.known(id);
    if (model === undefined || !model.alive || this.#options.clockWasWrong()) return 0;
    const { idleMs, deadlineMs } = model.idle;
    const idleEndMs = deadlineMs === 0 ? Infinity : deadlineMs + grantedMs(idleMs);
    const { absoluteDeadlineMs } = model;
    return Math.min(idleEndMs, absoluteDeadlineMs === 0 ? Infinity : absoluteDeadlineMs);
  }

  #onApply(
    apply: () => ReturnType<Store["apply"]>,
    delta: SessionDelta,
    wallMs: number,
  ): ReturnType<Store["apply"]> {
    const { id } = delta;
    const { label } = this.#options;
    const cells = cellsOf(delta);
    const own = this.#noteWriter(delta, cells);
    const held = this.#held(id);
    const model = held?.model ?? new ModelSession();
    const changed = model.joinCells(cells);
    const over = isOver(model.forgetAtMs(this.#options.tombstoneRetentionMs), wallMs);
    const hasStub = this.#store.hasStub(id);
    const before = hasStub ? this.#store.stubs.find(this.#hash(id)) : undefined;
    const applied = apply();
    const name = () => `${label} with ${id}`;
    if (applied === undefined) {
      hold(held === undefined && (over || !changed), "taken-in-unless-over", name);
      return applied;
    }
    hold(held !== undefined || !over, "not-taken-in-when-over", name);
    hold(applied.changed === changed, "changed-as-told", name);
    const difference = model.difference(applied.record);
    hold(difference === undefined, "store-is-the-join", () => `${name()}: ${difference}`);
    const { high, low } = applied.record.fingerprint;
    // Unless it was just this part that the stub was of.
    const isSame = before?.fingerprint.high === high && before.fingerprint.low === low;
    const ends = own || !hasStub || delta.life !== undefined || isSame;
    hold(ends, "no-part-of-a-stub", () => `${name()} keeps a part of what it gave up`);
    if (own) {
      const lost = cells.find(([key, cell]) => model.cells.get(key) !== cell);
      hold(lost === undefined, "own-write-wins", () => `${name()}: ${lost?.[0]} was older`);
    }
    const changedMs = changed ? wallMs : (held?.changedMs ?? wallMs);
    const isGone = held?.isGone === true && !changed;
    this.#shadows.set(id, { model, record: applied.record, changedMs, isGone });
    const isShown = isVisible(applied.record, wallMs);
    hold(!isShown || model.cells.has(lifeKey), "nothing-shown-of-a-part", name);
    return applied;
  }

  #hash(id: string): Hash64 {
    return hashId(clusterIdentity("simulated").hashKey, id);
  }

  /** Whether the delta is a client's write on this node. */
  #noteWriter(delta: SessionDelta, cells: ReturnType<typeof cellsOf>): boolean {
    if (this.#writing.length === 0) {
      this.#issued.check(delta.id, cells);
      return false;
    }
    const { label } = this.#options;
    const name = () => `${label} wrote ${delta.id}`;
    hold(this.#writing.includes(delta.id), "writes-what-was-asked", name);
    this.#issued.add(delta.id, cells);
    this.#written.push(delta);
    return true;
  }

  #held(id: string): Shadow | undefined {
    const shadow = this.#shadows.get(id);
    if (shadow === undefined || shadow.record.place !== "none") return shadow;
    const { label, mayEvict } = this.#options;
    hold(mayEvict, "nothing-vanishes", () => `${label} lost ${id} outside of a sweep`);
    this.#shadows.delete(id);
    return undefined;
  }

  /** Stamps in the future are there no more; what they stamped, and its order, is as it was. */
  #afterRestamp(acceptedTime: number): void {
    const { label } = this.#options;
    for (const [id, shadow] of this.#shadows) {
      if (shadow.record.place === "none") continue;
      const model = new ModelSession();
      const cells = cellsOf(shadow.record);
      model.joinCells(cells);
      const name = () => `${label} with ${id}`;
      // Each goes a millisecond behind the one before, and the first behind what was accepted.
      const latest = acceptedTime + (cells.length + 1) * stampsPerMs;
      const late = cells.some(([, { time }]) => time > latest);
      hold(!late, "restamped-into-the-past", name);
      const same = sameOrder(shadow.model, model) && sameLists(shadow.model.shown, model.shown);
      hold(same && shadow.model.alive === model.alive, "restamping-changes-stamps-only", name);
      this.#issued.restamped(id, cells);
      shadow.model = model;
    }
  }

  /** `isPart`: more is to follow. */
  #afterSweep(wallMs: number, isPart: boolean): void {
    const { label, mayEvict, tombstoneRetentionMs } = this.#options;
    for (const [id, { model, record, changedMs }] of this.#shadows) {
      const endMs = model.forgetAtMs(tombstoneRetentionMs);
      if (record.place !== "none") {
        const late = !isPart && isOver(Math.max(endMs, changedMs), wallMs, 2);
        hold(
          !late || this.#options.clockWasWrong(),
          "forgotten-at-its-end",
          () => `${label} still keeps ${id}`,
        );
        continue;
      }
      const rule = model.dead ? "tombstone-kept" : "kept-until-its-end";
      hold(mayEvict || isOver(endMs, wallMs), rule, () => `${label} forgot ${id} early`);
      const counts = !this.#options.foreign && !this.#options.clockWasWrong();
      if (counts && isOver(endMs, wallMs)) this.#issued.ended(id, model);
      this.#shadows.delete(id);
    }
  }
}

/** Whether the same components follow each other in the same order. */
function sameOrder(left: ModelSession, right: ModelSession): boolean {
  const order = ({ cells }: ModelSession) =>
    [...cells]
      .sort(([key, one], [otherKey, other]) => {
        return one.time - other.time || one.tag - other.tag || (key < otherKey ? -1 : 1);
      })
      .map(([key]) => key)
      .join("\n");
  return order(left) === order(right);
}

function sameLists(
  left: readonly (readonly [string, string])[],
  right: readonly (readonly [string, string])[],
): boolean {
  return (
    left.length === right.length &&
    left.every(([name, value], index) => {
      const other = right[index];
      return other !== undefined && other[0] === name && other[1] === value;
    })
  );
}
