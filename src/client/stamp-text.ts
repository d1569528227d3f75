import type { Stamp } from "../session/stamp.ts";
import { invalid } from "./errors.ts";

const two32 = 4_294_967_296;

/**
 * A stamp as apps hold it: a text that they compare and hand back, and that says nothing else. The
 * time in two halves: small integers become text many times faster than large ones.
 */
export function stampText({ time, tag }: Stamp): string {
  const high = Math.floor(time / two32);
  return `${high}-${(time - high * two32) | 0}-${tag}`;
}

/** Throws SESSIONCAST_INVALID for what is no stamp. */
export function parseStamp(text: unknown): Stamp {
  const parts = typeof text === "string" ? /^(\d{1,7})-(-?\d{1,10})-(\d{1,10})$/.exec(text) : null;
  const [high, low, tag] = [Number(parts?.[1]), Number(parts?.[2]), Number(parts?.[3])];
  const time = high * two32 + (low >>> 0);
  const isStamp = low === (low | 0) && Number.isSafeInteger(time) && tag < two32;
  if (!isStamp) throw invalid("a stamp is not one that an earlier write returned");
  return { time, tag };
}
