import type { Address } from "../core/outbox.ts";

export interface HostPort {
  /** A numeric address, maybe with a scope ("fe80::1%eth0"), or a name. */
  readonly host: string;
  readonly port: number;
}

/** The one form in which addresses are compared and shown: "host:port" or "[host]:port". */
export function formatAddress(host: string, port: number): Address {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Where a datagram came from. Undefined: from port 0, where nobody can be answered, and to send
 * there is an error that is thrown at once.
 */
export function sourceOf(host: string, port: number): Address | undefined {
  return port === 0 ? undefined : formatAddress(host, port);
}

/** Of what `formatAddress` made. */
export function parseAddress(address: Address): HostPort {
  const colon = address.lastIndexOf(":");
  const port = Number(address.slice(colon + 1));
  const bracketed = address.startsWith("[");
  return { host: bracketed ? address.slice(1, colon - 1) : address.slice(0, colon), port };
}

const portMax = 65_535;
const bracketedForm = /^\[([0-9a-fA-F:.]{2,45}(?:%[\w.-]{1,15})?)\](?::(\d{1,5}))?$/;
const bareIpv6Form = /^[0-9a-fA-F.]*(?::[0-9a-fA-F.]*){2,8}(?:%[\w.-]{1,15})?$/;
const plainForm = /^([A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?$/;

/**
 * What an operator writes: "host", "host:port", "address", "[address]:port". Undefined: none of
 * those.
 */
export function readHostPort(text: string, portDefault: number): HostPort | undefined {
  if (bareIpv6Form.test(text)) return { host: text, port: portDefault };
  const [, host, port] = bracketedForm.exec(text) ?? plainForm.exec(text) ?? [];
  if (host === undefined) return undefined;
  const number = port === undefined ? portDefault : Number(port);
  return number >= 1 && number <= portMax ? { host, port: number } : undefined;
}

/** Whether an address is of IPv6; names are not asked about. */
export function isIpv6(host: string): boolean {
  return host.includes(":");
}

/**
 * An IPv6 address as the system writes it, so that one peer has one address: "::1", not "0::1".
 * Names and IPv4 addresses stay as they are.
 */
export function canonicalHost(host: string): string {
  if (!isIpv6(host)) return host;
  const [plain = "", scope] = host.split("%");
  const canonical = URL.canParse(`http://[${plain}]/`)
    ? new URL(`http://[${plain}]/`).hostname.slice(1, -1)
    : plain.toLowerCase();
  return scope === undefined ? canonical : `${canonical}%${scope}`;
}
