import type { GossipMode } from "../core/membership/group.ts";
import { readHostPort } from "../net/address.ts";
import { limits } from "../protocol/limits.ts";
import { isIpv4Address, isIpv6Address, isMulticastAddress } from "./numeric-address.ts";

/** What an operator may choose. Everything else is a limit and lives in `protocol/limits.ts`. */
export interface Configuration {
  /** Empty: the host name; see `resolveNodeName`. */
  readonly node: string;
  readonly cluster: string;
  readonly local: {
    /** Empty: where the client library looks by default. */
    readonly socket: string;
    /** Octal, as chmod takes it; likewise the other modes. */
    readonly socketMode: string;
    /** Of directories that are made for a socket. */
    readonly directoryMode: string;
    /** Others may write to the directory, and so put a socket of theirs in place of ours. */
    readonly insecureDirectory: boolean;
    /** Of the socket that shows stats only; empty: there is none. */
    readonly statsSocket: string;
    readonly statsSocketMode: string;
    /** How long to stay awake for the next request of clients that ask without a pause. */
    readonly busyPollMicros: number;
  };
  readonly gossip: {
    readonly mode: GossipMode;
    readonly peers: readonly string[];
    readonly group: string;
    readonly port: number;
    readonly interface: string;
    readonly ttl: number;
    readonly receiveBufferBytes: number;
    readonly rateBytesPerSecondMax: number;
    /** Empty: no key. */
    readonly keyFile: string;
    readonly insecurePlaintext: boolean;
    readonly faultDropRate: number;
  };
  readonly sessions: {
    readonly bytesMax: number;
    readonly countMax: number;
    readonly idleMs: number;
    readonly absoluteMs: number;
    readonly tombstoneRetentionMs: number;
    readonly tombstonesMax: number;
    readonly stubsMax: number;
  };
  readonly log: {
    readonly level: LogLevel;
  };
}

export const gossipModes: readonly GossipMode[] = ["multicast", "unicast"];
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

type DottedKey<T> = {
  [S in keyof T & string]: T[S] extends object ? `${S}.${keyof T[S] & string}` : S;
}[keyof T & string];

/** A key as it is printed and looked up: `gossip.port`. */
export type ConfigurationKey = DottedKey<Configuration>;

export type ConfigurationValue<K extends ConfigurationKey> = K extends keyof Configuration
  ? Configuration[K]
  : K extends `${infer S extends keyof Configuration}.${infer N}`
    ? N extends keyof Configuration[S]
      ? Configuration[S][N]
      : never
    : never;

export type SettingValue = string | number | boolean | readonly string[];

export interface Setting<V> {
  readonly default: V;
  /** Completes the sentence "Set it to ...". */
  readonly allowed: string;
  /** Given a value of the file: the setting, or undefined when it is not allowed. */
  read(candidate: unknown): V | undefined;
  /** What a text of the environment or of a flag would be in the file. */
  fromText(text: string): unknown;
}

/** A JavaScript Map holds 2^24 entries; a store that may grow beyond would fail under load. */
const entriesMax = 16_000_000;
/** `sun_path` is 104 octets on BSD and macOS and 108 on Linux, with the closing zero. */
const socketPathBytesMax = 103;
/** The owner can use it in any case; to execute a socket means nothing. */
const socketModes = /^0?6[0246]0$/;
const directoryModes = /^0?7[0-7]0$/;
/** `PATH_MAX` of Linux, with the closing zero. */
const pathBytesMax = 4_095;

