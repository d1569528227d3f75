import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";

/**
 * The least that could replicate: a Unix socket, a map, bundled multicast, and no protocol at all.
 * Nothing is checked, repaired, ordered, expired or told apart, so it is no product; it says what
 * this machine and this runtime could do at best, at the moment of the run.
 *
 * A frame on the socket is u16 length, u8 length of the id, id, value; its answer is one octet. An
 * empty id asks how many updates were applied and what they cost: a line of JSON. With any value it
 * asks for an octet at each update that arrives from now on.
 */
const [socketPath = "", portText = "0", group = ""] = process.argv.slice(2);
const port = Number(portText);
const datagramBytesMax = 1_372;
const bundle = Buffer.alloc(datagramBytesMax);
const held = new Map<string, string>();
const watchers: Socket[] = [];
const oneOctet = Buffer.alloc(1, 1);
let filled = 0;
let flushing = false;
let applied = 0;
let bytesSent = 0;

const outgoing = createSocket({
  type: "udp4",
  lookup: (host, _options, done) => done(null, host, 4),
});
const incoming = createSocket({ type: "udp4", reuseAddr: true, recvBufferSize: 4_194_304 });

incoming.on("message", (datagram, source) => {
  if (source.port === outgoing.address().port) return;
  for (let at = 0; at < datagram.length; ) {
    at = take(datagram, at);
    for (const watcher of watchers) watcher.write(oneOctet);
  }
});
incoming.bind({ port, address: group, exclusive: true }, () => {
  incoming.addMembership(group, "127.0.0.1");
  outgoing.bind({ port: 0, address: "127.0.0.1" }, () => {
    outgoing.setMulticastInterface("127.0.0.1");
    createServer(serve).listen(socketPath, () => process.send?.("ready"));
  });
});

function take(bytes: Buffer, at: number): number {
  const end = at + 2 + bytes.readUInt16BE(at);
  const idEnd = at + 3 + (bytes[at + 2] ?? 0);
  held.set(bytes.toString("latin1", at + 3, idEnd), bytes.toString("latin1", idEnd, end));
  applied += 1;
  return end;
}

function serve(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    let answers = 0;
    while (at + 2 <= bytes.length) {
      const end = at + 2 + bytes.readUInt16BE(at);
      if (end > bytes.length) break;
      if (bytes[at + 2] === 0) {
        if (end > at + 3) {
          watchers.push(socket);
          answers += 1;
        } else report(socket);
      } else {
        take(bytes, at);
        append(bytes.subarray(at, end));
        answers += 1;
      }
      at = end;
    }
    rest = bytes.subarray(at);
    if (answers > 0) socket.write(Buffer.alloc(answers, 1));
  });
}

function report(socket: Socket): void {
  const { user, system } = process.cpuUsage();
  socket.write(`${JSON.stringify({ applied, bytesSent, cpuMicros: user + system })}\n`);
}

function append(frame: Buffer): void {
  if (filled + frame.length > datagramBytesMax) flush();
  filled += frame.copy(bundle, filled);
  if (flushing) return;
  flushing = true;
  setImmediate(() => {
    flushing = false;
    flush();
  });
}

function flush(): void {
  if (filled === 0) return;
  bytesSent += filled;
  outgoing.send(Buffer.from(bundle.subarray(0, filled)), port, group);
  filled = 0;
}
