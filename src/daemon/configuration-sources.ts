import { readFileSync } from "node:fs";
import { OperatorError } from "../base/operator-error.ts";
import {
  type ConfigurationKey,
  configurationKeys,
  isConfigurationKey,
  type SettingValue,
  schema,
} from "./configuration-schema.ts";
import { findJsonFault } from "./json-fault.ts";
import { nearestKey, nearestName } from "./nearest-name.ts";
import { escapeUnseen } from "./shown-text.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
export type ConfigurationFlags = {
  readonly [K in ConfigurationKey]?: SettingValue | undefined;
};

/** A value somebody gave, not yet checked, and the words that lead the operator to it. */
export interface Candidate {
  readonly value: unknown;
  readonly place: string;
}

export type Candidates = ReadonlyMap<ConfigurationKey, Candidate>;

const environmentPrefix = "SESSIONCAST_";
export const fileVariable = "SESSIONCAST_CONFIG";
const aliases: Readonly<Record<string, ConfigurationKey>> = { SESSIONCAST_SOCKET: "local.socket" };

/** The keys one may choose on the command line; the rest is for the file and the environment. */
export const flagNames = {
  node: "node",
  cluster: "cluster",
  "local.socket": "socket",
  "gossip.mode": "mode",
  "gossip.peers": "peers",
  "gossip.group": "group",
  "gossip.port": "port",
  "gossip.interface": "interface",
  "gossip.keyFile": "key-file",
  "gossip.insecurePlaintext": "insecure-plaintext",
  "log.level": "log-level",
} as const satisfies { readonly [K in ConfigurationKey]?: string };

/** `gossip.receiveBufferBytes` -> `SESSIONCAST_GOSSIP_RECEIVE_BUFFER_BYTES`. */
export function environmentName(key: ConfigurationKey): string {
  const words = key.replaceAll(".", "_").replaceAll(/[A-Z]/g, (letter) => `_${letter}`);
  return environmentPrefix + words.toUpperCase();
}

const keyOfVariable: ReadonlyMap<string, ConfigurationKey> = new Map([
  ...configurationKeys.map((key) => [environmentName(key), key] as const),
  ...Object.entries(aliases),
]);

export function readEnvironment(environment: Environment): Candidates {
  const candidates = new Map<ConfigurationKey, Candidate>();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(environmentPrefix) || variable === fileVariable) continue;
    if (value === undefined) continue;
    const key = keyOfVariable.get(variable);
    if (key === undefined) throw unknownVariable(variable);
    const earlier = candidates.get(key);
    const candidate = { value: schema[key].fromText(value), place: `environment: ${variable}` };
    if (earlier !== undefined && earlier.value !== candidate.value) {
      throw new OperatorError(
        "E_CONFIG_VALUE",
        `${key} is given twice (${earlier.place}, ${candidate.place}) with different values`,
        "Keep one of the two variables",
      );
    }
    candidates.set(key, candidate);
  }
  return candidates;
}

function unknownVariable(variable: string): OperatorError {
  const nearest = nearestName(variable, [...keyOfVariable.keys(), fileVariable]);
  return new OperatorError(
    "E_CONFIG_KEY",
    `the environment variable ${showKey(variable)} is not known`,
    `Remove it or correct its name; the nearest known one is ${nearest}`,
  );
}

export function readFlags(flags: ConfigurationFlags): Candidates {
  const candidates = new Map<ConfigurationKey, Candidate>();
  for (const key of configurationKeys) {
    const value = flags[key];
    if (value === undefined) continue;
    const read = typeof value === "string" ? schema[key].fromText(value) : value;
    candidates.set(key, { value: read, place: flagPlace(key) });
  }
  return candidates;
}

function flagPlace(key: ConfigurationKey): string {
  const names: { readonly [K in ConfigurationKey]?: string } = flagNames;
  return names[key] === undefined ? "flag" : `flag: --${names[key]}`;
}

export function readFile(file: string): Candidates {
  const candidates = new Map<ConfigurationKey, Candidate>();
  collect({ section: parseFile(file), path: "", place: `file: ${file}`, candidates });
  return candidates;
}

function parseFile(file: string): object {
  const text = readText(file);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    const fault = findJsonFault(text);
    const position = fault === undefined ? "" : ` at line ${fault.line}, column ${fault.column}`;
    throw new OperatorError(
      "E_CONFIG_JSON",
      `the configuration file ${file} is not valid JSON${position}`,
      "Correct it there; JSON has no comments and no comma after the last entry",
      { cause },
    );
  }
  if (isSection(parsed)) return parsed;
  throw new OperatorError(
    "E_CONFIG_JSON",
    `the configuration file ${file} does not hold a JSON object`,
    'Start from an empty one, {}, and add keys: { "gossip": { "port": 45883 } }',
  );
}

function readText(file: string): string {
  try {
    // Some editors put a byte order mark before the text; JSON.parse would refuse it.
    return readFileSync(file, "utf8").replace(/^\ufeff/, "");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
    throw new OperatorError(
      "E_CONFIG_FILE",
      `the configuration file ${file} cannot be read (${code})`,
      `Correct the path that --config or ${fileVariable} gives, or leave it out to use defaults`,
      { cause },
    );
  }
}

interface Collection {
  readonly section: object;
  /** Of the section, with the closing dot; empty at the top. */
  readonly path: string;
  readonly place: string;
  readonly candidates: Map<ConfigurationKey, Candidate>;
}

function collect({ section, path, place, candidates }: Collection): void {
  for (const [name, value] of Object.entries(section)) {
    const key = path + name;
    if (name.includes(".")) throw dottedKey(key, place);
    if (isConfigurationKey(key)) {
      candidates.set(key, { value, place });
    } else if (!configurationKeys.some((known) => known.startsWith(`${key}.`))) {
      throw unknownKey({ key, value, place });
    } else if (isSection(value)) {
      collect({ section: value, path: `${key}.`, place, candidates });
    } else {
      throw new OperatorError(
        "E_CONFIG_VALUE",
        `${key} is ${showValue(value)} (${place}), but it is a section`,
        `Set it to an object: { "${key}": { ... } }`,
      );
    }
  }
}

function isSection(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unknownKey(given: { key: string; value: unknown; place: string }): OperatorError {
  return new OperatorError(
    "E_CONFIG_KEY",
    `${showKey(given.key)} = ${showValue(given.value)} (${given.place}) is not a known key`,
    `Remove it or correct its name; the nearest known key is ${nearestKey(given.key)}`,
  );
}

function dottedKey(key: string, place: string): OperatorError {
  const [first = "", ...rest] = key.split(".");
  const nested = `{ "${showKey(first)}": { "${showKey(rest.join("."))}": ... } }`;
  return new OperatorError(
    "E_CONFIG_KEY",
    `${showKey(key)} (${place}) is written with a dot in its name`,
    `Write it nested, ${nested}; the nearest known key is ${nearestKey(key)}`,
  );
}

const shownCharactersMax = 80;

/** As JSON, cut to a line: a wrong value may be a whole file pasted in. */
export function showValue(value: unknown): string {
  const json = escapeUnseen(JSON.stringify(value) ?? String(value));
  return json.length <= shownCharactersMax ? json : `${json.slice(0, shownCharactersMax)}…`;
}

/** Without quotes and with control characters escaped: it may end up on a terminal. */
function showKey(key: string): string {
  return showValue(key).replace(/^"|"$/g, "");
}
