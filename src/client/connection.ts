import { connect, type Socket } from "node:net";
import { FrameSplitter } from "../api/framing.ts";
import { MsgpackReader } from "../api/msgpack-reader.ts";
import { MsgpackWriter } from "../api/msgpack-writer.ts";
import { decodeReplyHead, decodeReportReply } from "../api/reply-codec.ts";
import { encodeHello, encodeTrack } from "../api/request-encoder.ts";
import { clientSocketPath } from "../api/socket-path.ts";
import { commonVersion, localVersions, versionMismatch } from "../api/versions.ts";
import { limits } from "../protocol/limits.ts";
import { errorOfReply, malformedReply, SessioncastError, timedOut, unavailable } from "./errors.ts";
import { helloRequestId, PendingRequests, trackRequestId } from "./pending-requests.ts";
import { unpackReport } from "./values.ts";

export interface ConnectionOptions {
  /** Undefined: where sidecars listen by default, looked up before each attempt. */
  readonly path: string | undefined;
  readonly timeoutMs: number;
  /** Of so many sessions that are read, changes are to be told; 0: of none. */
  readonly trackCountMax: number;
  /** The sidecar has answered the greeting. */
  connected(): void;
  /** The connection broke, or the first attempt to have one failed. */
  disconnected(): void;
  /** What a watch tells; with `trackRequestId`, of which sessions copies are not valid any more. */
  event(requestId: number, reader: MsgpackReader): void;
}

/** One attempt to have a connection, and the connection that comes of it. */
interface Link {
  socket: Socket;
  readonly path: string;
  readonly splitter: FrameSplitter;
  readonly timer: NodeJS.Timeout;
  /** Until the next try of the same attempt. */
  retryTimer: NodeJS.Timeout | undefined;
  /** When something was read last, and when the first request was sent that timed out since. */
  readMs: number;
  unansweredMs: number;
  stage: "connecting" | "greeting" | "ready";
}

interface Waiter {
  resolve(): void;
  reject(error: SessioncastError): void;
}

