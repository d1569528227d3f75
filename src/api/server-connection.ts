import type { Socket } from "node:net";
import { limits } from "../protocol/limits.ts";
import type { ChangeFeed, Subscription } from "./change-feed.ts";
import { FrameSplitter } from "./framing.ts";
import { localProtocolVersion, type RefusalReason, Verb } from "./messages.ts";
import { MsgpackReader } from "./msgpack-reader.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";
import { decodeRequest } from "./request-decoder.ts";
import type { Caller, RequestHandler } from "./request-handler.ts";
import type { BadRequest, Request } from "./requests.ts";
import type { ServerCounters } from "./server-counters.ts";

/** What the connections of a server share. */
export interface ConnectionSurroundings {
  readonly handler: RequestHandler;
  readonly feed: ChangeFeed;
  /** Where the handler writes; empty whenever no connection is at work. */
  readonly writer: MsgpackWriter;
  readonly counters: ServerCounters;
  readonly requestsPerTurnMax: number;
  readonly backlogBytesMax: number;
  readonly backlogMsMax: number;
  log(event: string, fields: Readonly<Record<string, string | number>>): void;
}

type State = "open" | "paused" | "refused";

/**
 * One app process. The requests of a chunk are served in one go and their replies leave in one
 * write; after a share of them the other clients have their turn, so that one with much to do does
 * not keep those with little waiting. A client that does not read its replies is not read from
 * either, in the middle of a chunk if need be: a few bytes of requests can ask for megabytes.
 */
export class ServerConnection implements Caller {
  readonly subscription: Subscription;
  readonly #socket: Socket;
  readonly #surroundings: ConnectionSurroundings;
  readonly #splitter = new FrameSplitter(limits.localFrameBytesMax);
  readonly #reader = new MsgpackReader();
  #state: State = "open";
  #greeted = false;
  /** The rest of the requests that came is for the next turn. */
  #yielding: NodeJS.Immediate | undefined;
  /** The subscription waits for room. */
  #tellDue = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, surroundings: ConnectionSurroundings) {
    this.#socket = socket;
    this.#surroundings = surroundings;
    this.subscription = surroundings.feed.subscribe((write) => this.#tell(write));
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    // Before the stream's own listener, which ends the other direction as well.
    socket.prependListener("end", () => this.#finish());
    socket.on("drain", () => this.#drained());
    socket.on("error", () => {
      surroundings.counters.connectionsBroken += 1;
    });
    socket.on("close", () => this.#closed());
  }

  /** Says why, and leaves the client a moment to read it before the connection is cut. */
  refuse(requestId: number, reason: RefusalReason): void {
    this.#surroundings.handler.refuse(requestId, reason);
    this.#state = "refused";
    this.#flush();
    this.#socket.end();
    // What still comes in is read and dropped: closing with unread bytes would make the kernel
    // reset the connection, and the client might see that instead of the reason.
    this.#timer = setTimeout(() => this.#socket.destroy(), limits.localRefusalLingerMs);
    this.#timer.unref();
    this.#surroundings.log("client_refused", { reason });
  }

  #receive(chunk: Buffer): void {
    if (this.#state === "refused") return;
    this.#splitter.feed(chunk);
    if (this.#state !== "open") return;
    if (this.#yielding === undefined) this.#work();
    else this.#pauseIfMuch();
  }

  /** The client sends no more: what it has sent is served now, since there is no later turn. */
  #finish(): void {
    clearImmediate(this.#yielding);
    this.#yielding = undefined;
    if (this.#state === "open") this.#work(Number.POSITIVE_INFINITY);
  }

  #work(requestsMax = this.#surroundings.requestsPerTurnMax): void {
    const { backlogBytesMax, writer } = this.#surroundings;
    let turnLeft = requestsMax;
    do {
      const room = backlogBytesMax - this.#socket.writableLength;
      let more = true;
      while (more && this.#state === "open" && writer.position <= room && turnLeft > 0) {
        more = this.#splitter.next();
        if (more) this.#serve();
        turnLeft -= 1;
      }
      if (this.#splitter.oversize && this.#state === "open") this.refuse(0, "oversizeFrame");
      this.#flush();
      if (!more || this.#state !== "open") return;
    } while (turnLeft > 0 && this.#socket.writableLength <= backlogBytesMax);
    if (this.#socket.writableLength > backlogBytesMax) this.#pause();
    else this.#yield();
  }

  #yield(): void {
    this.#pauseIfMuch();
    this.#yielding = setImmediate(() => {
      this.#yielding = undefined;
      if (this.#socket.isPaused()) this.#socket.resume();
      if (this.#state === "open") this.#work();
    });
  }

  /** To stop reading is not worth it for little; much must not become more. */
  #pauseIfMuch(): void {
    if (this.#splitter.unread > limits.localUnreadBytesMax) this.#socket.pause();
  }

  #serve(): void {
    const { buffer, start, end } = this.#splitter;
    this.#reader.reset(buffer, start, end);
    const request = decodeRequest(this.#reader);
    this.#surroundings.counters.requests += 1;
    if (request.verb !== 0 && this.#greeted && request.verb !== Verb.hello) {
      this.#surroundings.handler.handle(request, this);
    } else this.#serveUnusual(request);
  }

  /** A reply that had to wait for peers. */
  later(write: () => void): void {
    if (this.#state === "refused" || this.#socket.destroyed) return;
    write();
    this.#flush();
  }

  /** What the subscription has to say, once there is room for it. */
  #tell(write: (writer: MsgpackWriter) => void): void {
    // One that does not read is told less and less, instead of more and more being kept for it.
    this.#tellDue = this.#socket.writableNeedDrain;
    if (!this.#tellDue) this.later(() => write(this.#surroundings.writer));
  }

  #serveUnusual(request: Request | BadRequest): void {
    const { handler } = this.#surroundings;
    const { requestId } = request;
    if (request.verb === 0 && request.reason === "malformedFrame") {
      this.refuse(requestId, request.reason);
    } else if (request.verb === Verb.hello) {
      if (request.version !== localProtocolVersion) this.refuse(requestId, "versionUnknown");
      else {
        this.#greeted = true;
        handler.handle(request, this);
      }
    } else if (!this.#greeted) this.refuse(requestId, "helloMissing");
    else if (request.verb === 0) handler.refuse(requestId, request.reason);
  }

  #flush(): void {
    const { writer } = this.#surroundings;
    if (writer.position === 0) return;
    if (!this.#socket.writable) {
      writer.clear();
      return;
    }
    writer.sendTo(this.#socket);
  }

  #pause(): void {
    const { counters, backlogMsMax, log } = this.#surroundings;
    this.#state = "paused";
    counters.clientsPaused += 1;
    this.#socket.pause();
    this.#timer = setTimeout(() => {
      counters.clientsDropped += 1;
      log("client_dropped", { backlogBytes: this.#socket.writableLength });
      this.#socket.destroy();
    }, backlogMsMax);
    this.#timer.unref();
  }

  #drained(): void {
    if (this.#tellDue) this.subscription.flush();
    if (this.#state !== "paused") return;
    clearTimeout(this.#timer);
    this.#state = "open";
    this.#socket.resume();
    this.#work();
  }

  #closed(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#yielding);
    this.subscription.close();
  }
}
