import { EventEmitter } from "node:events";
import { Verb } from "../api/messages.ts";
import type { MsgpackReader } from "../api/msgpack.ts";
import {
  decodeCountReply,
  decodeGetReply,
  decodeListReply,
  decodePongReply,
  decodeReportReply,
  decodeWriteReply,
} from "../api/reply-codec.ts";
import {
  encodeAddressed,
  encodeHello,
  encodeList,
  encodePatch,
  encodePlain,
  encodeStore,
  encodeTouch,
} from "../api/request-codec.ts";
import { limits } from "../protocol/limits.ts";
import type { Stamp } from "../session/stamp.ts";
import { Connection } from "./connection.ts";
import { invalid, malformedReply } from "./errors.ts";
import { packAttributes, setOwn, unpackReport, unpackValue } from "./values.ts";

export interface ClientOptions {
  /** Path of the sidecar's Unix socket; by default where sidecars listen by default. */
  readonly socket?: string | undefined;
  /** How long a request may take before it rejects, in milliseconds; 1000 by default. */
  readonly timeoutMs?: number | undefined;
}

/** In milliseconds; 0: no limit. Left out: the sidecar's default, or unchanged. */
export interface LifetimeOptions {
  /** How long the session lives unused. */
  readonly idleMs?: number | undefined;
  /** How long it lives at most. */
  readonly absoluteMs?: number | undefined;
}

export interface Session<T extends object = Record<string, unknown>> {
  readonly id: string;
  readonly attributes: T;
  /** Names the latest write that this session holds; equal stamps mean equal content. */
  readonly stamp: string;
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined;
}

export interface PatchOptions {
  readonly set?: object | undefined;
  readonly unset?: readonly string[] | undefined;
}

export interface ListOptions {
  /** Of the session ids wanted. */
  readonly prefix?: string | undefined;
  /** How many at most: 1 to 1000, which is the default. */
  readonly limit?: number | undefined;
  /** From the page before. */
  readonly cursor?: string | undefined;
}

export interface SessionList {
  readonly sessions: readonly { readonly id: string; readonly expiresAt: number | undefined }[];
  /** For the next page, which may be short or empty; left out: this was the last. */
  readonly cursor?: string;
}

export interface SidecarInfo {
  readonly protocol: number;
  readonly version: string;
  readonly node: string;
  readonly cluster: string;
  readonly state: string;
  readonly pid: number;
}

const timeoutMsDefault = 1_000;

/**
 * Sessions, as the sidecar of this host holds them. Methods reject with a `SessioncastError`.
 *
 * Emits `connect` when the sidecar has answered, and `disconnect` when the connection broke or the
 * first attempt failed; in between the client tries again by itself.
 */
export class Client extends EventEmitter<{ connect: []; disconnect: [] }> {
  readonly #connection: Connection;
  #closing: Promise<void> | undefined;

