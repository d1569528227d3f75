import { decodeWatchEvents } from "../api/event-codec.ts";
import { EventKind } from "../api/messages.ts";
import type { MsgpackReader } from "../api/msgpack-reader.ts";
import { decodeNilReply, decodeUnwatchReply } from "../api/reply-codec.ts";
import { encodeUnwatch, encodeWatch } from "../api/request-encoder.ts";
import { limits } from "../protocol/limits.ts";
import type { Connection } from "./connection.ts";
import { SessioncastError } from "./errors.ts";

/**
 * What became of a session, by a client of whatever node. `missed`: there was more than could be
 * told, because the connection broke or this process was too slow; `id` is empty then.
 */
export interface SessionEvent {
  readonly type: "created" | "changed" | "destroyed" | "expired" | "missed";
  readonly id: string;
}

export interface Watch {
  /** No event comes after it has resolved. */
  close(): Promise<void>;
}

const typeOf: Readonly<Record<number, SessionEvent["type"]>> = {
  [EventKind.missed]: "missed",
  [EventKind.created]: "created",
  [EventKind.changed]: "changed",
  [EventKind.destroyed]: "destroyed",
  [EventKind.expired]: "expired",
};

interface Watcher {
  readonly prefix: string;
  readonly listener: (event: SessionEvent) => void;
  /** Under which events come on the present connection. */
  requestId: number;
  closed: boolean;
}

/** The watches of a client, set up again on each new connection. */
export class Watches {
  readonly #watchers = new Set<Watcher>();
  readonly #byRequest = new Map<number, Watcher>();
  /** How many there have been. */
  #connections = 0;

  async add(
    connection: Connection,
    prefix: string,
    listener: (event: SessionEvent) => void,
  ): Promise<Watch> {
    const watcher: Watcher = { prefix, listener, requestId: 0, closed: false };
    await this.#start(connection, watcher);
    this.#watchers.add(watcher);
    return { close: () => this.#close(connection, watcher) };
  }

  /** There is a new connection; what happened in between is not known. */
  restart(connection: Connection): void {
    this.#connections += 1;
    for (const { requestId } of this.#watchers) this.#byRequest.delete(requestId);
    for (const watcher of this.#watchers) void this.#again(connection, watcher, this.#connections);
  }

  async #again(connection: Connection, watcher: Watcher, connections: number): Promise<void> {
    if (watcher.closed || connections !== this.#connections) return;
    try {
      await this.#start(connection, watcher);
      this.#tell(watcher, { type: "missed", id: "" });
    } catch {
      // The next connection has its turn; unless it is this one that had no time or no room.
      const retry = () => void this.#again(connection, watcher, connections);
      setTimeout(retry, limits.clientReconnectMsMax).unref();
    }
  }

  onEvents(requestId: number, reader: MsgpackReader): void {
    const watcher = this.#byRequest.get(requestId);
    for (const { kind, id } of decodeWatchEvents(reader)) {
      const type = typeOf[kind];
      if (type !== undefined && watcher !== undefined) this.#tell(watcher, { type, id });
    }
  }

  async #start(connection: Connection, watcher: Watcher): Promise<void> {
    try {
      await connection.request((writer, requestId) => {
        // At once: events may follow the reply in the same read.
        watcher.requestId = requestId;
        this.#byRequest.set(requestId, watcher);
        encodeWatch(writer, requestId, watcher.prefix);
      }, decodeNilReply);
    } catch (error) {
      this.#byRequest.delete(watcher.requestId);
      // It may be set up all the same, too late.
      const isLate = error instanceof SessioncastError && error.code === "SESSIONCAST_TIMEOUT";
      if (isLate) void this.#end(connection, watcher.requestId);
      throw error;
    }
  }

  async #close(connection: Connection, watcher: Watcher): Promise<void> {
    if (watcher.closed) return;
    watcher.closed = true;
    const { requestId } = watcher;
    this.#watchers.delete(watcher);
    this.#byRequest.delete(requestId);
    await this.#end(connection, requestId);
  }

  /** Without a connection there is nothing to end. */
  async #end(connection: Connection, watch: number): Promise<void> {
    const ended = connection.request(
      (writer, requestId) => encodeUnwatch(writer, requestId, watch),
      decodeUnwatchReply,
    );
    await ended.catch(() => false);
  }

  /** Outside of the reading of the socket: what a listener throws is the app's. */
  #tell(watcher: Watcher, event: SessionEvent): void {
    process.nextTick(() => {
      if (!watcher.closed) watcher.listener(event);
    });
  }
}
