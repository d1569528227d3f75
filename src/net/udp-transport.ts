import { createSocket, type Socket, type SocketOptions } from "node:dgram";
import { OperatorError } from "../base/operator-error.ts";
import type { Address } from "../core/outbox.ts";
import { limits } from "../protocol/limits.ts";

export interface TransportOptions {
  readonly group: string;
  readonly port: number;
  /** IPv4 address of the interface for everything. */
  readonly interfaceAddress: string;
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

export interface Transport {
  readonly counters: Readonly<TransportCounters>;
  /** Where peers reach this node: the source of all it sends. */
  readonly address: Address;
  /** What the kernel granted of `receiveBufferBytes`. */
  readonly receiveBufferBytes: number;
  multicast(bytes: Buffer): void;
  unicast(address: Address, bytes: Buffer): void;
  close(): Promise<void>;
}

export type Receive = (bytes: Buffer, source: Address) => void;

/**
 * Two sockets. One is bound to the group and only hears multicast: bound to the group's address
 * rather than to any, it does not hear other groups on the same port, and several sidecars of one
 * host share it. The other is bound to the interface and a port of its own: all sending goes
 * through it, so that receivers learn from the source where to answer by unicast.
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
  const unicast = await bind(options, 0, options.interfaceAddress);
  const group = await bind(options, options.port, groupBindAddress(options.group)).catch(
    async (error: unknown) => {
      await closed(unicast);
      throw error;
    },
  );
  configure(unicast, group, options);
  for (const socket of [unicast, group]) {
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
      receive(bytes, `${source.address}:${source.port}`);
    });
  }
  return new UdpTransport(options, unicast, group, counters);
}

class UdpTransport implements Transport {
  readonly counters: TransportCounters;
  readonly address: Address;
  readonly receiveBufferBytes: number;
  readonly #options: TransportOptions;
  readonly #unicast: Socket;
  readonly #group: Socket;
  #closing: Promise<void> | undefined;

  constructor(
    options: TransportOptions,
    unicast: Socket,
    group: Socket,
    counters: TransportCounters,
  ) {
    this.#options = options;
    this.#unicast = unicast;
    this.#group = group;
    this.counters = counters;
    this.address = `${options.interfaceAddress}:${unicast.address().port}`;
    this.receiveBufferBytes = grantedBytes(group);
  }

  multicast(bytes: Buffer): void {
    this.#send(bytes, this.#options.port, this.#options.group);
  }

  unicast(address: Address, bytes: Buffer): void {
    const colon = address.lastIndexOf(":");
    this.#send(bytes, Number(address.slice(colon + 1)), address.slice(0, colon));
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([closed(this.#unicast), closed(this.#group)]).then(() => {});
    return this.#closing;
  }

  #send(bytes: Buffer, port: number, host: string): void {
    if (this.#closing !== undefined) return;
    // Without this bound a network that takes nothing would fill the memory.
    if (this.#unicast.getSendQueueSize() > limits.sendQueueBytesMax) {
      this.counters.queueDropped += 1;
      return;
    }
    this.counters.sent += 1;
    this.counters.bytesSent += bytes.length;
    this.#unicast.send(bytes, port, host, this.#onSent);
  }

  readonly #onSent = (error: Error | null): void => {
    if (error !== null) this.counters.sendErrors += 1;
  };
}

function bind(options: TransportOptions, port: number, address: string): Promise<Socket> {
  const socketOptions: SocketOptions = {
    type: "udp4",
    // Only for the group's port, which several sidecars of one host share.
    reuseAddr: port !== 0,
    recvBufferSize: options.receiveBufferBytes,
    // Addresses are numeric already; the default would ask the resolver for each datagram.
    lookup: (host, _options, callback) => callback(null, host, 4),
  };
  return new Promise((resolve, reject) => {
    const socket = createSocket(socketOptions);
    const refuse = (error: Error) => {
      socket.close();
      reject(
        new OperatorError(
          "E_BIND",
          `cannot bind UDP ${address}:${port} (${error.message})`,
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

function configure(unicast: Socket, group: Socket, options: TransportOptions): void {
  try {
    group.addMembership(options.group, options.interfaceAddress);
    unicast.setMulticastInterface(options.interfaceAddress);
    unicast.setMulticastTTL(options.ttl);
    // Other sidecars of this host must hear us; our own echo is dropped by its boot id.
    unicast.setMulticastLoopback(true);
  } catch (error) {
    unicast.close();
    group.close();
    throw new OperatorError(
      "E_MULTICAST",
      `the interface ${options.interfaceAddress} refuses the multicast group ${options.group}`,
      "Choose another interface, or enable multicast on it",
      { cause: error },
    );
  }
}

/** Windows cannot bind to a group. */
function groupBindAddress(group: string): string {
  return process.platform === "win32" ? "0.0.0.0" : group;
}

/** Linux reports twice what it grants, its own bookkeeping included. */
function grantedBytes(socket: Socket): number {
  const bytes = socket.getRecvBufferSize();
  return process.platform === "linux" ? bytes / 2 : bytes;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
