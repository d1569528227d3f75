import { Worker } from "node:worker_threads";
import { type FuzzTarget, replayCommand } from "./target.ts";

/** What no single input may take; the slowest takes a hundredth of it. */
const hangMsMax = 20_000;

/** In a thread of its own: the thread that hangs cannot say so. */
const watcher = `
const { workerData } = require("node:worker_threads");
const { writeSync } = require("node:fs");
const { shared, hangMsMax, replay } = workerData;
const counters = new Int32Array(shared, 0, 2);
const octets = Buffer.from(shared, 8);
let seen = -1;
let sinceMs = Date.now();
setInterval(() => {
  if (counters[0] !== seen) {
    seen = counters[0];
    sinceMs = Date.now();
  } else if (Date.now() - sinceMs > hangMsMax) {
    const hex = octets.subarray(0, counters[1]).toString("hex");
    writeSync(1, "HANG: no end after " + hangMsMax + " ms\\n" + replay + hex + "\\n");
    process.kill(process.pid, "SIGKILL");
  }
}, 500);
`;

/** Ends the process when one input never ends, after it has been printed. */
export class HangWatch {
  readonly #counters: Int32Array;
  readonly #octets: Buffer;
  readonly #worker: Worker;

  constructor(target: FuzzTarget, bytesMax: number) {
    const replay = `replay: ${replayCommand(target)}`;
    const shared = new SharedArrayBuffer(8 + bytesMax);
    this.#counters = new Int32Array(shared, 0, 2);
    this.#octets = Buffer.from(shared, 8);
    this.#worker = new Worker(watcher, { eval: true, workerData: { shared, hangMsMax, replay } });
    this.#worker.unref();
  }

  trying(input: Buffer): void {
    input.copy(this.#octets);
    this.#counters[1] = input.length;
    Atomics.add(this.#counters, 0, 1);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
