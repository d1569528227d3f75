import { canonicalHost } from "../net/address.ts";

/**
 * Checks of addresses as they are written. Not from node:net: the rooms of the peers' side do not
 * open its door, not even for a check.
 */
export function isIpv4Address(candidate: string): boolean {
  const octets = candidate.split(".");
  const isOctet = (octet: string) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255;
  return octets.length === 4 && octets.every(isOctet);
}

/** With or without the scope of a link behind it ("fe80::1%eth0"). */
export function isIpv6Address(candidate: string): boolean {
  if (!/^[0-9a-fA-F:.]+(?:%[\w.-]{1,15})?$/.test(candidate) || !candidate.includes(":"))
    return false;
  const [plain = ""] = candidate.split("%");
  return URL.canParse(`http://[${plain}]/`);
}

export function isMulticastAddress(address: string): boolean {
  if (isIpv4Address(address)) return (Number.parseInt(address, 10) & 0xf0) === 224;
  return !address.includes("%") && isIpv6Address(address) && /^ff/.test(canonicalHost(address));
}
