import { connect, type Socket } from "node:net";
import { limits } from "../protocol/limits.ts";
import { FrameSplitter } from "./framing.ts";
import { MsgpackReader } from "./msgpack-reader.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";
import { decodeReplyHead, decodeReportReply } from "./reply-codec.ts";
import { encodeHello } from "./request-encoder.ts";

/** Whether anybody listens on a socket file, and who. */
export type SocketUse =
  | { readonly kind: "live"; readonly owner: string }
  /** Nobody listens: what a process left behind that did not end in order. */
  | { readonly kind: "stale" }
  | { readonly kind: "gone" }
  | { readonly kind: "unknown"; readonly cause: NodeJS.ErrnoException };

export function probeSocket(path: string): Promise<SocketUse> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let connected = false;
    const finish = (use: SocketUse) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(use);
    };
    // A frozen owner accepts without answering; it is an owner all the same.
    const timer = setTimeout(() => finish(live(undefined)), limits.localProbeMsMax);
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      // EAGAIN: as many wait for it to accept them as the system lets.
      if (connected || cause.code === "EAGAIN") finish(live(undefined));
      else if (cause.code === "ECONNREFUSED") finish({ kind: "stale" });
      else if (cause.code === "ENOENT") finish({ kind: "gone" });
      else finish({ kind: "unknown", cause });
    });
    socket.on("connect", () => {
      connected = true;
      askWho(socket, (report) => finish(live(report)));
    });
    socket.on("close", () => finish(live(undefined)));
  });
}

function askWho(socket: Socket, answered: (report: ReadonlyMap<string, string>) => void): void {
  const writer = new MsgpackWriter(64);
  encodeHello(writer, 1);
  socket.write(writer.written());
  const splitter = new FrameSplitter(limits.localFrameBytesMax);
  socket.on("data", (chunk: Buffer) => {
    splitter.feed(chunk);
    if (splitter.next()) {
      answered(readHello(splitter.buffer.subarray(splitter.start, splitter.end)));
    } else if (splitter.oversize) answered(new Map());
  });
}

/** Whoever it is may speak another protocol: what cannot be read is left out. */
export function readHello(frame: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  const reader = new MsgpackReader();
  reader.reset(frame, 0, frame.length);
  const head = decodeReplyHead(reader);
  if (head === undefined || head.error !== undefined) return fields;
  const body = decodeReportReply(reader);
  reader.reset(body, 0, body.length);
  const count = reader.mapHeader();
  for (let index = 0; index < count && !reader.failed; index++) {
    const key = reader.text();
    const value = key === "pid" || key === "protocol" ? String(reader.number()) : reader.text();
    if (!reader.failed) fields.set(key, value);
  }
  return fields;
}

function live(report: ReadonlyMap<string, string> | undefined): SocketUse {
  const node = report?.get("node");
  if (node === undefined) return { kind: "live", owner: "another process" };
  const details = [
    `sessioncast ${report?.get("version") ?? "of unknown version"}`,
    ...(report?.has("pid") ? [`pid ${report.get("pid")}`] : []),
  ];
  return { kind: "live", owner: `node "${node}" (${details.join(", ")})` };
}
