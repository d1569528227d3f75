import { setTimeout as delay } from "node:timers/promises";

export interface Condition<T> {
  readonly deadlineMs: number;
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** Undefined while it does not hold yet; any error but a HopelessError counts as such. */
  check(): Promise<T | undefined>;
  /** Completes "gave up after 5 s: ...". */
  describe(): string;
}

/** Waiting longer is in vain: a process has ended. */
export class HopelessError extends Error {
  override name = "HopelessError";
}

/** Polls: the demo must see what any user could see, so it has no other way to be told. */
export async function until<T>(condition: Condition<T>): Promise<T> {
  const giveUpAtMs = performance.now() + condition.deadlineMs;
  let lastError: unknown;
  do {
    condition.signal.throwIfAborted();
    try {
      const value = await condition.check();
      if (value !== undefined) return value;
      lastError = undefined;
    } catch (error) {
      if (error instanceof HopelessError) throw error;
      lastError = error;
    }
    await delay(condition.everyMs, undefined, { signal: condition.signal });
  } while (performance.now() < giveUpAtMs);
  const reason = lastError instanceof Error ? `; last error: ${lastError.message}` : "";
  throw new Error(
    `gave up after ${condition.deadlineMs / 1000} s: ${condition.describe()}${reason}`,
    { cause: lastError },
  );
}
