import type { Stamp } from "../session/stamp.ts";
import { invalid } from "./errors.ts";

/** A stamp as apps hold it: a text that they compare and hand back, and that says nothing else. */
export function stampText(stamp: Stamp): string {
  return `${stamp.time.toString(36)}-${stamp.tag.toString(36)}`;
}

/** Throws SESSIONCAST_INVALID for what is no stamp. */
export function parseStamp(text: unknown): Stamp {
  const parts = typeof text === "string" ? /^([0-9a-z]{1,11})-([0-9a-z]{1,7})$/.exec(text) : null;
  if (parts === null) throw invalid("a stamp is not one that an earlier write returned");
  return { time: Number.parseInt(parts[1] ?? "", 36), tag: Number.parseInt(parts[2] ?? "", 36) };
}
