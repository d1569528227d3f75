import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { pack, Unpackr } from "msgpackr";
import { FrameSplitter } from "../../src/api/framing.ts";
import { Verb } from "../../src/api/messages.ts";
import { localVersions } from "../../src/api/versions.ts";

const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });

/** A length and a body that msgpackr made: what a client in another language would send. */
export function frameOf(message: unknown): Buffer {
  return frameOfBytes(pack(message));
}

export function frameOfBytes(body: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

const { lowest, highest } = localVersions;
export const helloFrame = frameOf([1, Verb.hello, lowest, highest]);

/** What a sidecar answers to the greeting, as far as a client needs it. */
export function greetingFrame(protocol: unknown = highest): Buffer {
  return frameOf([1, 0, pack({ protocol })]);
}

/** A client without manners: it sends whatever bytes a test wants sent. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #splitter = new FrameSplitter(16_777_216);
  readonly #replies: unknown[] = [];
  readonly #readers: ((reply: unknown) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on("close", resolve));
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      this.#splitter.feed(chunk);
      while (this.#splitter.next()) {
        const { buffer, start, end } = this.#splitter;
        this.#arrived(unpackr.unpack(buffer.subarray(start, end)));
      }
    });
  }

  static async connect(t: TestContext, path: string): Promise<RawClient> {
    const socket = connect(path);
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return new RawClient(socket);
  }

  /** Connected, and the greeting done. */
  static async greet(t: TestContext, path: string): Promise<RawClient> {
    const client = await RawClient.connect(t, path);
    client.send(helloFrame);
    await client.reply();
    return client;
  }

  send(...bytes: Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** The next reply that nobody has taken yet. */
  reply(): Promise<unknown> {
    if (this.#replies.length > 0) return Promise.resolve(this.#replies.shift());
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  async ask(message: unknown): Promise<unknown> {
    this.send(frameOf(message));
    return await this.reply();
  }

  #arrived(reply: unknown): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#replies.push(reply);
    else reader(reply);
  }
}
