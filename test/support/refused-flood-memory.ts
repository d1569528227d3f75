/**
 * Run with --expose-gc and a number of milliseconds: what a node holds after a flood of that length
 * and after another, octets of the heap and of buffers outside of it, as JSON.
 */
import { strict as assert } from "node:assert";
import { RefusedFlood } from "./refused-flood.ts";

const [, , milliseconds = ""] = process.argv;
const flood = new RefusedFlood();

function heldAfterFlood(): number {
  flood.run(Number(milliseconds));
  assert(globalThis.gc !== undefined, "run with --expose-gc");
  // What the first run lets go of may hold what is outside of the heap.
  for (let times = 0; times < 3; times++) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const first = heldAfterFlood();
process.stdout.write(JSON.stringify({ first, second: heldAfterFlood() }));
