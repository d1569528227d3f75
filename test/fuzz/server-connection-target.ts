/** A connection as the sidecar has it, whose client sends anything and reads as it likes. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { BusyPoll } from "../../src/api/busy-poll.ts";
import { ChangeFeed } from "../../src/api/change-feed.ts";
import { MsgpackReader } from "../../src/api/msgpack-reader.ts";
import { MsgpackWriter } from "../../src/api/msgpack-writer.ts";
import { decodeReplyHead, type ReplyHead } from "../../src/api/reply-codec.ts";
import { RequestHandler } from "../../src/api/request-handler.ts";
import { ServerConnection } from "../../src/api/server-connection.ts";
import { createServerCounters } from "../../src/api/server-counters.ts";
import { localVersions } from "../../src/api/versions.ts";
import { Prng } from "../../src/base/prng.ts";
import { limits } from "../../src/protocol/limits.ts";
import { FakeSocket } from "../support/fake-socket.ts";
import { LoneReplica } from "../support/lone-replica.ts";
import { ReplicaService } from "../support/replica-service.ts";
import { frameOf, piecesOf, plainFrames, requests, written } from "./server-targets.ts";
import { counted, type Features, type FuzzTarget } from "./target.ts";

/** An input is how it is cut, how the client reads, and what it sends. */
const headBytes = 2;

/** How a client reads, by an octet: at once, now and then, or nothing ever. */
interface Pace {
  readonly kind: "at once" | "slowly" | "never";
  readonly prng: Prng;
  /** Small, where little is enough to be too much. */
  readonly backlogBytesMax: number;
}

function paceOf(octet: number): Pace {
  const prng = new Prng(octet);
  if (octet === 0) return { kind: "at once", prng, backlogBytesMax: limits.localBacklogBytesMax };
  return { kind: octet < 192 ? "slowly" : "never", prng, backlogBytesMax: 1 << prng.below(11) };
}

function streamOf(input: Uint8Array): Uint8Array {
  return input.subarray(headBytes);
}

class Scene {
  readonly pace: Pace;
  readonly socket: FakeSocket;
  readonly counters = createServerCounters();
  readonly #lone = new LoneReplica({ countMax: 50 });
  readonly #waits: ReplicaService;

  constructor(pace: Pace) {
    this.pace = pace;
    const { kind, backlogBytesMax } = pace;
    this.socket = new FakeSocket(kind === "at once", (octets) => this.#checkWrite(octets));
    this.#lone.settle();
    this.#waits = new ReplicaService(this.#lone);
    const { service } = this.#waits;
    const { counters } = this;
    const writer = new MsgpackWriter();
    new ServerConnection(this.socket as unknown as Socket, {
      handler: new RequestHandler(service, writer, counters),
      feed: new ChangeFeed((observer) => service.observe(observer), counters),
      writer,
      counters,
      busyPoll: new BusyPoll(0, counters),
      versions: localVersions,
      requestsPerTurnMax: limits.localRequestsPerTurnMax,
      backlogBytesMax,
      // Who never reads is cut off at once; who does, however slowly, is never waited for in vain.
      backlogMsMax: kind === "never" ? 0 : limits.localBacklogMsMax,
      log: () => {},
    });
  }

  async play(pieces: Iterable<Buffer>): Promise<void> {
    const { socket, pace } = this;
    for (const piece of pieces) {
      await this.#untilRead();
      if (socket.destroyed) return;
      this.#meanwhile(pace.prng);
      socket.emit("data", piece);
      this.#readSome();
      if (pace.prng.chance(0.5)) await this.#turn();
    }
    await this.#untilRead();
    if (!socket.destroyed) socket.emit("end");
  }

  /** What waits ends, and is read as far as this client does. */
  async finish(): Promise<void> {
    const { socket, pace } = this;
    let isOver = false;
    while (!isOver) {
      const { writes } = socket;
      this.#waits.endWaits();
      this.#lone.tick();
      await this.#turn();
      if (pace.kind !== "never") socket.read(socket.writableLength);
      const isQuiet = writes === socket.writes && this.#waits.waits === 0;
      isOver = socket.destroyed || (isQuiet && !socket.isPaused());
    }
    socket.emit("close");
  }

  /** What comes of others: waits end, and sessions change of which this client may be told. */
  #meanwhile(prng: Prng): void {
    if (prng.chance(0.2)) this.#waits.endWaits();
    const lifetime = { idleMs: 60_000, absoluteMs: undefined };
    if (prng.chance(0.3)) this.#waits.service.set("s-1", [], lifetime);
  }

