/**
 * What is to be done for one session, in the order in which it was asked for. Requests to the
 * sidecar keep their order by themselves; a start of a session does not, as it may take two. So
 * only what comes while one of these is on its way has to wait.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** `work` begins at once unless a start is on its way, or something that waits for one. */
  take<T>(id: string, isStart: boolean, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(id);
    if (before === undefined && !isStart) return work();
    const done = before === undefined ? work() : before.then(work);
    const last = done.then(ignore, ignore).then(() => {
      if (this.#last.get(id) === last) this.#last.delete(id);
    });
    this.#last.set(id, last);
    return done;
  }
}

/** Who asked for it hears how it ended. */
function ignore(): void {}
