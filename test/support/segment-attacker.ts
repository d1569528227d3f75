/**
 * Somebody on the cluster's network segment, in a process of its own. Listens to the group until it
 * is told "go" on its standard input, then sends datagrams to the group at a rate, or as fast as it
 * can if that is slower, and prints one line of JSON at the end.
 *
 *     segment-attacker.js --mode garbage|headers|recorded --group G --hear PORT --port PORT
 *                         --address A --rate PER_SECOND --seconds S [--least N]
 *
 * `garbage`: random octets; `headers`: headers of the cluster's own datagrams with random content
 * and counters to come; `recorded`: those datagrams as they are. It prints how many it has heard.
 * `--least`: it goes on beyond its time until it has sent so many.
 */
import { randomBytes, randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    mode: { type: "string", default: "garbage" },
    group: { type: "string", default: "" },
    hear: { type: "string", default: "0" },
    port: { type: "string", default: "0" },
    address: { type: "string", default: "" },
    rate: { type: "string", default: "50000" },
    seconds: { type: "string", default: "5" },
    least: { type: "string", default: "0" },
  },
});
const port = Number(values.port);
const recordedMax = 4_096;
const batch = 64;

/** What is heard until the word comes; of very much, the latest. */
async function listen(): Promise<Buffer[]> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.bind(Number(values.hear), values.group);
  await once(socket, "listening");
  socket.addMembership(values.group, values.address);
  const heard: Buffer[] = [];
  let count = 0;
  socket.on("message", (bytes) => {
    heard[count % recordedMax] = Buffer.from(bytes);
    count += 1;
    process.stdout.write(`heard ${count}\n`);
  });
  process.stdout.write("listening\n");
  await once(process.stdin, "data");
  process.stdin.destroy();
  socket.close();
  return heard;
}

/** What is sent, one after the other and from the start again. */
async function ammunition(): Promise<Buffer[]> {
  const heard = await listen();
  if (values.mode === "recorded") return heard;
  if (values.mode === "headers") return heard.map(forged);
  return Array.from({ length: recordedMax }, () => randomBytes(randomInt(1, 1_372)));
}

function forged(bytes: Buffer): Buffer {
  const content = randomBytes(Math.max(bytes.length, 64));
  bytes.copy(content, 0, 0, 28);
  content.writeUIntBE(content.readUIntBE(20, 6) + randomInt(1, 1_000_000), 20, 6);
  return content;
}

/** Resolves when the last of them has been taken by the kernel. */
function sendSome(socket: Socket, some: readonly Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    let left = some.length;
    for (const bytes of some) {
      socket.send(bytes, port, values.group, () => {
        left -= 1;
        if (left === 0) resolve();
      });
    }
  });
}

const datagrams = await ammunition();
const socket = createSocket("udp4");
socket.bind(0, values.address);
await once(socket, "listening");
socket.setMulticastInterface(values.address);
const startMs = performance.now();
const endMs = startMs + Number(values.seconds) * 1_000;
let sent = 0;
while (performance.now() < endMs || sent < Number(values.least)) {
  const due = ((performance.now() - startMs) / 1_000) * Number(values.rate);
  if (sent >= due) {
    await pause(1);
    continue;
  }
  const some = datagrams.slice(sent % datagrams.length).slice(0, batch);
  await sendSome(socket, some);
  sent += some.length;
}
const seconds = (performance.now() - startMs) / 1_000;
socket.close();
process.stdout.write(`${JSON.stringify({ sent, perSecond: Math.round(sent / seconds) })}\n`);
