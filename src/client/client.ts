import { EventEmitter } from "node:events";
import { decodeInvalidations } from "../api/event-codec.ts";
import { Verb } from "../api/messages.ts";
import type { MsgpackReader } from "../api/msgpack-reader.ts";
import type { MsgpackWriter } from "../api/msgpack-writer.ts";
import {
  decodeCountReply,
  decodeDestroyAllReply,
  decodeListReply,
  decodeNilReply,
  decodeReportReply,
  decodeWriteReply,
} from "../api/reply-codec.ts";
import {
  encodeDestroy,
  encodeDestroyAll,
  encodeGet,
  encodeHello,
  encodeList,
  encodePatch,
  encodePlain,
  encodeRotate,
  encodeStore,
  encodeTouch,
} from "../api/request-encoder.ts";
import { limits } from "../protocol/limits.ts";
import { requireDuration, requireOwner, requireText } from "./argument-rules.ts";
import { Connection } from "./connection.ts";
import { invalid, malformedReply } from "./errors.ts";
import { NearCache, type NearCacheStats } from "./near-cache.ts";
import type {
  AckOptions,
  ClientOptions,
  DestroyAllOptions,
  DestroyAllResult,
  GetOptions,
  KeyNames,
  LifetimeOptions,
  ListOptions,
  OwnerOptions,
  PatchOptions,
  SessionList,
  SidecarInfo,
  WatchOptions,
  WriteResult,
} from "./options.ts";
import { trackRequestId } from "./pending-requests.ts";
import { decodeSession, type Session } from "./session.ts";
import { parseStamp, stampText } from "./stamp-text.ts";
import { packAttributes, unpackReport } from "./values.ts";
import { type SessionEvent, type Watch, Watches } from "./watches.ts";

const noOptions = {};

/**
 * Sessions, as the sidecar of this host holds them. Methods reject with a `SessioncastError`.
 *
 * Emits `connect` when the sidecar has answered, and `disconnect` when the connection broke or the
 * first attempt failed; in between the client tries again by itself.
 */
export class Client extends EventEmitter<{ connect: []; disconnect: [] }> {
  readonly #connection: Connection;
  readonly #timeoutMs: number;
  readonly #near: NearCache | undefined;
  readonly #watches = new Watches();
  #closing: Promise<void> | undefined;

