import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A program of ours in a process of its own that tells when it is ready, and is asked things. */
export class NodeProcess {
  readonly #child: ChildProcess;
  /** Rejects when the program ends by itself. */
  readonly #ended: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, "exit").then(([code, signal]) => {
      throw new Error(`${child.spawnargs.slice(1).join(" ")} ended: ${code ?? signal}`);
    });
    this.#ended.catch(() => {});
  }

  /** Resolves with the first message, and the process that sent it. */
  static async start<T>(
    path: string,
    argv: readonly string[],
    environment: Record<string, string> = {},
  ): Promise<{ readonly process: NodeProcess; readonly message: T }> {
    const env = { PATH: process.env.PATH ?? "", ...environment };
    const started = new NodeProcess(fork(path, argv, { env }));
    return { process: started, message: await started.#message<T>() };
  }

  /** Sends a message and resolves with the next that comes. */
  ask<T>(message: object): Promise<T> {
    const answered = this.#message<T>();
    this.#child.send(message);
    return answered;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  async #message<T>(): Promise<T> {
    const [message] = await Promise.race([once(this.#child, "message"), this.#ended]);
    return message as T;
  }
}
