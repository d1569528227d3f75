import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freeUdpPort } from "../support/sidecar-process.ts";
import { ids, value } from "./patch-load.ts";

const nodePath = fileURLToPath(new URL("./bare-node.js", import.meta.url));
const lostMs = 1_000;
const group = "239.255.83.68";

interface BareReport {
  readonly applied: number;
  readonly bytesSent: number;
  readonly cpuMicros: number;
}

export interface BareRun {
  readonly updatesPerSecond: number;
  readonly bytesPerUpdate: number;
  readonly receiverCpuMicros: number;
}

/** Bare nodes (see bare-node.ts) and a client that is as bare: the ceiling of this machine. */
export class BarePipeline {
  readonly #directory = mkdtempSync(join(tmpdir(), "sessioncast-bare-"));
  readonly #children: ChildProcess[] = [];
  readonly #paths: string[] = [];
  readonly #connections: BareConnection[] = [];

  static async open(nodes: number): Promise<BarePipeline> {
    const pipeline = new BarePipeline();
    const port = await freeUdpPort();
    for (let index = 0; index < nodes; index++) await pipeline.#add(index, port);
    return pipeline;
  }

  async #add(index: number, port: number): Promise<void> {
    const path = join(this.#directory, `${index}.sock`);
    const child = fork(nodePath, [path, String(port), group]);
    this.#children.push(child);
    await once(child, "message");
    this.#paths.push(path);
    this.#connections.push(await BareConnection.open(path));
  }

  /** Writes so many updates through the first node; ends when every node has applied them. */
  async run(updates: number, inFlight: number): Promise<BareRun> {
    const before = await this.#reports();
    const startMs = performance.now();
    await this.#connections[0]?.write(updates, inFlight);
    const waitMs = performance.now() + 2_000;
    let after = await this.#reports();
    // Nothing repairs a loss here: a run with one ends all the same.
    while (performance.now() < waitMs && !after.every((node, index) => isDone(node, index))) {
      after = await this.#reports();
    }
    function isDone(node: BareReport, index: number): boolean {
      return node.applied - (before[index]?.applied ?? 0) >= updates;
    }
    const seconds = (performance.now() - startMs) / 1_000;
    const [writer] = grown(before, after);
    const receiver = grown(before, after).at(-1);
    return {
      updatesPerSecond: updates / seconds,
      bytesPerUpdate: (writer?.bytesSent ?? 0) / updates,
      receiverCpuMicros: (receiver?.cpuMicros ?? 0) / updates,
    };
  }

  /** From before a write on the first node until the last one tells of it; microseconds. */
  async loneWrites(count: number): Promise<number[]> {
    const samples: number[] = [];
    const writer = this.#connections[0] as BareConnection;
    const watcher = await BareConnection.open(this.#paths.at(-1) as string);
    await watcher.watch();
    for (let index = 0; index < count; index++) {
      const startMs = performance.now();
      const told = watcher.told();
      const written = writer.write(1, 1);
      // Nothing repairs a loss here: what was lost is told to nobody.
      await Promise.race([told, pause(lostMs, undefined, { ref: false })]);
      samples.push((performance.now() - startMs) * 1_000);
      await written;
    }
    watcher.close();
    return samples;
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    for (const child of this.#children) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #reports(): Promise<BareReport[]> {
    return Promise.all(this.#connections.map((connection) => connection.report()));
  }
}

/** One frame for each session, with a value of 100 octets. */
const frames = ids.map((text) => {
  const id = Buffer.from(text);
  const body = Buffer.concat([Buffer.from([id.length]), id, Buffer.from(value)]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length);
  return Buffer.concat([length, body]);
});

class BareConnection {
  readonly #socket: Socket;
  #onAnswers: (answers: number) => void = () => {};
  #onReport: (report: BareReport) => void = () => {};

  static async open(path: string): Promise<BareConnection> {
    const socket = connect(path);
    await once(socket, "connect");
    return new BareConnection(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      const text = bytes.indexOf("{");
      const answers = text < 0 ? bytes.length : text;
      if (answers > 0) this.#onAnswers(answers);
      if (text >= 0) this.#onReport(JSON.parse(bytes.toString("latin1", text)) as BareReport);
    });
  }

  write(updates: number, inFlight: number): Promise<void> {
    let sent = 0;
    let answered = 0;
    const send = (count: number) => {
      const end = Math.min(sent + count, updates);
      const batch: Buffer[] = [];
      for (; sent < end; sent++) batch.push(frames[sent % frames.length] as Buffer);
      if (batch.length > 0) this.#socket.write(Buffer.concat(batch));
    };
    return new Promise((resolve) => {
      this.#onAnswers = (answers) => {
        answered += answers;
        send(answers);
        if (answered >= updates) resolve();
      };
      send(inFlight);
    });
  }

  /** From now on this connection is told of what arrives at its node. */
  async watch(): Promise<void> {
    const told = this.told();
    this.#socket.write(Buffer.from([0, 2, 0, 1]));
    await told;
  }

  told(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAnswers = () => resolve();
    });
  }

  report(): Promise<BareReport> {
    return new Promise((resolve) => {
      this.#onReport = resolve;
      this.#socket.write(Buffer.from([0, 1, 0]));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

function grown(before: readonly BareReport[], after: readonly BareReport[]): BareReport[] {
  return after.map((report, index) => ({
    applied: report.applied - (before[index]?.applied ?? 0),
    bytesSent: report.bytesSent - (before[index]?.bytesSent ?? 0),
    cpuMicros: report.cpuMicros - (before[index]?.cpuMicros ?? 0),
  }));
}
