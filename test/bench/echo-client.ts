import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Octets behind the length: those of a get, and of the answer to it, in the local protocol. */
export const echoSizes = { requestBytes: 10, replyBytes: 320 };

const request = Buffer.alloc(4 + echoSizes.requestBytes, "g");
request.writeUInt32BE(echoSizes.requestBytes);

/** As little as a client can do that has several requests in flight. */
export class EchoClient {
  readonly #socket: Socket;
  readonly #waiting: ((reply: Buffer) => void)[] = [];
  #unsent = 0;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
  }

  static async connect(path: string): Promise<EchoClient> {
    const socket = connect(path);
    await once(socket, "connect");
    return new EchoClient(socket);
  }

  /** The requests of one turn leave in one write. */
  get(): Promise<Buffer> {
    if (this.#unsent === 0) process.nextTick(() => this.#flush());
    this.#unsent += 1;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    const requests = Array<Buffer>(this.#unsent).fill(request);
    this.#unsent = 0;
    this.#socket.write(requests.length === 1 ? request : Buffer.concat(requests));
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + 4 <= bytes.length) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end > bytes.length) break;
      this.#waiting.shift()?.(bytes.subarray(at + 4, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}
