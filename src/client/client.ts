import { EventEmitter } from "node:events";
import { Verb } from "../api/messages.ts";
import type { MsgpackReader, MsgpackWriter } from "../api/msgpack.ts";
import {
  decodeCountReply,
  decodeGetReply,
  decodeListReply,
  decodePongReply,
  decodeReportReply,
  decodeWriteReply,
} from "../api/reply-codec.ts";
import {
  encodeDestroy,
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
import { Connection } from "./connection.ts";
import { invalid, malformedReply } from "./errors.ts";
import { parseStamp, stampText } from "./stamp-text.ts";
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

/** Writes are acknowledged when the local sidecar has them, unless more is asked for. */
export interface AckOptions {
  /** Wait until so many other nodes have the write. */
  readonly ack?: number | undefined;
  /** But no longer than this; 500 by default, and less than the client's `timeoutMs`. */
  readonly ackTimeoutMs?: number | undefined;
}

export interface WriteResult {
  /** Whether there was such a session; of create and set: whether it is now stored. */
  readonly applied: boolean;
  /** Names this write, for `atLeast`; undefined: nothing had to be written. */
  readonly stamp: string | undefined;
  /**
   * With `ack`: how many other nodes have the write. Fewer than asked for when the time was over
   * first; the write goes on its way all the same.
   */
  readonly confirmations: number | undefined;
}

export interface GetOptions {
  /** The stamp of an earlier write, on whatever node: what is returned includes it. */
  readonly atLeast?: string | undefined;
}

export interface Session<T extends object = Record<string, unknown>> {
  readonly id: string;
  readonly attributes: T;
  /** Names the latest write that this session holds; equal stamps mean equal content. */
  readonly stamp: string;
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined;
}

export interface PatchOptions extends AckOptions {
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
  readonly #timeoutMs: number;
  #closing: Promise<void> | undefined;

  constructor(options: ClientOptions = {}) {
    super();
    const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    if (!(timeoutMs > 0 && timeoutMs <= 2_147_483_647)) {
      throw invalid("timeoutMs is not a number of milliseconds above 0");
    }
    this.#timeoutMs = timeoutMs;
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
    options: LifetimeOptions & AckOptions = {},
  ): Promise<WriteResult> {
    return this.#store(Verb.create, { id, attributes, options });
  }

  /**
   * Undefined: there is none (any more). Rejects with SESSIONCAST_BEHIND when the write that
   * `atLeast` names has neither arrived at this node in time nor could be fetched.
   */
  async get<T extends object = Record<string, unknown>>(
    id: string,
    options: GetOptions = {},
  ): Promise<Session<T> | undefined> {
    requireText(id);
    const atLeast = options.atLeast === undefined ? undefined : parseStamp(options.atLeast);
    return this.#connection.request(
      (writer, requestId) => encodeGet(writer, requestId, { id, atLeast }),
      (reader) => decodeSession<T>(id, reader),
    );
  }

  /**
   * Replaces all attributes, or starts the session. Not applied: a session of this id was
   * destroyed, and stays so; only `create` starts it anew.
   */
  async set(
    id: string,
    attributes: object,
    options: LifetimeOptions & AckOptions = {},
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
    const ack = this.#ackOf(changes);
    const patch = { id, set: packed.attributes, unset, ack };
    return this.#write((writer, requestId) => encodePatch(writer, requestId, patch));
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
    return this.#write((writer, requestId) => encodeTouch(writer, requestId, touch));
  }

  async destroy(id: string, options: AckOptions = {}): Promise<WriteResult> {
    requireText(id);
    const destroy = { id, ack: this.#ackOf(options) };
    return this.#write((writer, requestId) => encodeDestroy(writer, requestId, destroy));
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
    return this.#write((writer, requestId) => encodeRotate(writer, requestId, rotate));
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
      readonly options: LifetimeOptions & AckOptions;
    },
  ): Promise<WriteResult> {
    const { id } = session;
    const { idleMs, absoluteMs } = session.options;
    requireText(id);
    requireDuration(idleMs);
    requireDuration(absoluteMs);
    const { attributes } = packAttributes(session.attributes);
    for (const { name } of attributes) requireText(name);
    const store = {
      verb,
      id,
      attributes,
      lifetime: { idleMs, absoluteMs },
      ack: this.#ackOf(session.options),
    };
    return this.#write((writer, requestId) => encodeStore(writer, requestId, store));
  }

  #write(encode: (writer: MsgpackWriter, requestId: number) => void): Promise<WriteResult> {
    return this.#connection.request(encode, decodeResult);
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
    stamp: stampText(reply.stamp),
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
