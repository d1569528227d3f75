import { randomBytes } from "node:crypto";
import type { BootId } from "../protocol/frames.ts";

const timeBytes = 6;
const randomPartBytes = 6;

/**
 * Start time and randomness: later starts of one node sort after earlier ones, and no two starts
 * have one id, whatever clocks show. With one id, two starts would use the same nonces.
 */
export function newBootId(startedMs: number): BootId {
  const id = Buffer.alloc(timeBytes + randomPartBytes);
  id.writeUIntBE(startedMs, 0, timeBytes);
  randomBytes(randomPartBytes).copy(id, timeBytes);
  return id.toString("hex");
}
