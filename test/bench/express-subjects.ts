import { RedisStore } from "connect-redis";
import session from "express-session";
import { createClient as createRedisClient } from "redis";
import { SessioncastStore } from "../../src/adapters/express.ts";

interface ExpressSubject {
  /** What the store has behind it. */
  readonly server: "none" | "redis" | "sidecar";
  open(socket: string): session.Store | Promise<session.Store>;
}

export const expressSubjects: Readonly<Record<string, ExpressSubject>> = {
  memory: { server: "none", open: () => new session.MemoryStore() },
  "connect-redis": { server: "redis", open: openRedisStore },
  sessioncast: { server: "sidecar", open: (socket) => new SessioncastStore({ socket, timeoutMs }) },
  "sessioncast-near": {
    server: "sidecar",
    open: (socket) => new SessioncastStore({ socket, timeoutMs, nearCache }),
  },
};

/** Room for all that the bench reads. */
const nearCache = { maxCount: 1_000, maxBytes: 1_000_000 };

/** Only a machine that stands still for half a minute ends the bench. */
const timeoutMs = 30_000;

async function openRedisStore(socket: string): Promise<session.Store> {
  const client = createRedisClient({ socket: { path: socket, tls: false } });
  await client.connect();
  return new RedisStore({ client });
}
