import { assert } from "../../base/assert.ts";
import type { Attribute } from "../../session/record.ts";
import type { StoredRecord } from "./stored-record.ts";

/**
 * Brings what reads and merges look at of these records into the processor's cache. A record is a
 * dozen small objects anywhere in the heap. A million of them are in no cache, and ten thousand are
 * not either where others share it: each object is a wait for memory then, and the next one's place
 * is known only after it. Read level by level for several records the waits overlap, since no
 * record's depends on another's (as in Chen et al. 2004, "Improving Hash Join Performance through
 * Prefetching").
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
    for (const attribute of attributes) sum += attribute.stamp.tag;
  }
  for (const record of records) {
    for (const attribute of record?.attributes ?? none) sum += attribute.value?.length ?? 0;
  }
  // What nobody uses the compiler would not read.
  assert(Number.isFinite(sum), "what is stored of a session are numbers and lengths");
}

const none: readonly Attribute[] = [];
