import type { Socket } from "node:net";
import { limits } from "../protocol/limits.ts";
import type { BusyPoll } from "./busy-poll.ts";
import type { ChangeFeed, Subscription } from "./change-feed.ts";
import { type RefusalReason, Verb } from "./messages.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";
import type { Caller, LateReply, RequestHandler } from "./request-handler.ts";
import { RequestStream } from "./request-stream.ts";
import type { BadRequest, HelloRequest, Request } from "./requests.ts";
import type { ServerCounters } from "./server-counters.ts";
import { commonVersion, type Versions, versionMismatch } from "./versions.ts";

/** What the connections of a server share. */
export interface ConnectionSurroundings {
  readonly handler: RequestHandler;
  readonly feed: ChangeFeed;
  /** Where the handler writes; empty whenever no connection is at work. */
  readonly writer: MsgpackWriter;
  readonly counters: ServerCounters;
  readonly busyPoll: BusyPoll;
  readonly versions: Versions;
  readonly requestsPerTurnMax: number;
  readonly backlogBytesMax: number;
  readonly backlogMsMax: number;
  log(event: string, fields: Readonly<Record<string, string | number>>): void;
}

type State = "open" | "paused" | "refused";

/**
 * One app process. The requests of a chunk are served in one go and their replies leave in few
 * writes: the app is at work on the first while the others are made. After a share of them the
 * other clients have their turn, so that one with much to do does not keep those with little
 * waiting. What nobody asked for in this turn, events and replies that had to wait, leaves at its
 * end in one write. Events come before any later reply, since who has that believes to have been
 * told of all changes before.
 *
 * A client that does not read is not read from either, in the middle of a chunk if need be: a few
 * bytes of requests can ask for megabytes. Nor is it told anything until it has read what waits.
 */
export class ServerConnection implements Caller {
  readonly subscription: Subscription;
  readonly #socket: Socket;
  readonly #surroundings: ConnectionSurroundings;
  readonly #requests: RequestStream;
  #state: State = "open";
  #greeted = false;
  /** At the end of this turn events leave, and replies that waited; or more requests are served. */
  #turn: NodeJS.Immediate | undefined;
  /** The rest of the requests that came is for the next turn. */
  #yielding = false;
  /** Replies that were due when there was no room for them. */
  #held: LateReply[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, surroundings: ConnectionSurroundings) {
    this.#socket = socket;
    this.#surroundings = surroundings;
    this.#requests = new RequestStream((requests) => {
      if (this.#greeted) surroundings.handler.prefetch(requests);
    });
    this.subscription = surroundings.feed.subscribe(() => this.#soon());
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
  refuse(requestId: number, reason: RefusalReason, detail?: string): void {
    this.#surroundings.handler.refuse(requestId, reason, detail);
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
    this.#requests.feed(chunk);
    if (this.#state !== "open") return;
    if (this.#yielding) this.#pauseIfMuch();
    else {
      const { busyPoll, counters } = this.#surroundings;
      const before = counters.requests;
      busyPoll.arrived();
      this.#work();
      busyPoll.served(counters.requests - before);
    }
  }

  /** The client sends no more: what it has sent is served now, since there is no later turn. */
  #finish(): void {
    if (this.#state === "open") this.#work(Number.MAX_SAFE_INTEGER);
  }

  #work(requestsMax = this.#surroundings.requestsPerTurnMax): void {
    const { backlogBytesMax, writer } = this.#surroundings;
    this.#yielding = false;
    if (this.#held.length > 0) this.#replyHeld();
    // A reply that waited may have left no room for events.
    if (this.#hasRoom) this.subscription.write(writer);
    let turnLeft = requestsMax;
    let more = true;
    do {
      const room = backlogBytesMax - this.#socket.writableLength;
      const end = turnLeft - Math.min(turnLeft, limits.localRepliesPerWrite);
      while (more && this.#state === "open" && writer.position <= room && turnLeft > end) {
        const request = this.#requests.next(turnLeft - end);
        more = request !== undefined;
        if (request !== undefined) this.#serve(request);
        turnLeft -= 1;
      }
      if (!more && this.#requests.oversize && this.#state === "open") {
        this.refuse(0, "oversizeFrame");
      }
      this.#flush();
      if (this.#state !== "open") return;
    } while (more && turnLeft > 0 && this.#hasRoom);
    if (!this.#hasRoom) this.#pause();
    else if (more || this.#held.length > 0) this.#yield();
  }

  get #hasRoom(): boolean {
    return this.#socket.writableLength <= this.#surroundings.backlogBytesMax;
  }

  #yield(): void {
    this.#yielding = true;
    this.#pauseIfMuch();
    this.#soon();
  }

  #soon(): void {
    // Who is paused gets it once there is room.
    if (this.#state === "open") this.#turn ??= setImmediate(this.#takeTurn);
  }

  readonly #takeTurn = (): void => {
    this.#turn = undefined;
    if (this.#state !== "open") return;
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#work();
  };

  /** To stop reading is not worth it for little; much must not become more. */
  #pauseIfMuch(): void {
    if (this.#requests.unread > limits.localUnreadBytesMax) this.#socket.pause();
  }

  #serve(request: Request | BadRequest): void {
    this.#surroundings.counters.requests += 1;
    if (request.verb !== 0 && this.#greeted && request.verb !== Verb.hello) {
      this.#surroundings.handler.handle(request, this);
    } else this.#serveUnusual(request);
  }

  /** A reply that had to wait for peers: it is made now and leaves at the end of this turn. */
  later(write: LateReply): void {
    this.#reply(write, false);
  }

  #reply(write: LateReply, wasHeld: boolean): void {
    if (this.#state === "refused" || this.#socket.destroyed) return;
    if (this.#state === "paused" || !this.#hasRoom) {
      this.#held.push(write);
      return;
    }
    const { writer } = this.#surroundings;
    if (this.#socket.writableCorked === 0) this.#socket.cork();
    this.subscription.write(writer);
    write(wasHeld);
    this.#send();
    this.#soon();
  }

  #replyHeld(): void {
    for (const write of this.#held.splice(0)) this.#reply(write, true);
  }

  #serveUnusual(request: Request | BadRequest): void {
    const { handler } = this.#surroundings;
    const { requestId } = request;
    if (request.verb === 0 && request.reason === "malformedFrame") {
      this.refuse(requestId, request.reason);
    } else if (request.verb === Verb.hello) this.#greet(request);
    else if (!this.#greeted) this.refuse(requestId, "helloMissing");
    else if (request.verb === 0) handler.refuse(requestId, request.reason);
  }

  #greet({ requestId, versions }: HelloRequest): void {
    const { handler, versions: own } = this.#surroundings;
    const version = commonVersion(own, versions);
    if (version === undefined) {
      this.refuse(requestId, "versionUnknown", versionMismatch(own, versions));
      return;
    }
    this.#greeted = true;
    handler.greet(requestId, version);
  }

  #flush(): void {
    this.#send();
    if (this.#socket.writableCorked > 0) this.#socket.uncork();
  }

  #send(): void {
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
    if (this.#state !== "paused") return;
    clearTimeout(this.#timer);
    this.#state = "open";
    this.#socket.resume();
    this.#work();
  }

  #closed(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.subscription.close();
  }
}