/** The only place where a default, a bound or a type of a key is written. */
export const schema: { readonly [K in ConfigurationKey]: Setting<ConfigurationValue<K>> } = {
  node: name({ default: "", emptyMeans: "the host name" }),
  cluster: name({ default: "default" }),
  "local.socket": socketPath({ emptyMeans: "the default place" }),
  "local.socketMode": mode({ default: "0660", ownerOnly: "0600", pattern: socketModes }),
  "local.directoryMode": mode({ default: "0750", ownerOnly: "0700", pattern: directoryModes }),
  "local.insecureDirectory": flag({ default: false }),
  "local.statsSocket": socketPath({ emptyMeans: "none" }),
  "local.statsSocketMode": mode({ default: "0660", ownerOnly: "0600", pattern: socketModes }),
  "local.busyPollMicros": integer({ default: 50, min: 0, max: 10_000 }),
  "gossip.mode": choice({ default: "multicast", choices: gossipModes }),
  "gossip.peers": list({
    allowed: `at most ${limits.seedsMax} of "host", "host:port", "[IPv6 address]:port"`,
    max: limits.seedsMax,
    accept: (peer) => readHostPort(peer, 1) !== undefined,
  }),
  "gossip.group": text({
    default: "239.255.83.67",
    allowed: "a multicast address (224.0.0.0 to 239.255.255.255, or of IPv6, such as ff15::5343)",
    accept: isMulticastAddress,
  }),
  "gossip.port": integer({ default: 45_883, min: 1, max: 65_535 }),
  "gossip.interface": text({
    default: "loopback",
    allowed: '"loopback", "auto", the name of an interface or an address of this host',
    accept: isInterfaceChoice,
  }),
  "gossip.ttl": integer({ default: 1, min: 0, max: 255 }),
  "gossip.receiveBufferBytes": integer({ default: 4_194_304, min: 8_192, max: 1_073_741_824 }),
  "gossip.rateBytesPerSecondMax": integer({
    default: limits.rateBytesPerSecondDefault,
    min: limits.rateBytesPerSecondMin,
    max: 1_099_511_627_776,
  }),
  "gossip.keyFile": text({
    default: "",
    allowed: `a path of at most ${pathBytesMax} octets (empty: no key)`,
    accept: (path) => !path.includes("\0") && Buffer.byteLength(path) <= pathBytesMax,
  }),
  "gossip.insecurePlaintext": flag({ default: false }),
  "gossip.faultDropRate": fraction({ default: 0, min: 0, max: 0.9 }),
  "sessions.bytesMax": integer({
    default: 268_435_456,
    // A session of the largest size must fit beside the one that replaces it.
    min: 2 * limits.sessionBytesMax,
    max: 1_099_511_627_776,
  }),
  "sessions.countMax": integer({ default: 1_000_000, min: 1, max: entriesMax }),
  "sessions.idleMs": integer({ default: 1_800_000, min: 0, max: limits.durationMsMax }),
  "sessions.absoluteMs": integer({ default: 0, min: 0, max: limits.durationMsMax }),
  "sessions.tombstoneRetentionMs": integer({
    default: 86_400_000,
    min: limits.tombstoneRetentionMsMin,
    max: limits.durationMsMax,
  }),
  "sessions.tombstonesMax": integer({ default: 1_000_000, min: 1, max: entriesMax }),
  "sessions.stubsMax": integer({ default: 4_000_000, min: 1, max: entriesMax }),
  "log.level": choice({ default: "info", choices: logLevels }),
};

export const configurationKeys: readonly ConfigurationKey[] =
  Object.keys(schema).filter(isConfigurationKey);

export function isConfigurationKey(key: string): key is ConfigurationKey {
  return Object.hasOwn(schema, key);
}

interface TextOptions {
  readonly default: string;
  readonly allowed: string;
  accept(text: string): boolean;
}

function text(options: TextOptions): Setting<string> {
  return {
    default: options.default,
    allowed: options.allowed,
    read: (candidate) =>
      typeof candidate === "string" && options.accept(candidate) ? candidate : undefined,
    fromText: (given) => given,
  };
}

/** The alphabet of names keeps them whole in logs, tables, file names and metric labels. */
export function isName(candidate: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(candidate) && candidate.length <= limits.nodeNameBytesMax;
}

