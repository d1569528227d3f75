import type { Writable } from "node:stream";

let isOutputClosed = false;

export function print(text: string): void {
  if (!isOutputClosed) process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, jsonValue));
}

export function printError(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Whether the reader has gone, as in `sessioncast stats --watch | head`. */
export function outputClosed(): boolean {
  return isOutputClosed;
}

/**
 * Without a listener a closed pipe would end the process with a stack trace, and with it a daemon
 * whose first lines somebody piped into `head`.
 */
export function tolerateClosedPipes(): void {
  onClosed(process.stdout, () => {
    isOutputClosed = true;
  });
  onClosed(process.stderr, () => {});
}

function onClosed(stream: Writable, closed: () => void): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    closed();
  });
}

/** Attributes are whatever the app stored; JSON lacks some of the types that msgpack carries. */
export function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (isBufferJson(value)) return Buffer.from(value.data).toString("base64");
  return value;
}

/** What the `toJSON` of a Buffer has made of it before a replacer sees it. */
function isBufferJson(value: unknown): value is { readonly data: readonly number[] } {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    value.type === "Buffer" &&
    "data" in value &&
    Array.isArray(value.data)
  );
}
