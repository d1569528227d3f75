import type { NetworkInterfaceInfo } from "node:os";
import { OperatorError } from "../base/operator-error.ts";

export interface ChosenInterface {
  readonly name: string;
  /** The IPv4 address that sockets bind to and multicast leaves from. */
  readonly address: string;
  readonly loopback: boolean;
}

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/**
 * Multicast always leaves through one interface. Left to the kernel, it is the one with the default
 * route, which on a host with several networks is often the wrong one, silently. So it is chosen
 * here: `loopback`, `auto` (the only candidate, or an error that lists them), a name or an address.
 */
export function chooseInterface(setting: string, interfaces: Interfaces): ChosenInterface {
  const candidates = candidatesOf(interfaces);
  const list = candidates.map(({ name, address }) => `${name} (${address})`).join(", ");
  const remedy = "Name one of them in gossip.interface or with --interface";
  if (setting === "loopback") {
    const loopback = candidates.find((candidate) => candidate.loopback);
    return loopback ?? { name: "lo", address: "127.0.0.1", loopback: true };
  }
  if (setting === "auto") {
    const external = candidates.filter((candidate) => !candidate.loopback);
    if (external.length === 1 && external[0] !== undefined) return external[0];
    throw new OperatorError(
      "E_INTERFACE",
      `gossip.interface is "auto", and ${external.length} of ${list} lead to a network`,
      remedy,
    );
  }
  const chosen = candidates.find(({ name, address }) => name === setting || address === setting);
  if (chosen !== undefined) return chosen;
  throw new OperatorError(
    "E_INTERFACE",
    `gossip.interface is "${setting}", and this host has only ${list}`,
    remedy,
  );
}

function candidatesOf(interfaces: Interfaces): ChosenInterface[] {
  const candidates: ChosenInterface[] = [];
  for (const [name, addresses] of Object.entries(interfaces)) {
    for (const info of addresses ?? []) {
      if (info.family !== "IPv4") continue;
      candidates.push({ name, address: info.address, loopback: info.internal });
    }
  }
  return candidates;
}
