import type { InferredOptionTypes, Options } from "yargs";
import type { LoadedConfiguration } from "../daemon/configuration.ts";
import { socketOption } from "./client-session.ts";

/** Texts throughout: the schema judges them, with the same words as for the environment. */
export const configurationOptions = {
  config: {
    type: "string",
    requiresArg: true,
    describe: "Configuration file (JSON); SESSIONCAST_CONFIG otherwise",
  },
  node: {
    type: "string",
    requiresArg: true,
    describe: "Name of this node, unique in the cluster; the host name otherwise",
  },
  cluster: {
    type: "string",
    requiresArg: true,
    describe: "Name of the cluster; other clusters are ignored",
  },
  ...socketOption,
  mode: { type: "string", requiresArg: true, describe: "multicast or unicast" },
  peers: {
    type: "string",
    requiresArg: true,
    describe: "Hosts of the other nodes, separated by commas; needed without multicast",
  },
  group: { type: "string", requiresArg: true, describe: "Multicast group" },
  port: { type: "string", requiresArg: true, describe: "UDP port of the group, or of this node" },
  interface: {
    type: "string",
    requiresArg: true,
    describe: 'Network: "loopback", "auto", a name or an address of this host',
  },
  "key-file": {
    type: "string",
    requiresArg: true,
    describe: "File of the keys that seal the datagrams; see sessioncast keygen",
  },
  "insecure-plaintext": {
    type: "boolean",
    describe: "Allow datagrams that are neither encrypted nor authenticated beyond this host",
  },
  "log-level": { type: "string", requiresArg: true, describe: "debug, info, warn or error" },
} as const satisfies Record<string, Options>;

export type ConfigurationArguments = InferredOptionTypes<typeof configurationOptions>;

export async function loadFromArguments(
  argv: ConfigurationArguments,
): Promise<LoadedConfiguration> {
  const { loadConfiguration } = await import("../daemon/configuration.ts");
  return loadConfiguration({
    file: argv.config,
    environment: process.env,
    flags: {
      node: argv.node,
      cluster: argv.cluster,
      "local.socket": argv.socket,
      "gossip.mode": argv.mode,
      "gossip.peers": argv.peers,
      "gossip.group": argv.group,
      "gossip.port": argv.port,
      "gossip.interface": argv.interface,
      "gossip.keyFile": argv["key-file"],
      "gossip.insecurePlaintext": argv["insecure-plaintext"],
      "log.level": argv["log-level"],
    },
  });
}
