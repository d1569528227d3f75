import { setTimeout as delay } from "node:timers/promises";
import { outputClosed } from "./output.ts";

const watchEveryMs = 1_000;
const closedCheckMs = 100;

/** Shows at once and then every second, until Ctrl-C or until nobody reads any more. */
export async function watch(show: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    while (!stop.signal.aborted && !outputClosed()) {
      await show();
      await pause(stop.signal);
    }
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < watchEveryMs; waitedMs += closedCheckMs) {
    if (signal.aborted || outputClosed()) return;
    await delay(closedCheckMs, undefined, { signal }).catch(() => {});
  }
}
