import { createServer } from "node:net";
import { echoSizes } from "./echo-client.ts";

/**
 * What the socket costs when nothing is done: a frame's length is read and stepped over, and each
 * frame gets the same reply. The replies to what came in one piece leave in one piece.
 */
const [socketPath = ""] = process.argv.slice(2);
const reply = Buffer.alloc(4 + echoSizes.replyBytes, "e");
reply.writeUInt32BE(echoSizes.replyBytes);

const server = createServer((socket) => {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const replies: Buffer[] = [];
    let at = 0;
    while (at + 4 <= bytes.length) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end > bytes.length) break;
      replies.push(reply);
      at = end;
    }
    rest = bytes.subarray(at);
    const [first] = replies;
    if (first !== undefined) socket.write(replies.length === 1 ? first : Buffer.concat(replies));
  });
});
server.listen(socketPath, () => process.send?.("ready"));
process.on("disconnect", () => process.exit());
