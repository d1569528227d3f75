import { execFileSync } from "node:child_process";

/** Why this machine cannot have networks of the test's own; false: it can. */
export function withoutLab(): string | false {
  if (process.platform !== "linux") return "network namespaces are a thing of Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  return refusalOf("make a network of its own", () => {});
}

/** Why its networks cannot be slow ones. */
export function withoutThrottle(): string | false {
  const slow = (lab: NetworkLab) => {
    for (const host of lab.hosts) lab.throttle(host, "10mbit");
  };
  return withoutLab() || refusalOf("hold back what leaves", slow);
}

function refusalOf(what: string, make: (lab: NetworkLab) => void): string | false {
  let lab: NetworkLab | undefined;
  try {
    lab = new NetworkLab(1);
    make(lab);
    return false;
  } catch (error) {
    const [reason] = String(error).split("\n");
    return `this machine cannot ${what}: ${reason}`;
  } finally {
    lab?.remove();
  }
}

/** One host of the lab: a network namespace with one interface on the common bridge. */
export interface LabHost {
  readonly namespace: string;
  readonly interface: string;
  readonly address: string;
  readonly address6: string;
  /** What to put before a command so that it runs there. */
  readonly prefix: readonly string[];
}

let labs = 0;
const acceptAddresses = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad";

/**
 * Hosts on a bridge, each in a network namespace, the bridge in one as well: nothing of it is seen
 * or changed on the machine's own network. Faults are rules of nftables on what arrives at a host.
 */
export class NetworkLab {
  readonly hosts: readonly LabHost[];
  readonly #name: string;

  constructor(hosts: number) {
    sweep();
    labs += 1;
    this.#name = `scl${process.pid}n${labs}`;
    const bridge = `${this.#name}b`;
    this.hosts = Array.from({ length: hosts }, (_, index) => {
      const namespace = `${this.#name}h${index}`;
      return {
        namespace,
        interface: "eth0",
        address: `198.18.83.${index + 1}`,
        address6: `fd00:5343::${index + 1}`,
        prefix: ["ip", "netns", "exec", namespace],
      };
    });
    try {
      ip("netns", "add", bridge);
      ip("-n", bridge, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
      ip("-n", bridge, "link", "set", "br0", "up");
      for (const [index, host] of this.hosts.entries()) this.#plug(bridge, host, index);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** This share of what arrives is lost, at every host. */
  lose(percent: number): void {
    const rule = `meta l4proto udp numgen random mod 100 < ${percent} drop`;
    for (const host of this.hosts) this.#drop(host, rule);
  }

  /** Hosts of one group hear nothing from those of the other. */
  part(one: readonly LabHost[], other: readonly LabHost[]): void {
    for (const host of one) for (const { address } of other) this.#drop(host, from(address));
    for (const host of other) for (const { address } of one) this.#drop(host, from(address));
  }

  /** No multicast arrives at this host any more. */
  deafen(host: LabHost): void {
    this.#drop(host, "ip daddr 224.0.0.0/4 drop");
  }

  /** So much leaves this host, as in "10mbit"; the rest waits there. */
  throttle({ prefix }: LabHost, rate: string): void {
    const [program = "", ...argv] = [...prefix, "tc", "qdisc", "replace", "dev", "eth0", "root"];
    const bucket = ["tbf", "rate", rate, "burst", "16kb", "limit", "8mb"];
    execFileSync(program, [...argv, ...bucket], { stdio: "pipe" });
  }

  /** What leaves this host by UDP claims to come from port 0, which no socket can have. */
  portless(host: LabHost): void {
    nft(host, "add chain ip lab leaving { type filter hook output priority 0; }");
    nft(host, "add rule ip lab leaving udp sport set 0");
  }

  heal(): void {
    for (const host of this.hosts) nft(host, "flush chain ip lab arriving");
  }

  /** The IPv6 address that is valid on the host's interface only, without it. */
  linkLocalOf({ prefix }: LabHost): string {
    const [program = "", ...argv] = [...prefix, "ip", "-6", "-o", "addr", "show", "scope", "link"];
    const shown = execFileSync(program, [...argv, "dev", "eth0"], { encoding: "utf8" });
    return /inet6 ([0-9a-f:]+)/.exec(shown)?.[1] ?? "";
  }

  remove(): void {
    const names = [`${this.#name}b`, ...this.hosts.map(({ namespace }) => namespace)];
    for (const name of names) {
      try {
        ip("netns", "del", name);
      } catch {
        // It was not made.
      }
    }
  }

  #plug(bridge: string, host: LabHost, index: number): void {
    const { namespace, address, address6, prefix } = host;
    ip("netns", "add", namespace);
    // Nobody else could have an address already: all are usable at once.
    const [program = "", ...argv] = [...prefix, "sh", "-c", acceptAddresses];
    execFileSync(program, argv, { stdio: "pipe" });
    const peer = ["peer", "name", `p${index}`, "netns", bridge];
    ip("-n", namespace, "link", "add", "eth0", "type", "veth", ...peer);
    ip("-n", bridge, "link", "set", `p${index}`, "master", "br0", "up");
    ip("-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
    ip("-n", namespace, "addr", "add", `${address6}/64`, "dev", "eth0", "nodad");
    ip("-n", namespace, "link", "set", "lo", "up");
    ip("-n", namespace, "link", "set", "eth0", "up");
    nft(host, "add table ip lab");
    nft(host, "add chain ip lab arriving { type filter hook input priority 0; }");
  }

  #drop(host: LabHost, rule: string): void {
    nft(host, `add rule ip lab arriving ${rule}`);
  }
}

/** Namespaces of test runs that were killed. */
function sweep(): void {
  const names = execFileSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const [name, pid] of names.matchAll(/^scl(\d+)n\w+/gm)) {
    if (!isRunning(Number(pid))) ip("netns", "del", name);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function from(address: string): string {
  return `ip saddr ${address} drop`;
}

function ip(...argv: string[]): void {
  execFileSync("ip", argv, { stdio: "pipe" });
}

function nft(host: LabHost, command: string): void {
  const [program = "", ...argv] = [...host.prefix, "nft", command];
  execFileSync(program, argv, { stdio: "pipe" });
}
