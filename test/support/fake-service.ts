import type { HelloReply, KeyNames, SessionService } from "../../src/api/service.ts";
import type {
  AckRequest,
  DestroyedAll,
  Lifetime,
  ListPage,
  ListQuery,
  NamedValue,
  SessionView,
  WriteOutcome,
} from "../../src/core/commands.ts";
import type { Change, Observer } from "../../src/core/store/change.ts";
import { ownerName, type Value } from "../../src/session/record.ts";
import { compareStamps, type Stamp } from "../../src/session/stamp.ts";

interface FakeSession {
  readonly attributes: Map<string, Value>;
  idleMs: number;
  absoluteDeadlineMs: number;
  deadlineMs: number;
  stamp: Stamp;
}

const idleMsDefault = 1_800_000;
const attributesMax = 16;
const refused = { applied: false, stamp: undefined } as const;
const nothingWritten: WriteOutcome = { ...refused, refusal: undefined };

/** What the service promises, in memory and for one node; the test moves its clock. */
export class FakeService implements SessionService {
  readonly calls: string[] = [];
  /** Of which sessions it was told together that commands on them follow. */
  readonly prefetched: string[][] = [];
  state = "ready";
  nowMs = Date.now();
  readonly #sessions = new Map<string, FakeSession>();
  readonly #destroyed = new Set<string>();
  #writes = 0;
  #observer: Observer | undefined;

  hello(): HelloReply {
    return { version: "0.1.0-test", node: "app-1", cluster: "test", state: this.state };
  }

  /** Sessions that have to be fetched first; a test lets them through or not. */
  readonly unknown = new Map<string, (known: boolean) => void>();

  knows(id: string): boolean {
    return !this.unknown.has(id);
  }

  knowsAll(): boolean {
    return this.state !== "joining";
  }

  fetch(id: string, _write: Stamp | undefined, done: (known: boolean) => void): void {
    this.unknown.set(id, done);
  }

  /** Writes that wait for peers: a test lets them go on. */
  readonly confirming: ((peers: number) => void)[] = [];
  confirmationsMax = 4;

  confirm(_id: string, _ack: AckRequest, done: (peers: number) => void): boolean {
    if (this.confirming.length >= this.confirmationsMax) return false;
    this.confirming.push(done);
    return true;
  }

  prefetch(sought: readonly { readonly id: string }[]): void {
    this.prefetched.push(sought.map(({ id }) => id));
  }

  get(id: string): SessionView | undefined {
    this.calls.push("get");
    const session = this.#alive(id);
    if (session === undefined) return undefined;
    const { stamp } = session;
    const attributes = [...session.attributes].map(([name, value]) => ({ name, stamp, value }));
    // A removed attribute is in the record, and must not be in a reply.
    const removed = { name: "removed", stamp, value: undefined };
    return { attributes: [...attributes, removed], stamp, expiresAtMs: session.deadlineMs };
  }

