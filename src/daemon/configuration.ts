import { OperatorError } from "../base/operator-error.ts";
import {
  type Configuration,
  type ConfigurationKey,
  type ConfigurationValue,
  configurationKeys,
  isName,
  type SettingValue,
  schema,
} from "./configuration-schema.ts";
import {
  type Candidate,
  type Candidates,
  type ConfigurationFlags,
  type Environment,
  environmentName,
  fileVariable,
  readEnvironment,
  readFile,
  readFlags,
  showValue,
} from "./configuration-sources.ts";

export type { Configuration } from "./configuration-schema.ts";

export type Origin = "default" | "file" | "environment" | "flag";

export interface ConfigurationSources {
  /** From `--config`; wins over SESSIONCAST_CONFIG. */
  readonly file?: string | undefined;
  readonly environment: Environment;
  readonly flags: ConfigurationFlags;
}

export interface ConfigurationEntry {
  readonly key: ConfigurationKey;
  readonly value: SettingValue;
  readonly origin: Origin;
}

export interface LoadedConfiguration {
  readonly configuration: Configuration;
  readonly origins: Readonly<Record<ConfigurationKey, Origin>>;
  /** The same, flat and in the order of the schema. */
  readonly entries: readonly ConfigurationEntry[];
  /** Where the service manager has put credentials, if it has. */
  readonly credentialsDirectory: string | undefined;
}

/**
 * Defaults < file < environment < flags. Whatever is wrong stops the start with an OperatorError,
 * also in a source that a later one overrides: a forgotten mistake would come back some day.
 */
export function loadConfiguration(sources: ConfigurationSources): LoadedConfiguration {
  const resolved = new Resolver(sources);
  const value = <K extends ConfigurationKey>(key: K) => resolved.value(key);
  const configuration: Configuration = {
    node: value("node"),
    cluster: value("cluster"),
    local: {
      socket: value("local.socket"),
      socketMode: value("local.socketMode"),
      directoryMode: value("local.directoryMode"),
      insecureDirectory: value("local.insecureDirectory"),
      statsSocket: value("local.statsSocket"),
      statsSocketMode: value("local.statsSocketMode"),
      busyPollMicros: value("local.busyPollMicros"),
    },
    gossip: {
      mode: value("gossip.mode"),
      peers: value("gossip.peers"),
      group: value("gossip.group"),
      port: value("gossip.port"),
      interface: value("gossip.interface"),
      ttl: value("gossip.ttl"),
      receiveBufferBytes: value("gossip.receiveBufferBytes"),
      rateBytesPerSecondMax: value("gossip.rateBytesPerSecondMax"),
      keyFile: value("gossip.keyFile"),
      insecurePlaintext: value("gossip.insecurePlaintext"),
      faultDropRate: value("gossip.faultDropRate"),
    },
    sessions: {
      bytesMax: value("sessions.bytesMax"),
      countMax: value("sessions.countMax"),
      idleMs: value("sessions.idleMs"),
      absoluteMs: value("sessions.absoluteMs"),
      tombstoneRetentionMs: value("sessions.tombstoneRetentionMs"),
      tombstonesMax: value("sessions.tombstonesMax"),
      stubsMax: value("sessions.stubsMax"),
    },
    log: { level: value("log.level") },
  };
  const entries = configurationKeys.map((key) => ({
    key,
    value: resolved.value(key),
    origin: resolved.origin(key),
  }));
  const origins = Object.fromEntries(entries.map(({ key, origin }) => [key, origin]));
  return {
    configuration,
    origins: origins as Record<ConfigurationKey, Origin>,
    entries,
    credentialsDirectory: sources.environment.CREDENTIALS_DIRECTORY || undefined,
  };
}

/** The name a node goes by. A host name is not ours to choose, so it may be no valid one. */
export function resolveNodeName(node: string, hostName: string): string {
  if (node !== "") return node;
  if (isName(hostName)) return hostName;
  throw new OperatorError(
    "E_NODE_NAME",
    `the host name ${showValue(hostName)} cannot serve as the name of the node`,
    `Set node (--node, ${environmentName("node")}) to ${schema.node.allowed}`,
  );
}

class Resolver {
  readonly #sources: readonly (readonly [Origin, Candidates])[];

  constructor(sources: ConfigurationSources) {
    const file = sources.file ?? (sources.environment[fileVariable] || undefined);
    // The strongest first.
    this.#sources = [
      ["flag", readFlags(sources.flags)],
      ["environment", readEnvironment(sources.environment)],
      ["file", file === undefined ? new Map() : readFile(file)],
    ];
    for (const [, candidates] of this.#sources) {
      for (const [key, candidate] of candidates) readCandidate(key, candidate);
    }
  }

  origin(key: ConfigurationKey): Origin {
    return this.#sources.find(([, candidates]) => candidates.has(key))?.[0] ?? "default";
  }

  value<K extends ConfigurationKey>(key: K): ConfigurationValue<K> {
    for (const [, candidates] of this.#sources) {
      const candidate = candidates.get(key);
      if (candidate !== undefined) return readCandidate(key, candidate);
    }
    return schema[key].default;
  }
}

function readCandidate<K extends ConfigurationKey>(
  key: K,
  candidate: Candidate,
): ConfigurationValue<K> {
  const value = schema[key].read(candidate.value);
  if (value !== undefined) return value;
  throw new OperatorError(
    "E_CONFIG_VALUE",
    `${key} is ${showValue(candidate.value)} (${candidate.place})`,
    `Set it to ${schema[key].allowed}`,
  );
}
