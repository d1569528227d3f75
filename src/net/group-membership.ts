import type { Socket } from "node:dgram";

/**
 * What the socket of the group hears: whoever sends to it, or some hosts only (source-specific
 * membership, RFC 3678). What comes from others the kernel drops before it costs this process
 * anything. All but the constructor throw what the system says, and can be called again.
 */
export class GroupMembership {
  readonly #socket: Socket;
  readonly #group: string;
  readonly #leavesBy: string;
  /** Undefined: whoever. */
  #hosts: Set<string> | undefined;

  /** Joins; throws what the system says. `leavesBy`: the interface, as the system names it. */
  constructor(socket: Socket, group: string, leavesBy: string) {
    this.#socket = socket;
    this.#group = group;
    this.#leavesBy = leavesBy;
    socket.addMembership(group, leavesBy);
  }

  /** Leaves and joins again, so that switches hear of it. */
  rejoin(): void {
    const hosts = this.#leave();
    if (hosts === undefined) this.#socket.addMembership(this.#group, this.#leavesBy);
    else this.narrow(hosts);
  }

  /** Hears these hosts only. When the system takes no such list, or no more, all are heard. */
  narrow(hosts: ReadonlySet<string>): void {
    if (this.#hosts === undefined) this.#leave();
    const heard = this.#hosts ?? new Set<string>();
    this.#hosts = heard;
    try {
      for (const host of heard) {
        if (hosts.has(host)) continue;
        this.#socket.dropSourceSpecificMembership(host, this.#group, this.#leavesBy);
        heard.delete(host);
      }
      for (const host of hosts) {
        if (heard.has(host)) continue;
        this.#socket.addSourceSpecificMembership(host, this.#group, this.#leavesBy);
        heard.add(host);
      }
    } catch (error) {
      this.widen();
      throw error;
    }
  }

  /** Hears whoever sends. */
  widen(): void {
    if (this.#hosts === undefined) return;
    this.#leave();
    this.#socket.addMembership(this.#group, this.#leavesBy);
  }

  /** Hears nobody; returns who was heard. */
  #leave(): ReadonlySet<string> | undefined {
    const hosts = this.#hosts;
    this.#hosts = undefined;
    const leave = (how: () => void) => {
      try {
        how();
      } catch {
        // It was not joined, by an error before.
      }
    };
    if (hosts === undefined) {
      leave(() => this.#socket.dropMembership(this.#group, this.#leavesBy));
    }
    for (const host of hosts ?? []) {
      leave(() => {
        this.#socket.dropSourceSpecificMembership(host, this.#group, this.#leavesBy);
      });
    }
    return hosts;
  }
}
