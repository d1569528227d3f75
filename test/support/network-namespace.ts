import { execFileSync } from "node:child_process";

/** Why this machine cannot have a network of the test's own; false: it can. */
export function withoutNamespaces(): string | false {
  if (process.platform !== "linux") return "network namespaces are a thing of Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const name = `scp${process.pid}x`;
  try {
    execFileSync("ip", ["netns", "add", name], { stdio: "ignore" });
    execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
    return false;
  } catch {
    return "this machine lets nobody make a network namespace";
  }
}

/** A network of its own with one interface over which IPv6 multicast works; loopback has none. */
export class NetworkNamespace {
  readonly name = `scp${process.pid}`;
  readonly interface = "va";
  readonly address = "fd00:5343::1";

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    this.run("ip", "link", "set", "lo", "up");
    // Nobody else is here who could have an address already: all are usable at once.
    this.run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
    this.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb");
    this.run("ip", "link", "set", "va", "up");
    this.run("ip", "link", "set", "vb", "up");
    this.run("ip", "addr", "add", `${this.address}/64`, "dev", "va", "nodad");
  }

  /** The address that is valid on the interface only, without it. */
  get linkLocal(): string {
    const shown = this.run("ip", "-6", "-o", "addr", "show", "dev", "va", "scope", "link");
    return /inet6 ([0-9a-f:]+)/.exec(shown)?.[1] ?? "";
  }

  /** What to put before a command so that it runs in here. */
  get prefix(): readonly string[] {
    return ["ip", "netns", "exec", this.name];
  }

  run(command: string, ...argv: string[]): string {
    const inside = ["netns", "exec", this.name, command, ...argv];
    return execFileSync("ip", inside, { encoding: "utf8", stdio: "pipe" });
  }

  remove(): void {
    execFileSync("ip", ["netns", "del", this.name]);
  }
}