  constructor(options: ClientOptions = {}) {
    super();
    const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    if (!(timeoutMs > 0 && timeoutMs <= 2_147_483_647)) {
      throw invalid("timeoutMs is not a number of milliseconds above 0");
    }
    this.#connection = new Connection({
      path: options.socket || undefined,
      timeoutMs,
      connected: () => this.emit("connect"),
      disconnected: () => this.emit("disconnect"),
    });
  }

  /** Resolves when the sidecar has answered; rejects when the attempt to reach it fails. */
  ready(): Promise<void> {
    return this.#connection.ready();
  }

  /** Rejects with SESSIONCAST_CONFLICT while a session of this id is alive. */
  async create(
    id: string,
    attributes: object,
    lifetime: LifetimeOptions = {},
  ): Promise<{ stamp: string }> {
    const reply = await this.#store(Verb.create, { id, attributes, lifetime });
    return { stamp: opaque(reply.stamp) };
  }

  /** Undefined: there is none (any more). */
  async get<T extends object = Record<string, unknown>>(
    id: string,
  ): Promise<Session<T> | undefined> {
    requireText(id);
    return this.#connection.request(
      (writer, requestId) => encodeAddressed(writer, requestId, { verb: Verb.get, id }),
      (reader) => decodeSession<T>(id, reader),
    );
  }

  /**
   * Replaces all attributes, or starts the session. False: a session of this id was destroyed, and
   * stays so; only `create` starts it anew.
   */
  async set(id: string, attributes: object, lifetime: LifetimeOptions = {}): Promise<boolean> {
    const reply = await this.#store(Verb.set, { id, attributes, lifetime });
    return reply.applied;
  }

  /** Changes some attributes of a session and leaves the others. False: there is none. */
  async patch(id: string, changes: PatchOptions): Promise<boolean> {
    requireText(id);
    const packed = packAttributes(changes.set ?? {});
    const unset =
      changes.unset === undefined ? packed.absent : [...changes.unset, ...packed.absent];
    for (const name of unset) requireText(name);
    for (const { name } of packed.attributes) requireText(name);
    const reply = await this.#connection.request(
      (writer, requestId) => encodePatch(writer, requestId, { id, set: packed.attributes, unset }),
      decodeWriteReply,
    );
    return reply.applied;
  }

  /** Counts as a use of the session. False: there is none. */
  async touch(id: string, { idleMs }: { idleMs?: number | undefined } = {}): Promise<boolean> {
    requireText(id);
    requireDuration(idleMs);
    const reply = await this.#connection.request(
      (writer, requestId) => encodeTouch(writer, requestId, { id, idleMs }),
      decodeWriteReply,
    );
    return reply.applied;
  }

  /** False: there was none. */
  async destroy(id: string): Promise<boolean> {
    requireText(id);
    const reply = await this.#connection.request(
      (writer, requestId) => encodeAddressed(writer, requestId, { verb: Verb.destroy, id }),
      decodeWriteReply,
    );
    return reply.applied;
  }

  /** A page of the sessions of this node, in no useful order. */
  async list(options: ListOptions = {}): Promise<SessionList> {
    const { prefix = "", limit = limits.listPageMax, cursor = "" } = options;
    [prefix, cursor].forEach(requireText);
    if (typeof limit !== "number") throw invalid("limit is not a number");
    const page = await this.#connection.request(
      (writer, requestId) => encodeList(writer, requestId, { prefix, limit, cursor }),
      decodeListReply,
    );
    const sessions = page.sessions.map(({ id, expiresAtMs }) => ({
      id,
      expiresAt: expiresAtMs === 0 ? undefined : expiresAtMs,
    }));
    return page.cursor === "" ? { sessions } : { sessions, cursor: page.cursor };
  }

  /** How many sessions are alive. */
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

  ping(): Promise<void> {
    return this.#connection.request(
      (writer, requestId) => encodePlain(writer, requestId, Verb.ping),
      decodePongReply,
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

  /** Rejects what is in flight with SESSIONCAST_CLOSED. Calling it again does no harm. */
  close(): Promise<void> {
    this.#closing ??= Promise.resolve(this.#connection.close());
    return this.#closing;
  }

  #store(
    verb: typeof Verb.create | typeof Verb.set,
    session: {
      readonly id: string;
      readonly attributes: object;
      readonly lifetime: LifetimeOptions;
    },
  ) {
    const { id } = session;
    const { idleMs, absoluteMs } = session.lifetime;
    requireText(id);
    requireDuration(idleMs);
    requireDuration(absoluteMs);
    const { attributes } = packAttributes(session.attributes);
    for (const { name } of attributes) requireText(name);
    const lifetime = { idleMs, absoluteMs };
    return this.#connection.request(
      (writer, requestId) => encodeStore(writer, requestId, { verb, id, attributes, lifetime }),
      decodeWriteReply,
    );
  }
}

/** Does not connect before it is used. For adapters, which are made before the app runs. */
export function createClient(options: ClientOptions = {}): Client {
  return new Client(options);
}

function decodeSession<T extends object>(
  id: string,
  reader: MsgpackReader,
): Session<T> | undefined {
  const attributes: Record<string, unknown> = {};
  const reply = decodeGetReply(reader, (name, bytes) => {
    setOwn(attributes, name, unpackValue(bytes));
  });
  if (reply === undefined) return undefined;
  return {
    id,
    // What another program stored under a name is its affair; T is the app's word for it.
    attributes: attributes as T,
    stamp: opaque(reply.stamp),
    expiresAt: reply.expiresAtMs === 0 ? undefined : reply.expiresAtMs,
  };
}

function decodeReport(reader: MsgpackReader): Record<string, unknown> {
  const bytes = decodeReportReply(reader);
  try {
    return unpackReport(bytes);
  } catch {
    throw malformedReply();
  }
}

function opaque(stamp: Stamp): string {
  return `${stamp.time.toString(36)}-${stamp.tag.toString(36)}`;
}

/** How long ids and names may be is for the sidecar to say. */
function requireText(text: unknown): void {
  if (typeof text !== "string") throw invalid("an id, a name or a cursor is not a string");
  // A lone surrogate has no UTF-8: it would be stored as another character.
  if (!text.isWellFormed()) throw invalid("an id or a name is not well-formed Unicode");
}

function requireDuration(value: unknown): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || Number(value) < 0 || Number(value) > limits.durationMsMax) {
    throw invalid("a time is not a whole number of milliseconds from 0 to ten years");
  }
}
