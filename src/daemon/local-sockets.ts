import { statsVerbs } from "../api/messages.ts";
import { type LocalServer, type ServerOptions, startServer } from "../api/server.ts";
import type { SessionService } from "../api/service.ts";
import { daemonSocketPath } from "../api/socket-path.ts";
import { limits } from "../protocol/limits.ts";
import type { Configuration } from "./configuration.ts";
import type { Log } from "./log.ts";

/** The servers that are open: the one for apps, and the one that shows stats only. */
export interface LocalSockets {
  apps: LocalServer | undefined;
  stats: LocalServer | undefined;
}

export interface LocalSocketPaths {
  readonly socketPath: string;
  /** Undefined: there is no such socket. */
  readonly statsSocketPath: string | undefined;
}

/** Opens what is configured, in `sockets`; after an error none of them is left open. */
export async function openLocalSockets(
  sockets: LocalSockets,
  options: {
    readonly local: Configuration["local"];
    readonly service: SessionService;
    readonly log: Log;
  },
): Promise<LocalSocketPaths> {
  const { local, service } = options;
  const common = { service, log: (...line: Parameters<Log["warn"]>) => options.log.warn(...line) };
  const apps = await startServer({
    ...common,
    path: local.socket || daemonSocketPath(),
    access: accessOf(local, "socket"),
    busyPollMicros: local.busyPollMicros,
  });
  sockets.apps = apps;
  if (local.statsSocket === "") return { socketPath: apps.path, statsSocketPath: undefined };
  try {
    const stats = await startServer({
      ...common,
      path: local.statsSocket,
      access: accessOf(local, "statsSocket"),
      verbs: statsVerbs,
      counters: apps.counters,
      clientsMax: limits.localStatsClientsMax,
      requestsPerTurnMax: limits.localStatsPerTurnMax,
    });
    sockets.stats = stats;
    return { socketPath: apps.path, statsSocketPath: stats.path };
  } catch (error) {
    await closeLocalSockets(sockets);
    throw error;
  }
}

export async function closeLocalSockets({ apps, stats }: LocalSockets): Promise<void> {
  await Promise.all([apps?.close(), stats?.close()]);
}

export function socketWarnings({ insecureDirectory }: Configuration["local"]): string[] {
  if (!insecureDirectory) return [];
  return ["local.insecureDirectory: others may be able to put another socket in place of ours"];
}

function accessOf(
  local: Configuration["local"],
  name: "socket" | "statsSocket",
): NonNullable<ServerOptions["access"]> {
  return {
    mode: Number.parseInt(local[`${name}Mode`], 8),
    directoryMode: Number.parseInt(local.directoryMode, 8),
    insecureDirectory: local.insecureDirectory,
    key: `local.${name}`,
  };
}
