import { createSocket, type Socket, type SocketOptions } from "node:dgram";
import { OperatorError } from "../base/operator-error.ts";
import type { GossipMode } from "../core/membership/group.ts";
import type { Via } from "../core/membership/ways.ts";
import type { Address } from "../core/outbox.ts";
import { limits } from "../protocol/limits.ts";
import { formatAddress, isIpv6, parseAddress, sourceOf } from "./address.ts";
import type { Narrowable } from "./flood-shield.ts";
import { GroupMembership } from "./group-membership.ts";
import type { ChosenInterface } from "./interface-choice.ts";

export interface TransportOptions {
  readonly mode: GossipMode;
  readonly group: string;
  readonly port: number;
  /** Peers have this node's address in their configuration, so its port should be `port`. */
  readonly wellKnown: boolean;
  /** The interface for everything; its address says whether this is IPv4 or IPv6. */
  readonly interface: ChosenInterface;
  readonly ttl: number;
  readonly receiveBufferBytes: number;
  /** Fault injection: the share of arriving datagrams that is thrown away. */
  readonly faultDropRate: number;
}

export interface TransportCounters {
  sent: number;
  received: number;
  bytesSent: number;
  bytesReceived: number;
  /** Not sent, because too much waits for the kernel already. Repair brings it later. */
  queueDropped: number;
  sendErrors: number;
  socketErrors: number;
  faultDropped: number;
}

export interface Transport extends Narrowable {
  readonly counters: Readonly<TransportCounters>;
  /** Where peers reach this node: the source of all it sends. */
  readonly address: Address;
  /** What the kernel granted of `receiveBufferBytes`. */
  readonly receiveBufferBytes: number;
  /** Octets that the kernel has not taken yet. */
  readonly queuedBytes: number;
  multicast(bytes: Buffer): void;
  unicast(address: Address, bytes: Buffer): void;
  /** Leaves the group and joins it again, so that switches hear of it. */
  rejoin(): void;
  close(): Promise<void>;
}

/** `source`: see `sourceOf`. */
export type Receive = (bytes: Buffer, source: Address | undefined, via: Via) => void;

/**
 * Two sockets. One is bound to the group and only hears multicast: bound to the group's address
 * rather than to any, it does not hear other groups on the same port, and several sidecars of one
 * host share it. The other is bound to the interface and a port of its own: all sending goes
 * through it, so that receivers learn from the source where to answer by unicast. Without multicast
 * there is only the other, on the port that peers have in their configuration.
 */
export async function openTransport(
  options: TransportOptions,
  receive: Receive,
): Promise<Transport> {
  const counters: TransportCounters = {
    sent: 0,
    received: 0,
    bytesSent: 0,
    bytesReceived: 0,
    queueDropped: 0,
    sendErrors: 0,
    socketErrors: 0,
    faultDropped: 0,
  };
  const unicast = await bindUnicast(options);
  const joined = options.mode === "unicast" ? undefined : await joinGroup(options, unicast);
  const listen = (socket: Socket, via: Via) => {
    socket.on("error", () => {
      counters.socketErrors += 1;
    });
    socket.on("message", (bytes, source) => {
      if (options.faultDropRate > 0 && Math.random() < options.faultDropRate) {
        counters.faultDropped += 1;
        return;
      }
      counters.received += 1;
      counters.bytesReceived += bytes.length;
      receive(bytes, sourceOf(source.address, source.port), via);
    });
  };
  listen(unicast, "unicast");
  if (joined !== undefined) listen(joined.socket, "multicast");
  return new UdpTransport(options, unicast, joined, counters);
}

/** The socket that hears the group. */
interface Joined {
  readonly socket: Socket;
  readonly membership: GroupMembership;
}

class UdpTransport implements Transport {
  readonly counters: TransportCounters;
  readonly address: Address;
  readonly receiveBufferBytes: number;
  readonly #options: TransportOptions;
  readonly #unicast: Socket;
  readonly #joined: Joined | undefined;
  /** The group's. */
  readonly #host: string;
  #closing: Promise<void> | undefined;

  constructor(
    options: TransportOptions,
    unicast: Socket,
    joined: Joined | undefined,
    counters: TransportCounters,
  ) {
    this.#options = options;
    this.#unicast = unicast;
    this.#joined = joined;
    this.counters = counters;
    this.#host = scopedGroup(options);
    this.address = formatAddress(options.interface.address, unicast.address().port);
    this.receiveBufferBytes = grantedBytes(joined?.socket ?? unicast);
  }

  get queuedBytes(): number {
    return this.#closing === undefined ? this.#unicast.getSendQueueSize() : 0;
  }

