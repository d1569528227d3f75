import { randomBytes } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import type { SessionService } from "../api/service.ts";
import { OperatorError } from "../base/operator-error.ts";
import { isIpv6, parseAddress } from "../net/address.ts";
import { Driver, type DriverOptions } from "../net/driver.ts";
import { type ChosenInterface, chooseInterface, type Family } from "../net/interface-choice.ts";
import { systemLookup } from "../net/seed-resolver.ts";
import { clusterIdentity, type KeyMaterial, Keyring } from "../wire/keyring.ts";
import { newBootId } from "./boot-id.ts";
import { type Configuration, resolveNodeName } from "./configuration.ts";
import { logCoreEvent } from "./core-log.ts";
import { watchEventLoop } from "./event-loop-delay.ts";
import {
  closeLocalSockets,
  type LocalSocketPaths,
  type LocalSockets,
  openLocalSockets,
  socketWarnings,
} from "./local-sockets.ts";
import type { Log } from "./log.ts";
import { guardNetwork } from "./network-guard.ts";
import { NodeKeys, reloadNodeKeys } from "./node-keys.ts";
import { collectStats, type StatsSources } from "./stats.ts";
import { readVersion } from "./version.ts";

export interface Sidecar extends LocalSocketPaths {
  readonly node: string;
  /** Resolves if it cannot go on; the process should end, and be started again. */
  readonly failed: Promise<OperatorError>;
  /** Reads the key file again; logs what came of it. */
  reloadKeys(): void;
  /** Leaves the cluster, gives the socket back; the same promise however often called. */
  close(): Promise<void>;
}

