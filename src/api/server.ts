import { createServer, type Socket } from "node:net";
import { limits } from "../protocol/limits.ts";
import { BusyPoll } from "./busy-poll.ts";
import { ChangeFeed } from "./change-feed.ts";
import type { Verb } from "./messages.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";
import { RequestHandler } from "./request-handler.ts";
import { type ConnectionSurroundings, ServerConnection } from "./server-connection.ts";
import { createServerCounters, type ServerCounters } from "./server-counters.ts";
import type { SessionService } from "./service.ts";
import { ownerAndGroup, type SocketAccess } from "./socket-access.ts";
import { takeSocketPath } from "./socket-file.ts";
import { localVersions, type Versions } from "./versions.ts";

export interface ServerOptions {
  /** Where the Unix socket is put; its directory is made when missing. */
  readonly path: string;
  readonly service: SessionService;
  /** Who may use the socket; by default its owner and group. */
  readonly access?: SocketAccess;
  /** The only verbs that are served; by default all. */
  readonly verbs?: ReadonlySet<Verb>;
  /** To count on those of another server; by default it has its own. */
  readonly counters?: ServerCounters;
  /** Told of connections that the server ends. Fields never hold session ids or values. */
  readonly log?: (event: string, fields: Readonly<Record<string, string | number>>) => void;
  /** How long to stay awake for the next request; 0, the default: not at all. See BusyPoll. */
  readonly busyPollMicros?: number;
  /** What it speaks; a test may have it be of another time. */
  readonly versions?: Versions;
  /** Bounds as in `limits`, which a test may tighten. */
  readonly clientsMax?: number;
  readonly requestsPerTurnMax?: number;
  readonly backlogBytesMax?: number;
  readonly backlogMsMax?: number;
}

export interface LocalServer {
  readonly path: string;
  /** Connections that are open. */
  readonly clients: number;
  readonly counters: ServerCounters;
  /** Octets that wait for clients to read them, of all together. */
  readonly backlogBytes: number;
  /** Copies that clients keep, and connections that watch. */
  readonly tracked: number;
  readonly watching: number;
  /** Gives the path back and ends all connections; the same promise however often called. */
  close(): Promise<void>;
}

/** Serves the local protocol. Rejects with an OperatorError when the path cannot be taken. */
export async function startServer(options: ServerOptions): Promise<LocalServer> {
  const counters = options.counters ?? createServerCounters();
  // One for all: a connection fills and sends it within one turn, never across two.
  const writer = new MsgpackWriter();
  const busyPoll = new BusyPoll(options.busyPollMicros ?? 0, counters);
  const surroundings: ConnectionSurroundings = {
    writer,
    counters,
    busyPoll,
    feed: new ChangeFeed((observer) => options.service.observe(observer), counters),
    handler: new RequestHandler(options.service, writer, counters, options.verbs),
    versions: options.versions ?? localVersions,
    requestsPerTurnMax: options.requestsPerTurnMax ?? limits.localRequestsPerTurnMax,
    backlogBytesMax: options.backlogBytesMax ?? limits.localBacklogBytesMax,
    backlogMsMax: options.backlogMsMax ?? limits.localBacklogMsMax,
    log: options.log ?? (() => {}),
  };
  const clientsMax = options.clientsMax ?? limits.localClientsMax;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    counters.connections += 1;
    const connection = new ServerConnection(socket, surroundings);
    socket.on("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) busyPoll.stop();
    });
    if (sockets.size >= clientsMax) connection.refuse(0, "clientsTooMany");
    sockets.add(socket);
  });
  const socketPath = await takeSocketPath(server, options.path, options.access ?? ownerAndGroup);
  // Past listening, an error is a failed accept (no descriptors left): that client is not served.
  server.on("error", (error: NodeJS.ErrnoException) => {
    surroundings.log("accept_failed", { code: error.code ?? "unknown" });
  });

  let closing: Promise<void> | undefined;
  return {
    path: options.path,
    counters,
    get clients() {
      return sockets.size;
    },
    get backlogBytes() {
      return [...sockets].reduce((sum, socket) => sum + socket.writableLength, 0);
    },
    get tracked() {
      return surroundings.feed.tracked;
    },
    get watching() {
      return surroundings.feed.watching;
    },
    close() {
      closing ??= new Promise<void>((resolve) => {
        socketPath.release();
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
      return closing;
    },
  };
}
