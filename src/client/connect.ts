import { Client, type ClientOptions } from "./client.ts";

export type {
  AckOptions,
  ClientOptions,
  GetOptions,
  LifetimeOptions,
  ListOptions,
  PatchOptions,
  Session,
  SessionList,
  SidecarInfo,
  WriteResult,
} from "./client.ts";
export { Client, createClient } from "./client.ts";
export { SessioncastError, type SessioncastErrorCode } from "./errors.ts";

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