/** Puts the rooms together and runs them: gossip first, then the socket that depends on it. */
export async function startSidecar(options: {
  readonly configuration: Configuration;
  readonly credentialsDirectory: string | undefined;
  readonly log: Log;
}): Promise<Sidecar> {
  const { configuration, credentialsDirectory, log } = options;
  const node = resolveNodeName(configuration.node, hostname());
  const { gossip } = configuration;
  const chosen = chooseInterface(gossip.interface, networkInterfaces(), familyOf(gossip));
  const { keyFile } = gossip;
  const keys = keyFile === "" ? undefined : new NodeKeys(keyFile, credentialsDirectory);
  const warnings = [...guardNetwork(gossip, chosen), ...faultWarnings(configuration)];
  let fail = (_error: OperatorError): void => {};
  const failed = new Promise<OperatorError>((resolve) => {
    fail = resolve;
  });
  const onCloned = () => fail(cloned());
  const settled = { configuration, node, chosen, keys: keys?.material };
  const driver = await Driver.start(driverOptions(settled, log, onCloned));
  warnings.push(...socketWarnings(configuration.local));
  warnings.push(...bufferWarnings(configuration, driver), ...portWarnings(configuration, driver));
  for (const warning of warnings) log.warn("warning", { text: warning });
  const version = readVersion();
  const startedMs = driver.now().monotonicMs;
  const { cluster } = configuration;
  const sockets: LocalSockets = { apps: undefined, stats: undefined };
  const sources: StatsSources = {
    version,
    node,
    cluster,
    startedMs,
    driver,
    sockets,
    eventLoopDelayMs: watchEventLoop(),
    warnings,
    keys,
  };
  const reloadKeys = () =>
    reloadNodeKeys(keys, log, (material) => driver.rekey(new Keyring(material)));
  const service = sessionService(driver, {
    hello: () => ({ version, node, cluster, state: driver.replica.phase }),
    stats: () => collectStats(sources),
    reloadKeys,
  });
  const { local } = configuration;
  const paths = await openLocalSockets(sockets, { local, service, log }).catch(async (error) => {
    await driver.close();
    throw error;
  });
  log.info("started", { node, cluster, socket: paths.socketPath, interface: chosen.address });
  let closing: Promise<void> | undefined;
  const close = async () => {
    await closeLocalSockets(sockets);
    await driver.close();
  };
  return {
    ...paths,
    node,
    failed,
    reloadKeys,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** The replica's commands at the present time; whatever writes wakes the driver. */
function sessionService(
  driver: Driver,
  about: Pick<SessionService, "hello" | "stats" | "reloadKeys">,
): SessionService {
  const { replica } = driver;
  const written = <T>(outcome: T): T => {
    driver.wake();
    return outcome;
  };
  return {
    ...about,
    knows: (id, write) => replica.knows(id, write),
    knowsAll: () => replica.phase !== "joining",
    fetch: (id, write, done) => driver.fetch(id, write, done),
    confirm: (id, ack, done) => driver.confirm(id, ack, done),
    prefetch: (sought) => replica.store.prefetch(sought),
    get: (id) => replica.get(id, driver.now()),
    create: (id, attributes, lifetime) =>
      written(replica.create(id, attributes, lifetime, driver.now())),
    set: (id, attributes, lifetime) => written(replica.set(id, attributes, lifetime, driver.now())),
    patch: (id, set, unset, ifStamp) =>
      written(replica.patch(id, set, unset, driver.now(), ifStamp)),
    touch: (id, idleMs) => written(replica.touch(id, idleMs, driver.now())),
    destroy: (id) => written(replica.destroy(id, driver.now())),
    rotate: (id, newId) => written(replica.rotate(id, newId, driver.now())),
    destroyAll: (owner, except) => written(replica.destroyAll(owner, except, driver.now())),
    observe: (observer) => {
      replica.store.observer = observer;
    },
    list: (query) => replica.list(query, driver.now()),
    count: () => replica.store.live.size,
  };
}

const floodRemedy =
  "only members are heard; find who else sends to this group, or give the cluster its own";

const clockRemedy = "most peers show the time from before: set this machine's clock as theirs";

/** What is settled before the driver starts. */
interface Settled {
  readonly configuration: Configuration;
  readonly node: string;
  readonly chosen: ChosenInterface;
  readonly keys: KeyMaterial | undefined;
}

function driverOptions(
  { configuration, node, chosen, keys }: Settled,
  log: Log,
  onCloned: () => void,
): DriverOptions {
  const { gossip, sessions } = configuration;
  return {
    boot: newBootId(Date.now()),
    seed: randomSeed(),
    cluster: clusterIdentity(configuration.cluster, keys?.identity),
    keyring: keys && new Keyring(keys),
    replica: {
      name: node,
      bytesMax: sessions.bytesMax,
      countMax: sessions.countMax,
      tombstonesMax: sessions.tombstonesMax,
      tombstoneRetentionMs: sessions.tombstoneRetentionMs,
      stubsMax: sessions.stubsMax,
      mode: gossip.mode,
      rateBytesPerSecondMax: gossip.rateBytesPerSecondMax,
      idleMsDefault: sessions.idleMs,
      absoluteMsDefault: sessions.absoluteMs,
    },
    transport: {
      mode: gossip.mode,
      group: gossip.group,
      port: gossip.port,
      wellKnown: gossip.peers.length > 0,
      interface: chosen,
      ttl: gossip.ttl,
      receiveBufferBytes: gossip.receiveBufferBytes,
      faultDropRate: gossip.faultDropRate,
    },
    seeds: {
      peers: gossip.peers,
      portDefault: gossip.port,
      family: familyOf(gossip),
      lookup: systemLookup,
      onFailure: (peer, reason) => log.warn("peer_not_resolved", { peer, reason }),
    },
    onEvent: (event) => logCoreEvent(log, event),
    onCloned,
    onFlood: () => log.warn("group_flooded", { remedy: floodRemedy }),
    onFloodOver: () => log.info("group_calm", {}),
    onClockStep: (byMs) => log.warn("clock_stepped", { byMs: Math.round(byMs) }),
    onClockRefused: (byMs) =>
      log.warn("clock_not_followed", { byMs: Math.round(byMs), remedy: clockRemedy }),
    onClockSettled: () => log.info("clock_settled", {}),
  };
}

/** It lives on in two processes: neither knows which one is meant to be this node. */
function cloned(): OperatorError {
  return new OperatorError(
    "E_CLONED",
    "another process sends under the boot id of this one: a machine was copied while it ran",
    "Start both anew; each start draws a boot id of its own",
  );
}

/** Who could guess what the replica draws could answer its pings for the dead. */
function randomSeed(): [number, number, number] {
  const bytes = randomBytes(12);
  return [bytes.readUInt32BE(0), bytes.readUInt32BE(4), bytes.readUInt32BE(8)];
}

/** What is set to harm on purpose. */
function faultWarnings({ gossip }: Configuration): string[] {
  if (gossip.faultDropRate === 0) return [];
  return ["gossip.faultDropRate drops arriving datagrams on purpose"];
}

/** That of the group; without one, that of the interface as it is named. */
function familyOf(gossip: Configuration["gossip"]): Family {
  const telling = gossip.mode === "unicast" ? gossip.interface : gossip.group;
  return isIpv6(telling) ? "IPv6" : "IPv4";
}

/** What each mode needs to be found by its peers. */
function portWarnings({ gossip }: Configuration, driver: Driver): string[] {
  if (gossip.peers.length === 0) {
    return gossip.mode === "unicast" ? ["gossip.peers is empty: only who knows us finds us"] : [];
  }
  const { port } = parseAddress(driver.transport?.address ?? "");
  if (port === gossip.port) return [];
  return [`UDP port ${gossip.port} is taken, so peers do not reach this node by gossip.peers`];
}

function bufferWarnings(configuration: Configuration, driver: Driver): string[] {
  const asked = configuration.gossip.receiveBufferBytes;
  const granted = driver.transport?.receiveBufferBytes ?? asked;
  if (granted >= asked) return [];
  return [
    `the kernel granted ${granted} of ${asked} bytes of receive buffer, so bursts may be lost; ` +
      `raise it with: sysctl -w net.core.rmem_max=${asked}`,
  ];
}
