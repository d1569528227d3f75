import type { NetworkInterfaceInfo } from "node:os";
import { OperatorError } from "../base/operator-error.ts";
import { canonicalHost } from "./address.ts";

export interface ChosenInterface {
  readonly name: string;
  /** What sockets bind to; one of IPv6 that is only valid on its link ends in "%" and the link. */
  readonly address: string;
  /** Whether the address, and not only the interface, is one of this machine alone. */
  readonly loopback: boolean;
}

interface Candidate extends ChosenInterface {
  /** The loopback interface may have others' addresses too, of a balancer for example. */
  readonly internal: boolean;
}

export type Family = "IPv4" | "IPv6";

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/**
 * Multicast always leaves through one interface. Left to the kernel, it is the one with the default
 * route, which on a host with several networks is often the wrong one, silently. So it is chosen
 * here: `loopback`, `auto` (the only candidate, or an error that lists them), a name or an address.
 * Of several IPv6 addresses of one interface, one that is valid beyond its link goes first.
 */
export function chooseInterface(
  setting: string,
  interfaces: Interfaces,
  family: Family = "IPv4",
): ChosenInterface {
  const candidates = candidatesOf(interfaces, family);
  const list = candidates.map(({ name, address }) => `${name} (${address})`).join(", ");
  const remedy = "Name one of them in gossip.interface or with --interface";
  if (setting === "loopback") {
    const loopback = candidates.find((candidate) => candidate.loopback);
    const address = family === "IPv4" ? "127.0.0.1" : "::1";
    return loopback === undefined ? { name: "lo", address, loopback: true } : chosen(loopback);
  }
  if (setting === "auto") {
    const external = candidates.filter(
      (candidate) => !candidate.internal && !isSecondChoice(candidate, candidates),
    );
    if (external.length === 1 && external[0] !== undefined) return chosen(external[0]);
    throw new OperatorError(
      "E_INTERFACE",
      `gossip.interface is "auto", and ${external.length} of ${list} lead to a network`,
      remedy,
    );
  }
  const host = canonicalHost(setting);
  const named =
    candidates.find(({ name }) => name === setting) ??
    candidates.find(({ address }) => address === host || address.split("%")[0] === host);
  if (named !== undefined) return chosen(named);
  throw new OperatorError(
    "E_INTERFACE",
    `gossip.interface is "${setting}", and this host has only ${list}`,
    remedy,
  );
}

function chosen({ name, address, loopback }: Candidate): ChosenInterface {
  return { name, address, loopback };
}

function candidatesOf(interfaces: Interfaces, family: Family): Candidate[] {
  const candidates: Candidate[] = [];
  for (const [name, addresses] of Object.entries(interfaces)) {
    for (const info of addresses ?? []) {
      if (info.family !== family) continue;
      const onLink = isLinkLocal(info.address);
      const address = onLink ? `${info.address}%${name}` : info.address;
      const { internal } = info;
      candidates.push({ name, address, internal, loopback: internal && isLoopback(address) });
    }
  }
  const rank = ({ address, loopback }: Candidate) => (loopback ? -1 : isLinkLocal(address) ? 1 : 0);
  return candidates.sort((left, right) => rank(left) - rank(right));
}

/** An address for one link, beside one that is valid further. */
function isSecondChoice(candidate: Candidate, all: readonly Candidate[]): boolean {
  if (!isLinkLocal(candidate.address)) return false;
  return all.some(({ name, address }) => name === candidate.name && !isLinkLocal(address));
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address);
}
