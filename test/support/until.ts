import { setImmediate } from "node:timers/promises";

/**
 * Resolves when the condition holds, looking once a turn of the event loop. A condition that never
 * holds runs into the time limit of the test file; no length of waiting is assumed here.
 */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate();
}
