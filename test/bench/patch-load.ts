import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { pack, unpack } from "msgpackr";
import { FrameSplitter } from "../../src/api/framing.ts";
import { Status, Verb } from "../../src/api/messages.ts";
import { frameOf, helloFrame } from "../support/raw-client.ts";

/** What replication is measured with: sessions with one attribute that is set in turn. */
export const ids: readonly string[] = Array.from({ length: 200_000 }, (_, index) => `s${index}`);
export const value = "v".repeat(100);
export const inFlight = 512;

/**
 * Writes to a sidecar at the least cost: requests are made before, and of a reply only its place
 * and its status are looked at. What is measured shares two cores with what it measures, and the
 * client library is measured by another bench.
 */
export class PatchLoad {
  readonly #socket: Socket;
  readonly #frames: readonly Buffer[];
  readonly #splitter = new FrameSplitter(1_048_576);
  #onReplies: (count: number) => void = () => {};

  private constructor(socket: Socket, frames: readonly Buffer[]) {
    this.#socket = socket;
    this.#frames = frames;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
  }

  /** Each session gets its attribute `value` set to this, in turn. */
  static async open(path: string, ids: readonly string[], value: string): Promise<PatchLoad> {
    const bytes = Buffer.from(pack(value));
    const frames = ids.map((id, index) =>
      frameOf([index + 2, Verb.patch, id, { value: bytes }, []]),
    );
    const socket = connect(path);
    await once(socket, "connect");
    const load = new PatchLoad(socket, frames);
    const greeted = new Promise<void>((resolve) => {
      load.#onReplies = () => resolve();
    });
    socket.write(helloFrame);
    await greeted;
    return load;
  }

  /** So many writes, and so many of them without an answer at most. */
  run(writes: number, inFlight: number): Promise<void> {
    let sent = 0;
    let answered = 0;
    const send = (count: number) => {
      const end = Math.min(sent + count, writes);
      const batch: Buffer[] = [];
      for (; sent < end; sent++) batch.push(this.#frames[sent % this.#frames.length] as Buffer);
      if (batch.length > 0) this.#socket.write(Buffer.concat(batch));
    };
    return new Promise((resolve) => {
      this.#onReplies = (count) => {
        answered += count;
        if (answered >= writes) resolve();
        else send(count);
      };
      send(inFlight);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#splitter.feed(chunk);
    let replies = 0;
    while (this.#splitter.next()) {
      const { buffer, start, end } = this.#splitter;
      // The array's head, the request id behind its width, then the status.
      const width = widthOf(buffer[start + 1] as number);
      if (buffer[start + 1 + width] !== Status.done) {
        throw new Error(`refused: ${JSON.stringify(unpack(buffer.subarray(start, end)))}`);
      }
      replies += 1;
    }
    if (replies > 0) this.#onReplies(replies);
  }
}

/** Octets that an unsigned number of msgpack takes, by its first. */
function widthOf(first: number): number {
  if (first < 0x80) return 1;
  return first === 0xcc ? 2 : first === 0xcd ? 3 : 5;
}