  multicast(bytes: Buffer): void {
    if (this.#joined !== undefined) this.#send(bytes, this.#options.port, this.#host);
  }

  unicast(address: Address, bytes: Buffer): void {
    const { host, port } = parseAddress(address);
    this.#send(bytes, port, host);
  }

  rejoin(): void {
    this.#change((membership) => membership.rejoin());
  }

  narrow(hosts: ReadonlySet<string>): boolean {
    return this.#change((membership) => membership.narrow(hosts));
  }

  widen(): void {
    this.#change((membership) => membership.widen());
  }

  close(): Promise<void> {
    const { socket } = this.#joined ?? {};
    const sockets = socket === undefined ? [this.#unicast] : [this.#unicast, socket];
    this.#closing ??= Promise.all(sockets.map(closed)).then(() => {});
    return this.#closing;
  }

  /** False: there is no group, or the system does not do that. */
  #change(how: (membership: GroupMembership) => void): boolean {
    if (this.#joined === undefined || this.#closing !== undefined) return false;
    try {
      how(this.#joined.membership);
      return true;
    } catch {
      this.counters.socketErrors += 1;
      return false;
    }
  }

  #send(bytes: Buffer, port: number, host: string): void {
    if (this.#closing !== undefined) return;
    // Without this bound a network that takes nothing would fill the memory.
    if (this.queuedBytes > limits.sendQueueBytesMax) {
      this.counters.queueDropped += 1;
      return;
    }
    this.counters.sent += 1;
    this.counters.bytesSent += bytes.length;
    try {
      this.#unicast.send(bytes, port, host, this.#onSent);
    } catch {
      // An address that no datagram can go to; peers and name servers are to stop no node with it.
      this.counters.sendErrors += 1;
    }
  }

  readonly #onSent = (error: Error | null): void => {
    if (error !== null) this.counters.sendErrors += 1;
  };
}

/** A well-known port that another sidecar of this host has is done without, if it may be. */
function bindUnicast(options: TransportOptions): Promise<Socket> {
  const { address } = options.interface;
  const bindTo = (port: number) => bind(options, { port, address, shared: false });
  if (options.mode === "unicast") return bindTo(options.port);
  return options.wellKnown ? bindTo(options.port).catch(() => bindTo(0)) : bindTo(0);
}

async function joinGroup(options: TransportOptions, unicast: Socket): Promise<Joined> {
  const { port } = options;
  try {
    const address = groupBindAddress(options);
    const socket = await bind(options, { port, address, shared: true });
    return { socket, membership: configure(unicast, socket, options) };
  } catch (error) {
    await closed(unicast);
    throw error;
  }
}

interface Place {
  readonly port: number;
  readonly address: string;
  /** By several sidecars of one host: the group's port. */
  readonly shared: boolean;
}

function bind(options: TransportOptions, { port, address, shared }: Place): Promise<Socket> {
  const family = isIpv6(options.interface.address) ? 6 : 4;
  const socketOptions: SocketOptions = {
    type: family === 6 ? "udp6" : "udp4",
    ipv6Only: family === 6,
    reuseAddr: shared,
    recvBufferSize: options.receiveBufferBytes,
    // Addresses are numeric already; the default would ask the resolver for each datagram.
    lookup: (host, _options, callback) => callback(null, host, family),
  };
  return new Promise((resolve, reject) => {
    const socket = createSocket(socketOptions);
    const refuse = (error: Error) => {
      socket.close();
      reject(
        new OperatorError(
          "E_BIND",
          `cannot bind UDP ${formatAddress(address, port)} (${error.message})`,
          "Check gossip.interface, gossip.group and gossip.port",
          { cause: error },
        ),
      );
    };
    socket.once("error", refuse);
    socket.bind({ port, address, exclusive: true }, () => {
      socket.off("error", refuse);
      resolve(socket);
    });
  });
}

function configure(unicast: Socket, group: Socket, options: TransportOptions): GroupMembership {
  try {
    const leavesBy = multicastInterface(options.interface);
    const membership = new GroupMembership(group, scopedGroup(options), leavesBy);
    unicast.setMulticastInterface(leavesBy);
    unicast.setMulticastTTL(options.ttl);
    // Other sidecars of this host must hear us; our own echo is known by what we sent.
    unicast.setMulticastLoopback(true);
    return membership;
  } catch (error) {
    group.close();
    throw new OperatorError(
      "E_MULTICAST",
      `the interface ${options.interface.address} refuses the multicast group ${options.group}`,
      "Choose another interface, or enable multicast on it",
      { cause: error },
    );
  }
}

/** Windows cannot bind to a group. */
function groupBindAddress(options: TransportOptions): string {
  if (process.platform !== "win32") return scopedGroup(options);
  return isIpv6(options.group) ? "::" : "0.0.0.0";
}

/** A group of the scope of one link is nothing without the link. */
function scopedGroup({ group, interface: { name } }: TransportOptions): string {
  return /^ff.2:/i.test(group) ? `${group}%${name}` : group;
}

/** How the system wants an interface to be named: by its address, over IPv6 by its scope. */
function multicastInterface({ name, address }: ChosenInterface): string {
  return isIpv6(address) ? `::%${name}` : address;
}

/** Linux reports twice what it grants, its own bookkeeping included. */
function grantedBytes(socket: Socket): number {
  const bytes = socket.getRecvBufferSize();
  return process.platform === "linux" ? bytes / 2 : bytes;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