  /** A client that is paused is not read from before it has read, if it ever does. */
  async #untilRead(): Promise<void> {
    while (this.socket.isPaused() && !this.socket.destroyed) {
      this.#readSome();
      await this.#turn();
    }
  }

  #readSome(): void {
    const { kind, prng } = this.pace;
    const { writableLength } = this.socket;
    if (kind !== "slowly" || writableLength === 0 || prng.chance(0.5)) return;
    this.socket.read(prng.chance(0.3) ? writableLength : 1 + prng.below(writableLength));
  }

  async #turn(): Promise<void> {
    await turn();
    const { socket, pace } = this;
    if (socket.writableLength <= pace.backlogBytesMax || !socket.writable) return;
    assert(socket.isPaused(), "who has much to read is not read from");
  }

  /** Nothing for who has too much to read already; else as much as has room, and one reply more. */
  #checkWrite(octets: Buffer): void {
    const room = this.pace.backlogBytesMax - this.socket.writableLength;
    assert(room >= 0, "who has too much to read is told nothing");
    const replies = plainFrames(octets, limits.localFrameBytesMax).filter(
      (body) => body !== undefined && !headOf(body).isEvent,
    );
    const sizes = replies.slice(0, -1).map((body) => frameOf(body ?? Buffer.alloc(0)).length);
    const size = sizes.reduce((sum, bytes) => sum + bytes, 0);
    assert(size <= room, `${size} octets and one reply more for room of ${room}`);
  }
}

function headOf(body: Buffer | undefined): ReplyHead {
  assert(body !== undefined, "a reply fits a frame");
  const reader = new MsgpackReader();
  reader.reset(body, 0, body.length);
  const head = decodeReplyHead(reader);
  assert(head !== undefined, "a reply is one");
  return head;
}

async function serve(input: Buffer): Promise<Features> {
  const [cut = 0, octet = 0] = input;
  const pace = paceOf(octet);
  const scene = new Scene(pace);
  await scene.play(piecesOf(Buffer.concat([Buffer.from([cut]), streamOf(input)])));
  await scene.finish();
  return [`reads ${pace.kind}`, ...judge(input, scene)];
}

/**
 * Every request has its reply, or the connection has said why it ends. Only who never reads is cut
 * off, as soon as it has too much to read.
 */
function judge(input: Buffer, { pace, socket, counters }: Scene): Features {
  assert.equal(counters.clientsDropped, pace.kind === "never" ? counters.clientsPaused : 0);
  assert.equal(socket.destroyed, counters.clientsDropped > 0);
  const asked = plainFrames(streamOf(input), limits.localFrameBytesMax);
  const replies = plainFrames(Buffer.concat(socket.taken), limits.localFrameBytesMax);
  const heads = replies.map(headOf);
  const answers = heads.filter(({ isEvent }) => !isEvent);
  assert(answers.length <= asked.length + 1);
  if (pace.kind === "never") assert.equal(answers.length, 0);
  else if (socket.ended) assert(answers.at(-1)?.error !== undefined, "it says why");
  else assert.equal(answers.length, asked.length);
  const refusals = heads.map(({ error }) => error?.code ?? "done");
  return [...refusals, ...counted(counters), `ended ${socket.ended}`];
}

const server: FuzzTarget = {
  name: "server",
  about: "an app that sends anything and reads as it likes: answered, told why not, or cut off",
  bytesMax: 4_096,
  executions: 200,
  corpus() {
    const [hello = () => {}] = requests;
    const whole = written(...requests);
    const each = requests.map((write) => written(hello, write));
    const streams = [whole, ...each].flatMap((stream) =>
      [0, 1, 9].map((cut) => Buffer.concat([Buffer.from([cut, 0]), stream])),
    );
    const read = [1, 2, 3, 192, 193].map((pace) =>
      Buffer.concat([Buffer.from([40, pace]), whole, whole]),
    );
    return [...streams, ...read];
  },
  breed(input, other, prng, anyhow) {
    const [frames, others] = [bodiesOf(input), bodiesOf(other)];
    const at = prng.below(frames.length + 1);
    const donated = prng.pick(others);
    const chosen = frames[at];
    if (donated !== undefined && prng.chance(0.4)) frames.splice(at, 0, donated);
    else if (chosen !== undefined) frames[at] = anyhow(chosen, donated ?? chosen, prng);
    const head = Buffer.from(input.subarray(0, headBytes));
    if (head.length === headBytes && prng.chance(0.3)) head[1] = prng.below(256);
    return Buffer.concat([head, ...frames.map(frameOf)]);
  },
  run: serve,
};

function bodiesOf(input: Uint8Array): Buffer[] {
  const frames = plainFrames(streamOf(input), limits.localFrameBytesMax);
  return frames.filter((body) => body !== undefined);
}

export const serverConnectionTargets: readonly FuzzTarget[] = [server];
