import type { Options, PositionalOptions } from "yargs";
import type { Client } from "../client/connect.ts";
import { plainWord } from "./plain-words.ts";

export const socketOption = {
  socket: {
    type: "string",
    requiresArg: true,
    describe: "Path of the sidecar's local socket",
  },
} as const satisfies Record<string, Options>;

export const jsonOption = {
  json: { type: "boolean", default: false, describe: "Print JSON" },
} as const satisfies Record<string, Options>;

export const idPositional = {
  type: "string",
  demandOption: true,
  describe: "The session id",
  coerce: plainWord,
} as const satisfies PositionalOptions;

/** Connects, works, always closes: an open connection would keep the command from ending. */
export async function withClient<T>(
  socket: string | undefined,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { connect } = await import("../client/connect.ts");
  const client = await connect(socket === undefined ? {} : { socket });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
