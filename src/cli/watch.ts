import { setTimeout as delay } from "node:timers/promises";
import { outputClosed } from "./output.ts";

const watchEveryMs = 1_000;
const closedCheckMs = 100;

/** Shows at once and then every second, until Ctrl-C or until nobody reads any more. */
export async function watch(show: () => Promise<void>): Promise<void> {
  await untilStopped(async (signal) => {
    while (!signal.aborted && !outputClosed()) {
      await show();
      await pause(signal);
    }
  });
}

/** Does it until Ctrl-C, which it hears of by the signal. */
async function untilStopped(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    await work(stop.signal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** Until Ctrl-C or until nobody reads any more. */
export async function untilLeft(): Promise<void> {
  await untilStopped(async (signal) => {
    while (!signal.aborted && !outputClosed()) await pause(signal);
  });
}

async function pause(signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < watchEveryMs; waitedMs += closedCheckMs) {
    if (signal.aborted || outputClosed()) return;
    await delay(closedCheckMs, undefined, { signal }).catch(() => {});
  }
}
