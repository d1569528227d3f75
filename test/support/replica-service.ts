import type { SessionService } from "../../src/api/service.ts";
import type { LoneReplica } from "./lone-replica.ts";

/** The local API's service over one replica, as the daemon makes it; what waits ends at a word. */
export class ReplicaService {
  readonly #lone: LoneReplica;
  #waiting: (() => void)[] = [];

  constructor(lone: LoneReplica) {
    this.#lone = lone;
  }

  /** Nobody confirms, and nobody knows of a session that is not here. */
  endWaits(): void {
    for (const end of this.#waiting.splice(0)) end();
  }

  /** How much waits. */
  get waits(): number {
    return this.#waiting.length;
  }

  get service(): SessionService {
    const lone = this.#lone;
    const { replica } = lone;
    return {
      hello: () => ({ version: "0", node: "self", cluster: "c", state: replica.phase }),
      stats: () => ({ ...replica.counters, buffers: replica.buffers }),
      knows: (id, write) => replica.knows(id, write),
      knowsAll: () => replica.phase !== "joining",
      fetch: (_id, _write, done) => this.#waiting.push(() => done(false)),
      confirm: (id, ack, done) => {
        const ticket = replica.confirm(id, ack, lone.now);
        if (ticket !== undefined) this.#waiting.push(() => done(0));
        return ticket !== undefined;
      },
      prefetch: (sought) => replica.store.prefetch(sought),
      get: (id) => replica.get(id, lone.now),
      create: (id, attributes, lifetime) => replica.create(id, attributes, lifetime, lone.now),
      set: (id, attributes, lifetime) => replica.set(id, attributes, lifetime, lone.now),
      patch: (id, set, unset, ifStamp) => replica.patch(id, set, unset, lone.now, ifStamp),
      touch: (id, idleMs) => replica.touch(id, idleMs, lone.now),
      destroy: (id) => replica.destroy(id, lone.now),
      rotate: (id, newId) => replica.rotate(id, newId, lone.now),
      destroyAll: (owner, except) => replica.destroyAll(owner, except, lone.now),
      observe: (observer) => {
        replica.store.observer = observer;
      },
      list: (query) => replica.list(query, lone.now),
      count: () => replica.store.live.size,
      reloadKeys: () => "this sidecar was started without a key file",
    };
  }
}