  constructor(options: ClientOptions = {}) {
    super();
    const timeoutMs = options.timeoutMs ?? limits.clientTimeoutMsDefault;
    if (!(timeoutMs > 0 && timeoutMs <= 2_147_483_647)) {
      throw invalid("timeoutMs is not a number of milliseconds above 0");
    }
    this.#timeoutMs = timeoutMs;
    this.#near = options.nearCache && new NearCache(options.nearCache);
    this.#connection = new Connection({
      path: options.socket || undefined,
      timeoutMs,
      // The sidecar forgets in another order: twice as many, so that it does not before this does.
      trackCountMax: 2 * (this.#near?.countMax ?? 0),
      connected: () => this.#connected(),
      disconnected: () => {
        this.#near?.clear();
        this.#tell("disconnect");
      },
      event: (requestId, reader) => this.#onEvent(requestId, reader),
    });
  }

  /** How the near cache does; undefined: there is none. */
  get nearCacheStats(): NearCacheStats | undefined {
    return this.#near?.stats;
  }

  /** Resolves when the sidecar has answered; rejects when the attempt to reach it fails. */
  ready(): Promise<void> {
    return this.#connection.ready();
  }

  /** Rejects with SESSIONCAST_CONFLICT while a session of this id is alive. */
  async create(
    id: string,
    attributes: object,
    options: LifetimeOptions & OwnerOptions & AckOptions = {},
  ): Promise<WriteResult> {
    return this.#store(Verb.create, { id, attributes, options });
  }

  /**
   * Undefined: there is none (any more). Rejects with SESSIONCAST_BEHIND when the write that
   * `atLeast` names has neither arrived at this node in time nor could be fetched.
   */
  get<T extends object = Record<string, unknown>>(
    id: string,
    options: GetOptions = noOptions,
  ): Promise<Session<T> | undefined> {
    try {
      requireText(id);
      const copy = this.peek<T>(id, options);
      if (copy !== undefined) return Promise.resolve(copy);
      // What another program stored under a name is its affair; T is the app's word for it.
      return this.#fetch(id, options) as Promise<Session<T> | undefined>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** What `get` would give without asking the sidecar, at once; undefined: it would ask. */
  peek<T extends object = Record<string, unknown>>(
    id: string,
    { atLeast, mutable = false }: GetOptions = noOptions,
  ): Session<T> | undefined {
    if (this.#near === undefined || this.#connection.silent) return undefined;
    return this.#near.find(id, atLeast, mutable) as Session<T> | undefined;
  }

  /**
   * Replaces all attributes, or starts the session. Not applied: a session of this id was
   * destroyed, and stays so; only `create` starts it anew.
   */
  async set(
    id: string,
    attributes: object,
    options: LifetimeOptions & OwnerOptions & AckOptions = {},
  ): Promise<WriteResult> {
    return this.#store(Verb.set, { id, attributes, options });
  }

  /** Changes some attributes of a session and leaves the others. */
  async patch(id: string, changes: PatchOptions): Promise<WriteResult> {
    requireText(id);
    const packed = packAttributes(changes.set ?? {});
    const unset =
      changes.unset === undefined ? packed.absent : [...changes.unset, ...packed.absent];
    for (const name of unset) requireText(name);
    for (const { name } of packed.attributes) requireText(name);
    requireOwner(changes.owner);
    const { owner } = changes;
    const ifStamp = changes.ifStamp === undefined ? undefined : parseStamp(changes.ifStamp);
    const ack = this.#ackOf(changes);
    const patch = { id, set: packed.attributes, unset, owner, ifStamp, ack };
    return this.#write([id], (writer, requestId) => encodePatch(writer, requestId, patch));
  }

  /** Counts as a use of the session. */
  async touch(
    id: string,
    options: { readonly idleMs?: number | undefined } & AckOptions = {},
  ): Promise<WriteResult> {
    const { idleMs } = options;
    requireText(id);
    requireDuration(idleMs);
    const touch = { id, idleMs, ack: this.#ackOf(options) };
    // A copy shows an end that is too early then, and is not used beyond it.
    const changed = idleMs === undefined ? [] : [id];
    return this.#write(changed, (writer, requestId) => encodeTouch(writer, requestId, touch));
  }

  async destroy(id: string, options: AckOptions = {}): Promise<WriteResult> {
    requireText(id);
    const destroy = { id, ack: this.#ackOf(options) };
    return this.#write([id], (writer, requestId) => encodeDestroy(writer, requestId, destroy));
  }

  /**
   * Moves a session to another id: whoever knew the old one has nothing any more, which is the
   * defence against session fixation at a login. Rejects with SESSIONCAST_CONFLICT while a session
   * of the new id is alive.
   */
  async rotate(id: string, newId: string, options: AckOptions = {}): Promise<WriteResult> {
    requireText(id);
    requireText(newId);
    const rotate = { id, newId, ack: this.#ackOf(options) };
    return this.#write([id, newId], (writer, requestId) => encodeRotate(writer, requestId, rotate));
  }

  /**
   * Ends all sessions of an owner, or all but one: "log out everywhere". One that another node
   * creates at the same moment stays. Rejects with SESSIONCAST_UNAVAILABLE while the sidecar, just
   * started, does not know all sessions yet.
   */
  async destroyAll({ owner, except }: DestroyAllOptions): Promise<DestroyAllResult> {
    requireText(owner);
    requireOwner(owner);
    if (except !== undefined) requireText(except);
    this.#near?.clear();
    const { count, stamp, complete } = await this.#connection.request(
      (writer, requestId) => encodeDestroyAll(writer, requestId, { owner, except }),
      decodeDestroyAllReply,
    );
    this.#near?.clear();
    return { count, stamp: stamp && stampText(stamp), complete };
  }

  /**
   * Tells of changes of sessions, also of those that arrive from other nodes, until it is closed or
   * the client is. When the connection breaks it is set up again, and `missed` is told.
   */
  async watch(options: WatchOptions, listener: (event: SessionEvent) => void): Promise<Watch> {
    const { prefix = "" } = options;
    requireText(prefix);
    return this.#watches.add(this.#connection, prefix, listener);
  }

  /** A page of the sessions of this node, in the order of their ids. Rejects as `destroyAll`. */
  async list(options: ListOptions = {}): Promise<SessionList> {
    const { prefix = "", owner, limit = limits.listPageMax, cursor = "" } = options;
    [prefix, cursor].forEach(requireText);
    requireOwner(owner);
    if (typeof limit !== "number") throw invalid("limit is not a number");
    const page = await this.#connection.request(
      (writer, requestId) => encodeList(writer, requestId, { prefix, owner, limit, cursor }),
      decodeListReply,
    );
    const sessions = page.sessions.map(({ id, expiresAtMs }) => ({
      id,
      expiresAt: expiresAtMs === 0 ? undefined : expiresAtMs,
    }));
    return page.cursor === "" ? { sessions } : { sessions, cursor: page.cursor };
  }

  /** How many sessions are alive. Rejects as `destroyAll` does. */
  count(): Promise<number> {
    return this.#connection.request(
      (writer, requestId) => encodePlain(writer, requestId, Verb.count),
      decodeCountReply,
    );
  }

  /** What the sidecar counts about itself; the keys depend on its version. */
  stats(): Promise<Record<string, unknown>> {
    return this.#connection.request(
      (writer, requestId) => encodePlain(writer, requestId, Verb.stats),
      decodeReport,
    );
  }

  /**
   * Has the sidecar read its key file again, as SIGHUP does. Rejects with SESSIONCAST_KEYS, and a
   * text for whoever runs it, when the file cannot be used; the keys are as they were then.
   */
  async reloadKeys(): Promise<KeyNames> {
    const { uses, opens } = await this.#connection.request(
      (writer, requestId) => encodePlain(writer, requestId, Verb.reloadKeys),
      decodeReport,
    );
    return { uses: String(uses), opens: Array.isArray(opens) ? opens.map(String) : [] };
  }

  ping(): Promise<void> {
    return this.#connection.request(
      (writer, requestId) => encodePlain(writer, requestId, Verb.ping),
      decodeNilReply,
    );
  }

  /** Who the sidecar is, and what state it is in now. */
  async hello(): Promise<SidecarInfo> {
    const report = await this.#connection.request(encodeHello, decodeReport);
    return {
      protocol: Number(report.protocol),
      version: String(report.version),
      node: String(report.node),
      cluster: String(report.cluster),
      state: String(report.state),
      pid: Number(report.pid),
    };
  }

  /**
   * Rejects what is in flight with SESSIONCAST_CLOSED, and resolves when `disconnect` has been
   * told. Calling it again does no harm.
   */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#connection.close();
      process.nextTick(resolve);
    });
    return this.#closing;
  }

  #store(
    verb: typeof Verb.create | typeof Verb.set,
    session: {
      readonly id: string;
      readonly attributes: object;
      readonly options: LifetimeOptions & OwnerOptions & AckOptions;
    },
  ): Promise<WriteResult> {
    const { id } = session;
    const { idleMs, absoluteMs, owner } = session.options;
    requireText(id);
    requireDuration(idleMs);
    requireDuration(absoluteMs);
    requireOwner(owner);
    const { attributes } = packAttributes(session.attributes);
    for (const { name } of attributes) requireText(name);
    const store = {
      verb,
      id,
      attributes,
      lifetime: { idleMs, absoluteMs },
      owner,
      ack: this.#ackOf(session.options),
    };
    return this.#write([id], (writer, requestId) => encodeStore(writer, requestId, store));
  }

  /**
   * `changed`: sessions whose copies end now, and again with the reply: what was read in between
   * may be older than the write.
   */
  #write(
    changed: readonly string[],
    encode: (writer: MsgpackWriter, requestId: number) => void,
  ): Promise<WriteResult> {
    const drop = () => {
      for (const id of changed) this.#near?.drop(id);
    };
    drop();
    return this.#connection.request(encode, (reader) => {
      drop();
      return decodeResult(reader);
    });
  }

  #fetch(id: string, { atLeast, mutable = false }: GetOptions): Promise<Session | undefined> {
    const request = { id, atLeast: atLeast === undefined ? undefined : parseStamp(atLeast) };
    const near = this.#near;
    return this.#connection.request(
      (writer, requestId) => encodeGet(writer, requestId, request),
      (reader) => (near ? near.keep(id, reader, mutable) : decodeSession(id, reader)),
    );
  }

  #connected(): void {
    this.#watches.restart(this.#connection);
    this.#tell("connect");
  }

  /** Outside of the reading of the socket: what a listener throws is the app's. */
  #tell(event: "connect" | "disconnect"): void {
    process.nextTick(() => this.emit(event));
  }

  #onEvent(requestId: number, reader: MsgpackReader): void {
    if (requestId !== trackRequestId) {
      this.#watches.onEvents(requestId, reader);
      return;
    }
    const ids = decodeInvalidations(reader);
    if (ids === undefined) this.#near?.clear();
    else for (const id of ids) this.#near?.drop(id);
  }

  #ackOf({ ack, ackTimeoutMs }: AckOptions) {
    if (ack === undefined) return undefined;
    const timeoutMs = ackTimeoutMs ?? Math.min(limits.confirmMsDefault, this.#timeoutMs / 2);
    if (timeoutMs >= this.#timeoutMs) {
      throw invalid("ackTimeoutMs is not below the timeoutMs of the client: raise that");
    }
    return { peers: ack, timeoutMs: Math.ceil(timeoutMs) };
  }
}

/** Does not connect before it is used. For adapters, which are made before the app runs. */
export function createClient(options: ClientOptions = {}): Client {
  return new Client(options);
}

function decodeResult(reader: MsgpackReader): WriteResult {
  const { applied, stamp, confirmations } = decodeWriteReply(reader);
  return { applied, stamp: stamp.time === 0 ? undefined : stampText(stamp), confirmations };
}

function decodeReport(reader: MsgpackReader): Record<string, unknown> {
  const report = unpackReport(decodeReportReply(reader));
  if (report === undefined) throw malformedReply();
  return report;
}
