import { assert } from "../../base/assert.ts";
import { limits } from "../../protocol/limits.ts";
import type { StoredRecord } from "./stored-record.ts";

const { prefetchedAttributesMax } = limits;

/**
 * Brings what a read looks at of these records into the processor's cache. A record is a dozen
 * small objects anywhere in the heap. A million of them are in no cache, and ten thousand are not
 * either where others share it: each object is a wait for memory then, and the next one's place is
 * known only after it. Read level by level for several records the waits overlap, since no
 * record's depends on another's (as in Chen et al. 2004, "Improving Hash Join Performance through
 * Prefetching"). Of a session with many attributes only some: the others may not be wanted. What
 * only merges look at (the floor, other stamps) is mostly of the same write, and did not pay.
 */
export function bringNear(records: readonly (StoredRecord | undefined)[]): void {
  let sum = 0;
  for (const record of records) {
    if (record === undefined) continue;
    const { id, life, expiry, newest, attributes } = record;
    sum += id.length + life.stamp.tag + expiry.idleMs + newest.tag + attributes.length;
  }
  for (const record of records) {
    if (record === undefined) continue;
    const { life, expiry, newest, attributes } = record;
    sum += life.absoluteDeadlineMs + expiry.idleDeadlineMs + newest.time;
    const count = Math.min(attributes.length, prefetchedAttributesMax);
    for (let index = 0; index < count; index++) sum += attributes[index]?.stamp.tag ?? 0;
  }
  for (const record of records) {
    if (record === undefined) continue;
    const { attributes } = record;
    const count = Math.min(attributes.length, prefetchedAttributesMax);
    for (let index = 0; index < count; index++) sum += attributes[index]?.value?.length ?? 0;
  }
  // What nobody uses the compiler would not read.
  assert(Number.isFinite(sum), "what is stored of a session are numbers and lengths");
}
