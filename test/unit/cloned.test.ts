import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Address } from "../../src/core/outbox.ts";
import { loadConfiguration } from "../../src/daemon/configuration.ts";
import { createLog } from "../../src/daemon/log.ts";
import { startSidecar } from "../../src/daemon/sidecar.ts";
import { Driver, type DriverOptions } from "../../src/net/driver.ts";
import type { BootId } from "../../src/protocol/frames.ts";
import { clusterIdentity, Keyring } from "../../src/wire/keyring.ts";
import { writeKeys } from "../support/key-files.ts";
import { testKey } from "../support/test-keys.ts";
import { until } from "../support/until.ts";

const material = { identity: testKey(1), use: testKey(2), open: [] };
const host = "127.0.0.1";
const silent = createLog({ level: "error", write: () => {}, now: Date.now });

interface Running {
  readonly driver: Driver;
  readonly address: Address;
  readonly wasCloned: () => boolean;
}

/** A node of the cluster on loopback that greets these addresses. */
async function startDriver(t: TestContext, boot: BootId, greets: Address[]): Promise<Running> {
  let cloned = false;
  const options: DriverOptions = {
    boot,
    seed: [1, 2, 3],
    cluster: clusterIdentity("default", material.identity),
    keyring: new Keyring(material),
    replica: {
      name: `driver-${boot}`,
      bytesMax: 1 << 24,
      countMax: 1_000,
      tombstonesMax: 1_000,
      tombstoneRetentionMs: 60_000,
      stubsMax: 1_000,
      mode: "unicast",
      idleMsDefault: 60_000,
      absoluteMsDefault: 0,
    },
    transport: {
      mode: "unicast",
      group: "239.255.83.67",
      port: 0,
      wellKnown: false,
      interface: { name: "lo", address: host, loopback: true },
      ttl: 1,
      receiveBufferBytes: 65_536,
      faultDropRate: 0,
    },
    seeds: {
      peers: greets,
      portDefault: 1,
      family: "IPv4",
      lookup: async (name) => [name],
      onFailure: () => {},
    },
    onEvent: () => {},
    onCloned: () => {
      cloned = true;
    },
    onFlood: () => {},
    onFloodOver: () => {},
    onClockStep: () => {},
    onClockRefused: () => {},
    onClockSettled: () => {},
  };
  const driver = await Driver.start(options);
  t.after(() => driver.close());
  return { driver, address: driver.transport?.address ?? "", wasCloned: () => cloned };
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, host);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

/** A whole sidecar that knows this node, and is known to it. */
async function startCopy(t: TestContext, witness: Running) {
  const directory = mkdtempSync(join(tmpdir(), "cloned-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const keyFile = join(directory, "key");
  writeKeys(keyFile, ["identity", 1], ["use", 2]);
  const port = await freePort();
  const environment = {
    SESSIONCAST_NODE: "copy",
    SESSIONCAST_LOCAL_SOCKET: join(directory, "s"),
    SESSIONCAST_GOSSIP_MODE: "unicast",
    SESSIONCAST_GOSSIP_PORT: `${port}`,
    SESSIONCAST_GOSSIP_PEERS: witness.address,
    SESSIONCAST_GOSSIP_KEY_FILE: keyFile,
  };
  const { configuration } = loadConfiguration({ environment, flags: {} });
  const options = { configuration, credentialsDirectory: undefined, log: silent };
  const sidecar = await startSidecar(options);
  t.after(() => sidecar.close());
  const { peers } = witness.driver.replica;
  await until(() => [...peers.up()].some((peer) => peer.phase === "ready"));
  const [peer] = peers.up();
  return { sidecar, address: `${host}:${port}`, boot: peer?.boot ?? "" };
}

test("a copy ends with E_CLONED once it hears the original, which lives on", async (t) => {
  const witness = await startDriver(t, "00000000bbbb00000000000b", []);
  const { sidecar, address, boot } = await startCopy(t, witness);
  const original = await startDriver(t, boot, [address]);
  const error = await sidecar.failed;
  assert.equal(error.code, "E_CLONED");

  const other = await startDriver(t, "00000000eeee00000000000e", [original.address]);
  const { replica } = other.driver;
  await until(() => replica.peers.get(boot)?.state === "up");
  const lifetime = { idleMs: undefined, absoluteMs: undefined };
  original.driver.replica.create("s", [], lifetime, original.driver.now());
  original.driver.wake();
  await until(() => replica.get("s", other.driver.now()) !== undefined);
  assert.equal(original.wasCloned(), false);
  assert.equal(other.wasCloned(), false);

  await sidecar.close();
  // All that the copy had to say has come before this.
  original.driver.transport?.unicast(witness.address, Buffer.from("marker"));
  await until(() => witness.driver.rejects.too_short === 1);
  const { phase } = witness.driver.replica.peers.get(boot) ?? {};
  assert.equal(phase, "ready", "it does not even take its leave");
});
