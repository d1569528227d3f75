import { performance } from "node:perf_hooks";
import type { LoadRun, LoadTask } from "./local.ts";
import { localSubjects } from "./local-subjects.ts";
import { percentile, pipelined } from "./measure.ts";

/**
 * The load on one subject, in a process of its own, so that no subject's code or garbage is another
 * one's burden: `local-load.js <subject> <socket>`. Each message of the parent is a task.
 */
const [name = "", socket = ""] = process.argv.slice(2);
const subject = localSubjects[name];
if (subject === undefined) throw new Error(`there is no subject ${name}`);
const client = await subject.open(socket);

const ids = Array.from({ length: 10_000 }, (_, index) => `s${index}`);
/** 297 characters of JSON. */
const session = { user: "ada", cart: ["book", "lamp"], text: "t".repeat(250) };
/** The clock is not free beside the fastest reads, so not each of them is timed. */
const timedEvery = 7;
const runMsMin = 200;

process.on("disconnect", () => process.exit());
process.on("message", async ({ gets, inFlight }: LoadTask) => {
  process.send?.(await readMany(gets, inFlight));
});
await pipelined(ids.length, 64, (index) => client.set(ids[index] as string, session));
process.send?.("ready");

/** A run ends after so many reads, but not before its figures can mean something. */
async function readMany(gets: number, inFlight: number): Promise<LoadRun> {
  const latencies: number[] = [];
  let sent = 0;
  let isOver = false;
  const startMs = performance.now();
  const reader = async () => {
    while (!isOver) {
      const index = sent++;
      const isTimed = index % timedEvery === 0;
      const sentMs = isTimed ? performance.now() : 0;
      const id = ids[(index * 7) % ids.length] as string;
      if ((await client.get(id)) === undefined) throw new Error("a session is missing");
      if (!isTimed) continue;
      const nowMs = performance.now();
      latencies.push((nowMs - sentMs) * 1_000);
      isOver = sent >= gets && nowMs - startMs >= runMsMin;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, reader));
  return {
    getsPerSecond: (sent / (performance.now() - startMs)) * 1_000,
    p50Micros: percentile(latencies, 0.5),
    p99Micros: percentile(latencies, 0.99),
  };
}
