/** The client library over a real socket, at whose other end whatever the input says is written. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeReportReply } from "../../src/api/reply-codec.ts";
import { localVersions } from "../../src/api/versions.ts";
import { Client } from "../../src/client/client.ts";
import { SessioncastError } from "../../src/client/errors.ts";
import { replyFrames } from "./client-targets.ts";
import { written } from "./server-targets.ts";
import type { Features, FuzzTarget } from "./target.ts";

const protocol = localVersions.highest;
const hello = { protocol, version: "0", node: "n", cluster: "c", state: "ready", pid: 1 };
const greeting = written((writer) => encodeReportReply(writer, 1, hello));

interface Sidecar {
  readonly path: string;
  readonly server: Server;
  /** What the next connection is answered, after the greeting. */
  says: Buffer;
}

let sidecar: Promise<Sidecar> | undefined;

/** One for all inputs of a run. It keeps no process alive, and takes its path away at the end. */
function fakeSidecar(): Promise<Sidecar> {
  sidecar ??= listen();
  return sidecar;
}

async function listen(): Promise<Sidecar> {
  const directory = mkdtempSync(join(tmpdir(), "sessioncast-fuzz-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "s.sock");
  const server = createServer();
  const fake: Sidecar = { path, server, says: Buffer.alloc(0) };
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      const [isGreeted = 0] = fake.says;
      if (isGreeted % 8 > 0) socket.write(greeting);
      // In two pieces, so that a frame may be cut.
      const middle = 1 + Math.floor(fake.says.length / 2);
      socket.write(fake.says.subarray(1, middle));
      setImmediate(() => socket.end(fake.says.subarray(middle)));
    });
  });
  server.listen(path);
  await once(server, "listening");
  server.unref();
  return fake;
}

/** Every request ends, with a result or with an error that has a code. */
async function talk(input: Buffer): Promise<Features> {
  const fake = await fakeSidecar();
  fake.says = input;
  const nearCache = { maxCount: 4, maxBytes: 10_000 };
  const client = new Client({ socket: fake.path, timeoutMs: 30_000, nearCache });
  const events: string[] = [];
  const asked = [
    client.get("s-1"),
    client.get("s-1", { mutable: true }),
    client.set("s-2", { a: 1 }),
    client.list(),
    client.count(),
    client.destroyAll({ owner: "ada" }),
    client.ping(),
    client.hello(),
    client.watch({}, (event) => events.push(event.type)),
    client.stats(),
  ];
  const ends = await Promise.allSettled(asked);
  await client.close();
  const outcomes = ends.map((end, index) => {
    if (end.status === "fulfilled") return `request ${index} done`;
    assert(end.reason instanceof SessioncastError, String(end.reason));
    return `request ${index} ${end.reason.code}`;
  });
  return [...outcomes, ...events];
}

/** Request ids of a client begin at 3, in the order in which they are asked. */
function conversation(): Buffer {
  const frames = replyFrames();
  const kindOfRequest = [0, 2, 4, 5, 6, 7, 9, 10, 9, 10];
  const answers = kindOfRequest.map((kind, index) => {
    const frame = Buffer.from(frames[kind] ?? []);
    frame[5] = 3 + index;
    return frame;
  });
  return Buffer.concat(answers);
}

const client: FuzzTarget = {
  name: "client",
  about: "a client whose sidecar says anything: each request ends, failures have their codes",
  bytesMax: 4_096,
  executions: 300,
  corpus() {
    const all = conversation();
    const streams = [all, ...replyFrames(), Buffer.concat(replyFrames())];
    return streams.flatMap((stream) =>
      [0, 1].map((first) => Buffer.concat([Buffer.from([first]), stream])),
    );
  },
  run: talk,
};

export const connectionTargets: readonly FuzzTarget[] = [client];
