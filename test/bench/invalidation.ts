import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { connect } from "../../src/client/connect.ts";
import { percentile, round } from "./measure.ts";

/**
 * For how long a near cache still shows what another connection of the same sidecar has changed, in
 * microseconds from before the change is sent.
 */
export async function benchInvalidation(
  socket: string,
  changes: number,
  print: (line: string) => void,
): Promise<void> {
  const nearCache = { maxCount: 10, maxBytes: 100_000 };
  const reader = await connect({ socket, nearCache });
  const writer = await connect({ socket });
  const samples: number[] = [];
  await writer.create("changing", { index: -1 });
  for (let index = 0; index < changes; index++) {
    await reader.get("changing");
    const startMs = performance.now();
    const written = writer.patch("changing", { set: { index } });
    while (reader.nearCacheStats?.count !== 0) await setImmediate();
    samples.push((performance.now() - startMs) * 1_000);
    await written;
  }
  await Promise.all([reader.close(), writer.close()]);
  const [p50, p99] = [percentile(samples, 0.5), percentile(samples, 0.99)];
  print(`a copy ends after a change elsewhere, us: p50 ${round(p50)}, p99 ${round(p99)}`);
}
