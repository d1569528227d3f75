import { Redis } from "ioredis";
import { createClient as createRedisClient } from "redis";
import { type ClientOptions, connect } from "../../src/client/connect.ts";
import { EchoClient } from "./echo-client.ts";

export type ServerName = "sidecar" | "redis" | "echo";

/** A client as an app would use it, of the simplest kind of session store. */
interface SessionClient {
  /** The session as an object; undefined: there is none. */
  get(id: string): Promise<unknown>;
  set(id: string, session: object): Promise<unknown>;
}

interface Subject {
  readonly server: ServerName;
  open(socket: string): Promise<SessionClient>;
}

/** Room for all that the bench reads. */
const nearCache = { maxCount: 20_000, maxBytes: 64_000_000 };

/** All take the options that they have without being told any. */
export const localSubjects: Readonly<Record<string, Subject>> = {
  sessioncast: { server: "sidecar", open: (socket) => openSessioncast({ socket }) },
  "sessioncast-near": {
    server: "sidecar",
    open: (socket) => openSessioncast({ socket, nearCache }),
  },
  "node-redis": { server: "redis", open: openNodeRedis },
  ioredis: { server: "redis", open: openIoredis },
  echo: { server: "echo", open: openEcho },
};

async function openSessioncast(options: ClientOptions): Promise<SessionClient> {
  // Only a machine that stands still for half a minute ends the bench.
  const client = await connect({ timeoutMs: 30_000, ...options });
  return {
    get: (id) => client.get(id),
    set: (id, session) => client.set(id, session),
  };
}

async function openNodeRedis(socket: string): Promise<SessionClient> {
  const client = createRedisClient({ socket: { path: socket, tls: false } });
  await client.connect();
  return {
    get: async (id) => parsed(await client.get(id)),
    set: (id, session) => client.set(id, JSON.stringify(session)),
  };
}

async function openIoredis(socket: string): Promise<SessionClient> {
  const client = new Redis(socket);
  return {
    get: async (id) => parsed(await client.get(id)),
    set: (id, session) => client.set(id, JSON.stringify(session)),
  };
}

async function openEcho(socket: string): Promise<SessionClient> {
  const client = await EchoClient.connect(socket);
  return { get: () => client.get(), set: async () => undefined };
}

/** What stores for Redis do with a session. */
function parsed(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text);
}
