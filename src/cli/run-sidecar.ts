import { shellWord } from "../base/shell-word.ts";
import type { Configuration, LoadedConfiguration } from "../daemon/configuration.ts";
import { createLog } from "../daemon/log.ts";
import type { Sidecar } from "../daemon/sidecar.ts";
import { readVersion } from "../daemon/version.ts";
import { commandName } from "./command-name.ts";
import { count } from "./format.ts";
import { print } from "./output.ts";
import { formatPairs } from "./table.ts";

/**
 * Runs until SIGTERM or SIGINT, which leave the cluster first, so that peers need not find out.
 * Whoever sends a second signal wants it to end at once. SIGHUP is for the keys; without any it is
 * what it is to other programs: the terminal has gone.
 */
export async function runSidecar(loaded: LoadedConfiguration): Promise<void> {
  const { configuration, credentialsDirectory } = loaded;
  const log = createLog({
    level: configuration.log.level,
    write: (line) => process.stderr.write(line),
    now: Date.now,
  });
  // Before the start: a signal that arrives meanwhile must not leave a socket file behind.
  const hasKeys = configuration.gossip.keyFile !== "";
  const stopped = nextSignal(["SIGTERM", "SIGINT", ...(hasKeys ? [] : ["SIGHUP"])]);
  const { startSidecar } = await import("../daemon/sidecar.ts");
  const starting = startSidecar({ configuration, credentialsDirectory, log });
  if (hasKeys) reloadOnSignal(starting);
  const sidecar = await starting;
  print(describeStart(loaded, sidecar));
  const end = await Promise.race([stopped, sidecar.failed]);
  if (typeof end !== "string") log.error("failed", { code: end.code });
  else log.info("stopping", { signal: end });
  await sidecar.close();
  if (typeof end !== "string") throw end;
  log.info("stopped");
}

/** Of keys that change while it starts, it may have read either. */
function reloadOnSignal(starting: Promise<{ reloadKeys(): void }>): void {
  process.on("SIGHUP", () => {
    starting.then(
      (sidecar) => sidecar.reloadKeys(),
      () => {},
    );
  });
}

const exitCodeOfSecondSignal = 1;

function nextSignal(names: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (signal: string) => {
      if (isStopping) process.exit(exitCodeOfSecondSignal);
      isStopping = true;
      resolve(signal);
    };
    for (const name of names) process.on(name, onSignal);
  });
}

function gossipWords({ mode, group, port, peers }: Configuration["gossip"]): string {
  return mode === "unicast" ? `port ${port}, ${count(peers.length, "peer")}` : `${group}:${port}`;
}

function sealWords({ keyFile, insecurePlaintext }: Configuration["gossip"]): string {
  if (keyFile !== "") return `sealed with the keys in ${keyFile}`;
  return insecurePlaintext
    ? "NOT SEALED, not even on a network"
    : "not sealed, on this machine only";
}

function describeStart(
  { configuration, origins }: LoadedConfiguration,
  sidecar: Pick<Sidecar, "node" | "socketPath" | "statsSocketPath">,
): string {
  const { cluster, gossip } = configuration;
  const command = commandName();
  const isElsewhere = origins["local.socket"] !== "default";
  const socket = isElsewhere ? ` --socket ${shellWord(sidecar.socketPath)}` : "";
  const { statsSocketPath } = sidecar;
  const ofStats = statsSocketPath === undefined ? [] : [["stats socket", statsSocketPath] as const];
  return [
    `sessioncast ${readVersion()} runs node ${sidecar.node} of cluster ${cluster}`,
    formatPairs(
      [
        ["process", String(process.pid)],
        ["local socket", sidecar.socketPath],
        ...ofStats,
        ["gossip", `${gossipWords(gossip)}, interface ${gossip.interface}`],
        ["datagrams", sealWords(gossip)],
      ],
      "  ",
    ),
    "try in another terminal:",
    `  ${command} set${socket} demo name=ada visits=1`,
    `  ${command} get${socket} demo`,
    `  ${command} stats${socket} --watch`,
  ].join("\n");
}