/**
 * The connection to the sidecar: a request leaves at once when no other is waited for, else with
 * those of its turn in one write; replies come back in any order. There is no queue for bad times:
 * without a connection a request starts one attempt and shares its fate. After a break the
 * connection is made anew in the background, so that the next request finds it ready. Requests are
 * sent only to a sidecar that has answered the greeting: one that is stopped would do, when it goes
 * on, what was given up long before.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #writer = new MsgpackWriter();
  readonly #reader = new MsgpackReader();
  readonly #pending: PendingRequests;
  readonly #waiters: Waiter[] = [];
  /** Where the socket's octets are read to, for the time that it takes to look at them. */
  readonly #incoming = Buffer.allocUnsafeSlow(limits.clientReadBytes);
  /**
   * When the request was sent that was answered last, by `performance.now`. What the sidecar had to
   * tell by then came before the answer; when that is read says nothing, for a process may be busy.
   */
  #heardMs = Number.NEGATIVE_INFINITY;
  #link: Link | undefined;
  #closed = false;
  #flushDue = false;
  /** Requests that were encoded since the last write. */
  #unflushed = 0;
  /** What listeners were last told; undefined: nothing yet. */
  #announced: "connected" | "disconnected" | undefined;
  #failures = 0;
  #reconnectTimer: NodeJS.Timeout | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#pending = new PendingRequests(
      options.timeoutMs,
      () => this.#holdProcess(),
      (sentMs) => this.#expired(sentMs),
    );
  }

  /** Nobody knows whether copies still hold: what was answered last was asked long ago. */
  get silent(): boolean {
    return performance.now() - this.#heardMs > limits.nearCacheSilenceMsMax;
  }

  /** `encode` must write one frame and must not throw; `decode` may, and the request rejects. */
  request<T>(
    encode: (writer: MsgpackWriter, requestId: number) => void,
    decode: (reader: MsgpackReader) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closedError();
      const unsent = this.#writer.position + (this.#link?.socket.writableLength ?? 0);
      if (unsent > limits.clientBacklogBytesMax) throw unavailable("the sidecar does not keep up");
      const requestId = this.#pending.add(decode, resolve, reject);
      const start = this.#writer.position;
      encode(this.#writer, requestId);
      if (this.#writer.position - start > limits.localFrameBytesMax) {
        this.#writer.truncate(start);
        this.#pending.take(requestId);
        throw new SessioncastError("SESSIONCAST_TOO_LARGE", "the request does not fit a frame");
      }
      this.#send();
    });
  }

  /** Resolves when there is a connection, and starts one attempt when there is none. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closedError();
      if (this.#link?.stage === "ready") return resolve();
      this.#waiters.push({ resolve, reject });
      if (this.#link === undefined) this.#open();
      this.#holdProcess();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#reconnectTimer);
    this.#drop(closedError);
    if (this.#announced === "connected") this.#announce("disconnected");
  }

  #send(): void {
    const isAlone = this.#pending.size === 1;
    if (this.#link === undefined) this.#open();
    else if (this.#link.stage === "ready") {
      // Like Nagle (RFC 896): where nothing is waited for there is nothing to gather behind.
      if (isAlone) this.#flush();
      else this.#flushSoon();
    }
    if (isAlone) this.#holdProcess();
  }

  /** At the end of the turn; or at once, so that the sidecar need not wait for the whole turn. */
  #flushSoon(): void {
    this.#unflushed += 1;
    if (this.#unflushed >= limits.clientRequestsPerWrite) this.#flush();
    else if (!this.#flushDue) {
      this.#flushDue = true;
      process.nextTick(this.#flushDueNow);
    }
  }

  readonly #flushDueNow = (): void => {
    this.#flushDue = false;
    this.#flush();
  };

  #flush(): void {
    this.#unflushed = 0;
    const link = this.#link;
    if (link === undefined || link.stage !== "ready" || this.#writer.position === 0) return;
    this.#writer.sendTo(link.socket);
  }

  #open(): void {
    clearTimeout(this.#reconnectTimer);
    const path = this.#options.path ?? clientSocketPath();
    const noAnswer = () => unavailable(`no sidecar answers at ${path}`);
    const timer = setTimeout(() => this.#fail(link, noAnswer), this.#options.timeoutMs);
    timer.unref();
    const splitter = new FrameSplitter(limits.localFrameBytesMax);
    const socket = this.#connect(path);
    const link: Link = {
      socket,
      path,
      splitter,
      timer,
      retryTimer: undefined,
      readMs: 0,
      unansweredMs: 0,
      stage: "connecting",
    };
    this.#link = link;
    this.#listen(link);
  }

  /** All that is read lies in the same memory, as nothing keeps a view of what it was told. */
  #connect(path: string): Socket {
    const callback = (bytes: number) => {
      const link = this.#link;
      if (link?.socket === socket) this.#receive(link, bytes);
      return true;
    };
    const socket = connect({ path, onread: { buffer: this.#incoming, callback } });
    return socket;
  }

  #listen(link: Link): void {
    const { socket } = link;
    socket.on("connect", () => {
      link.stage = "greeting";
      const greeting = new MsgpackWriter(64);
      encodeHello(greeting, helloRequestId);
      // Before any request: from the first read on.
      const { trackCountMax } = this.#options;
      if (trackCountMax > 0) encodeTrack(greeting, trackRequestId, trackCountMax);
      socket.write(greeting.written());
    });
    let cause: NodeJS.ErrnoException | undefined;
    socket.on("error", (error) => {
      cause = error;
    });
    socket.on("close", () => {
      if (this.#link !== link) return;
      if (link.stage === "connecting" && cause?.code === "EAGAIN") this.#queueAgain(link);
      else this.#fail(link, () => unavailable(this.#breakMessage(link, cause), cause));
    });
    this.#holdProcess();
  }

  /**
   * So many clients wait for the sidecar to accept them that the system takes no more: where TCP
   * would try again by itself, a Unix socket says EAGAIN. The time of the attempt runs on.
   */
  #queueAgain(link: Link): void {
    link.retryTimer = setTimeout(() => {
      link.retryTimer = undefined;
      link.socket = this.#connect(link.path);
      this.#listen(link);
    }, limits.clientReconnectMsMin);
    this.#holdProcess();
  }

  #breakMessage(link: Link, cause?: NodeJS.ErrnoException): string {
    if (link.stage === "ready") return "the connection to the sidecar broke";
    if (cause?.code === "EACCES") return `this user may not use the socket ${link.path}`;
    return `no sidecar answers at ${link.path}`;
  }

  #receive(link: Link, bytes: number): void {
    link.readMs = performance.now();
    link.splitter.feed(this.#incoming, bytes);
    while (this.#link === link && link.splitter.next()) {
      const { buffer, start, end } = link.splitter;
      this.#reader.reset(buffer, start, end);
      const head = decodeReplyHead(this.#reader);
      if (head === undefined) this.#fail(link, malformedReply);
      else if (head.isEvent) this.#tell(link, head.requestId);
      else if (head.requestId > trackRequestId) this.#settle(head.requestId, head.error);
      else if (head.error !== undefined) this.#refused(link, head.error);
      else if (head.requestId === helloRequestId) this.#greeted(link);
    }
    if (link.splitter.oversize) this.#fail(link, malformedReply);
  }

  #tell(link: Link, requestId: number): void {
    this.#options.event(requestId, this.#reader);
    if (!this.#reader.finished) this.#fail(link, malformedReply);
  }

  /** The sidecar does not want this connection and is about to end it. */
  #refused(link: Link, error: { code: string; message: string }): void {
    this.#fail(link, () => errorOfReply(error));
  }

  #settle(requestId: number, error: { code: string; message: string } | undefined): void {
    // Unknown ids are of requests that timed out before.
    const request = this.#pending.take(requestId);
    if (request === undefined) return;
    this.#heardMs = Math.max(this.#heardMs, request.deadlineMs - this.#options.timeoutMs);
    if (error !== undefined) {
      request.reject(errorOfReply(error));
      return;
    }
    try {
      const result = request.decode(this.#reader);
      if (this.#reader.finished) request.resolve(result);
      else request.reject(malformedReply());
    } catch (cause) {
      request.reject(cause instanceof SessioncastError ? cause : malformedReply());
    }
  }

  /**
   * A sidecar that is silent although it owes an answer is stopped, or as good as that. One that
   * asks its peers about the only session that is wanted of it may be silent for a while.
   */
  #expired(sentMs: number): void {
    const link = this.#link;
    if (link?.stage !== "ready" || link.readMs > sentMs) return;
    if (link.unansweredMs < link.readMs) link.unansweredMs = sentMs;
    if (performance.now() - link.unansweredMs <= limits.fetchMsMax) return;
    this.#fail(link, () => timedOut(this.#options.timeoutMs));
  }

  #greeted(link: Link): void {
    if (link.stage === "ready") return;
    const mismatch = this.#mismatchOf(unpackReport(decodeReportReply(this.#reader)));
    if (mismatch !== undefined) {
      this.#fail(link, () => mismatch);
      return;
    }
    link.stage = "ready";
    clearTimeout(link.timer);
    this.#failures = 0;
    this.#flush();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
    this.#holdProcess();
    this.#announce("connected");
  }

  /** What is wrong with the version that the sidecar has chosen of those that it was offered. */
  #mismatchOf(greeting: Record<string, unknown> | undefined): SessioncastError | undefined {
    const chosen = greeting?.protocol;
    if (typeof chosen !== "number" || !this.#reader.finished) return malformedReply();
    const its = { lowest: chosen, highest: chosen };
    if (commonVersion(its, localVersions) !== undefined) return undefined;
    return new SessioncastError("SESSIONCAST_PROTOCOL", versionMismatch(its, localVersions));
  }

  #fail(link: Link, error: () => SessioncastError): void {
    if (this.#link !== link) return;
    this.#drop(error);
    this.#failures += 1;
    const delayMs = Math.min(
      limits.clientReconnectMsMax,
      limits.clientReconnectMsMin * 2 ** Math.min(this.#failures - 1, 16),
    );
    // Half to all of it, so that the apps of a host do not all come back at the same moment.
    const jitteredMs = delayMs * (0.5 + Math.random() / 2);
    this.#reconnectTimer = setTimeout(() => this.#open(), jitteredMs);
    this.#reconnectTimer.unref();
    this.#announce("disconnected");
  }

  /** Lets go of the connection or attempt, and of everything that waited for it. */
  #drop(error: () => SessioncastError): void {
    const link = this.#link;
    this.#link = undefined;
    if (link !== undefined) {
      clearTimeout(link.timer);
      clearTimeout(link.retryTimer);
      link.socket.destroy();
    }
    this.#writer.renew();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error());
    this.#pending.rejectAll(error);
  }

  #announce(state: "connected" | "disconnected"): void {
    if (this.#announced === state) return;
    this.#announced = state;
    if (state === "connected") this.#options.connected();
    else this.#options.disconnected();
  }

  /** An app may end with its connection open, but not while it waits for an answer. */
  #holdProcess(): void {
    const holder = this.#link?.retryTimer ?? this.#link?.socket;
    if (this.#pending.size > 0 || this.#waiters.length > 0) holder?.ref();
    else holder?.unref();
  }
}

function closedError(): SessioncastError {
  return new SessioncastError("SESSIONCAST_CLOSED", "the client was closed");
}
