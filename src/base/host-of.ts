/** Of an address as the network writes it, "host:port" or "[host]:port", what is not the port. */
export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}
