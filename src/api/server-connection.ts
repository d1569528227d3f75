import type { Socket } from "node:net";
import { limits } from "../protocol/limits.ts";
import { FrameSplitter } from "./framing.ts";
import { localProtocolVersion, type RefusalReason, Verb } from "./messages.ts";
import { MsgpackReader, type MsgpackWriter } from "./msgpack.ts";
import { type BadRequest, decodeRequest, type Request } from "./request-decoder.ts";
import type { RequestHandler } from "./request-handler.ts";
import type { ServerCounters } from "./server-counters.ts";

/** What the connections of a server share. */
export interface ConnectionSurroundings {
  readonly handler: RequestHandler;
  /** Where the handler writes; empty whenever no connection is at work. */
  readonly writer: MsgpackWriter;
  readonly counters: ServerCounters;
  readonly backlogBytesMax: number;
  readonly backlogMsMax: number;
  log(event: string, fields: Readonly<Record<string, string | number>>): void;
}

type State = "open" | "paused" | "refused";

/**
 * One app process. All requests of a chunk are served in one go and their replies leave in one
 * write. A client that does not read its replies is not read from either, in the middle of a chunk
 * if need be: a few bytes of requests can ask for megabytes.
 */
export class ServerConnection {
  readonly #socket: Socket;
  readonly #surroundings: ConnectionSurroundings;
  readonly #splitter = new FrameSplitter(limits.localFrameBytesMax);
  readonly #reader = new MsgpackReader();
  #state: State = "open";
  #greeted = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, surroundings: ConnectionSurroundings) {
    this.#socket = socket;
    this.#surroundings = surroundings;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", () => {
      surroundings.counters.connectionsBroken += 1;
    });
    socket.on("close", () => clearTimeout(this.#timer));
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
    if (this.#state === "open") this.#work();
  }

  #work(): void {
    const { backlogBytesMax, writer } = this.#surroundings;
    do {
      const room = backlogBytesMax - this.#socket.writableLength;
      let more = true;
      while (more && this.#state === "open" && writer.position <= room) {
        more = this.#splitter.next();
        if (more) this.#serve();
      }
      if (this.#splitter.oversize && this.#state === "open") this.refuse(0, "oversizeFrame");
      this.#flush();
      if (!more || this.#state !== "open") break;
    } while (this.#socket.writableLength <= backlogBytesMax);
    if (this.#state === "open" && this.#socket.writableLength > backlogBytesMax) this.#pause();
  }

  #serve(): void {
    const { buffer, start, end } = this.#splitter;
    this.#reader.reset(buffer, start, end);
    const request = decodeRequest(this.#reader);
    this.#surroundings.counters.requests += 1;
    if (request.verb !== 0 && this.#greeted && request.verb !== Verb.hello) {
      this.#surroundings.handler.handle(request, this.#later);
    } else this.#serveUnusual(request);
  }

  /** A reply that had to wait for peers. */
  readonly #later = (write: () => void): void => {
    if (this.#state === "refused" || this.#socket.destroyed) return;
    write();
    this.#flush();
  };

  #serveUnusual(request: Request | BadRequest): void {
    const { handler } = this.#surroundings;
    const { requestId } = request;
    if (request.verb === 0 && request.reason === "malformedFrame") {
      this.refuse(requestId, request.reason);
    } else if (request.verb === Verb.hello) {
      if (request.version !== localProtocolVersion) this.refuse(requestId, "versionUnknown");
      else {
        this.#greeted = true;
        handler.handle(request, this.#later);
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
    this.#socket.write(writer.written());
    // The kernel took it all, or else the memory is still in use.
    if (this.#socket.writableLength === 0) writer.clear();
    else writer.renew();
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
    if (this.#state !== "paused") return;
    clearTimeout(this.#timer);
    this.#state = "open";
    this.#socket.resume();
    this.#work();
  }
}
