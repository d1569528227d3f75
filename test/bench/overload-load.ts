import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "../../src/client/connect.ts";
import type { OverloadTask } from "./overload.ts";

/**
 * An app that writes more than may be sent, in a process of its own, so that what another app's
 * reads wait for is the sidecar and not this one's work: `overload-load.js <socket>`. Its parent's
 * message is the task, and the answer the number of updates that were offered.
 */
const client = await connect({ socket: process.argv[2] as string, timeoutMs: 60_000 });

process.on("disconnect", () => process.exit());
process.on("message", async (task: OverloadTask) => {
  process.send?.(await offer(task));
});
process.send?.("ready");

/** Updates at the offered rate, whatever becomes of them; returns how many there were. */
async function offer({ ids, value, perSecond, seconds }: OverloadTask): Promise<number> {
  const startMs = performance.now();
  let written = 0;
  let answered = Promise.resolve<unknown>(undefined);
  while (performance.now() - startMs < seconds * 1_000) {
    const due = ((performance.now() - startMs) * perSecond) / 1_000;
    for (; written < due; written++) {
      const id = ids[written % ids.length] as string;
      answered = client.patch(id, { set: { value: value + written } });
    }
    await answered;
    await pause(1);
  }
  return written;
}