  create(id: string, attributes: readonly NamedValue[], lifetime: Lifetime): WriteOutcome {
    this.calls.push("create");
    if (this.#alive(id) !== undefined) return { ...refused, refusal: "exists" };
    this.#destroyed.delete(id);
    return this.#store(id, attributes, lifetime);
  }

  set(id: string, attributes: readonly NamedValue[], lifetime: Lifetime): WriteOutcome {
    this.calls.push("set");
    return this.#destroyed.has(id) ? nothingWritten : this.#store(id, attributes, lifetime);
  }

  patch(
    id: string,
    set: readonly NamedValue[],
    unset: readonly string[],
    ifStamp?: Stamp,
  ): WriteOutcome {
    this.calls.push("patch");
    const session = this.#alive(id);
    if (session === undefined) return nothingWritten;
    if (ifStamp !== undefined && compareStamps(ifStamp, session.stamp) !== 0) {
      return { ...refused, refusal: "changed" };
    }
    this.tell(id, "changed");
    for (const { name, value } of set) session.attributes.set(name, value);
    for (const name of unset) session.attributes.delete(name);
    session.stamp = this.#stamp();
    return { applied: true, stamp: session.stamp, refusal: undefined };
  }

  touch(id: string, idleMs: number | undefined): WriteOutcome {
    this.calls.push("touch");
    const session = this.#alive(id);
    if (session === undefined) return nothingWritten;
    session.idleMs = idleMs ?? session.idleMs;
    this.#prolong(session);
    return { applied: true, stamp: undefined, refusal: undefined };
  }

  destroy(id: string): WriteOutcome {
    this.calls.push("destroy");
    if (this.#alive(id) === undefined) return nothingWritten;
    this.#sessions.delete(id);
    this.#destroyed.add(id);
    this.tell(id, "destroyed");
    return { applied: true, stamp: this.#stamp(), refusal: undefined };
  }

  /** As many as one call of destroyAll ends. */
  destroyAllMax = Number.POSITIVE_INFINITY;

  destroyAll(owner: Value, except: string | undefined): DestroyedAll {
    this.calls.push("destroyAll");
    const owned = [...this.#sessions].filter(
      ([id, { attributes }]) => attributes.get(ownerName) === owner && id !== except,
    );
    const slice = owned.slice(0, this.destroyAllMax);
    let stamp: Stamp | undefined;
    for (const [id] of slice) stamp = this.destroy(id).stamp;
    return { count: slice.length, stamp, complete: true, more: slice.length < owned.length };
  }

  /** Whether somebody listens. */
  get isObserved(): boolean {
    return this.#observer !== undefined;
  }

  observe(observer: Observer | undefined): void {
    this.#observer = observer;
  }

  /** As if it came from a peer. */
  tell(id: string, change: Change): void {
    this.#observer?.(id, change);
  }

  rotate(id: string, newId: string): WriteOutcome {
    this.calls.push("rotate");
    const session = this.#alive(id);
    if (session === undefined) return nothingWritten;
    if (this.#alive(newId) !== undefined) return { ...refused, refusal: "exists" };
    this.#sessions.delete(id);
    this.#destroyed.add(id);
    session.stamp = this.#stamp();
    this.#sessions.set(newId, session);
    return { applied: true, stamp: session.stamp, refusal: undefined };
  }

  list(query: ListQuery): ListPage {
    const ids = [...this.#sessions.keys()].sort().filter((id) => id > query.cursor);
    const page = ids.slice(0, query.limit);
    const sessions = page.flatMap((id) => {
      const session = id.startsWith(query.prefix) ? this.#alive(id) : undefined;
      const owner = session?.attributes.get(ownerName);
      if (query.owner !== undefined && query.owner !== owner) return [];
      return session === undefined ? [] : [{ id, expiresAtMs: session.deadlineMs }];
    });
    return { sessions, cursor: page.length < ids.length ? (page.at(-1) ?? "") : "" };
  }

  count(): number {
    return [...this.#sessions.keys()].filter((id) => this.#alive(id) !== undefined).length;
  }

  stats(): Record<string, unknown> {
    return { sessions: this.count(), bytes: 2 ** 40, share: 0.5, peers: [{ name: "app-2" }] };
  }

  /** What a test wants to be answered. */
  keys: KeyNames | string = { uses: "1a2b3c4d", opens: ["5e6f7a8b"] };

  reloadKeys(): KeyNames | string {
    this.calls.push("reloadKeys");
    return this.keys;
  }

  #alive(id: string): FakeSession | undefined {
    const session = this.#sessions.get(id);
    const over = session !== undefined && session.deadlineMs > 0 && session.deadlineMs < this.nowMs;
    return over ? undefined : session;
  }

  #store(id: string, attributes: readonly NamedValue[], lifetime: Lifetime): WriteOutcome {
    if (attributes.length > attributesMax) return { ...refused, refusal: "too_many_attributes" };
    const bytes = attributes.reduce((sum, { value }) => sum + value.length, 0);
    if (bytes > 1_048_576) return { ...refused, refusal: "too_large" };
    const before = this.#alive(id);
    const stamp = this.#stamp();
    const absoluteMs = lifetime.absoluteMs ?? 0;
    const session: FakeSession = {
      attributes: new Map(attributes.map(({ name, value }) => [name, value])),
      idleMs: lifetime.idleMs ?? before?.idleMs ?? idleMsDefault,
      absoluteDeadlineMs: absoluteMs === 0 ? 0 : this.nowMs + absoluteMs,
      deadlineMs: 0,
      stamp,
    };
    this.#prolong(session);
    this.#sessions.set(id, session);
    this.tell(id, before === undefined ? "created" : "changed");
    return { applied: true, stamp, refusal: undefined };
  }

  #prolong(session: FakeSession): void {
    const deadlines = [session.absoluteDeadlineMs];
    if (session.idleMs > 0) deadlines.push(this.nowMs + session.idleMs);
    const set = deadlines.filter((deadline) => deadline > 0);
    session.deadlineMs = set.length === 0 ? 0 : Math.min(...set);
  }

  #stamp(): Stamp {
    this.#writes += 1;
    return { time: 800_000_000_000_000 + this.#writes, tag: 4_000_000_000 };
  }
}