function name(options: {
  readonly default: string;
  readonly emptyMeans?: string;
}): Setting<string> {
  const empty = options.emptyMeans === undefined ? "" : ` (empty: ${options.emptyMeans})`;
  return text({
    default: options.default,
    allowed: `1 to ${limits.nodeNameBytesMax} letters, digits, dots, dashes or underscores${empty}`,
    accept: (given) => isName(given) || (given === "" && options.emptyMeans !== undefined),
  });
}

function socketPath({ emptyMeans }: { readonly emptyMeans: string }): Setting<string> {
  return text({
    default: "",
    allowed: `a path of at most ${socketPathBytesMax} octets (empty: ${emptyMeans})`,
    accept: (path) => !path.includes("\0") && Buffer.byteLength(path) <= socketPathBytesMax,
  });
}

/** Never anything for others: what everybody on the host may use is no local socket. */
function mode(options: {
  readonly default: string;
  readonly ownerOnly: string;
  readonly pattern: RegExp;
}): Setting<string> {
  return text({
    default: options.default,
    allowed:
      `"${options.default}" (owner and group), "${options.ownerOnly}" (owner) or another octal ` +
      "text that has nothing for others; who else is to use the socket belongs into its group",
    accept: (given) => options.pattern.test(given),
  });
}

/** In the environment and in a flag the texts are separated by commas. */
function list(options: {
  readonly allowed: string;
  readonly max: number;
  accept(text: string): boolean;
}): Setting<readonly string[]> {
  const isList = (candidate: unknown): candidate is readonly string[] =>
    Array.isArray(candidate) &&
    candidate.length <= options.max &&
    candidate.every((item) => typeof item === "string" && options.accept(item));
  return {
    default: [],
    allowed: options.allowed,
    read: (candidate) => (isList(candidate) ? candidate : undefined),
    fromText: (given) => (given === "" ? [] : given.split(",").map((item) => item.trim())),
  };
}

interface NumberOptions {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

function integer(options: NumberOptions): Setting<number> {
  return {
    default: options.default,
    allowed: `an integer from ${options.min} to ${options.max}`,
    read: (candidate) =>
      Number.isInteger(candidate) && isWithin(candidate, options) ? candidate : undefined,
    fromText: (given) => (/^\d{1,16}$/.test(given) ? Number(given) : given),
  };
}

function fraction(options: NumberOptions): Setting<number> {
  return {
    default: options.default,
    allowed: `a number from ${options.min} to ${options.max}`,
    read: (candidate) => (isWithin(candidate, options) ? candidate : undefined),
    fromText: (given) => (/^\d{1,3}(\.\d{1,16})?$/.test(given) ? Number(given) : given),
  };
}

function isWithin(candidate: unknown, bounds: NumberOptions): candidate is number {
  return typeof candidate === "number" && candidate >= bounds.min && candidate <= bounds.max;
}

function flag(options: { readonly default: boolean }): Setting<boolean> {
  return {
    default: options.default,
    allowed: "true or false",
    read: (candidate) => (typeof candidate === "boolean" ? candidate : undefined),
    fromText: (given) => (given === "true" ? true : given === "false" ? false : given),
  };
}

function choice<C extends string>(options: {
  readonly default: C;
  readonly choices: readonly C[];
}): Setting<C> {
  return {
    default: options.default,
    allowed: `one of ${options.choices.join(", ")}`,
    read: (candidate) => options.choices.find((known) => known === candidate),
    fromText: (given) => given,
  };
}

/** Whether such an interface exists is for the socket to say; it may appear later. */
function isInterfaceChoice(interfaceChoice: string): boolean {
  if (/^[\d.]+$/.test(interfaceChoice)) return isIpv4Address(interfaceChoice);
  if (interfaceChoice.includes(":")) return isIpv6Address(interfaceChoice);
  return /^[^\p{C}\p{Z}](?:[^\p{C}]{0,62}[^\p{C}\p{Z}])?$/u.test(interfaceChoice);
}
