import { Client } from "./client.ts";
import type { ClientOptions } from "./options.ts";

export { Client, createClient } from "./client.ts";
export { SessioncastError, type SessioncastErrorCode } from "./errors.ts";
export type { NearCacheOptions, NearCacheStats } from "./near-cache.ts";
export type * from "./options.ts";
export type { Session } from "./session.ts";
export type { SessionEvent, Watch } from "./watches.ts";

/**
 * Connects to the sidecar of this host. Rejects with SESSIONCAST_UNAVAILABLE when none answers
 * within `timeoutMs`, and with SESSIONCAST_PROTOCOL when one answers that speaks another version.
 */
export async function connect(options: ClientOptions = {}): Promise<Client> {
  const client = new Client(options);
  try {
    await client.ready();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}
