import type { Merged } from "../../session/merge.ts";
import { type Life, ownerName, type SessionDelta } from "../../session/record.ts";
import { compareStamps, laterStamp } from "../../session/stamp.ts";
import type { StoredRecord } from "./stored-record.ts";

/**
 * What became of a session here. Touched: used, or its stamps are others; what it holds is the
 * same. Evicted: it lives on elsewhere.
 */
export type Change = "created" | "changed" | "touched" | "destroyed" | "expired" | "evicted";

/** Told of each change in the turn in which it happens. It must not change the store. */
export type Observer = (id: string, change: Change) => void;

/** What a merge has made of a record; undefined: nobody could have seen it. */
export function changeOf({ life }: StoredRecord, merged: Merged, before: Life): Change | undefined {
  // Only a create brings a later life: maybe after an end that has not been swept yet.
  if (life.alive) {
    if (!before.alive || compareStamps(life.stamp, before.stamp) > 0) return "created";
  } else return before.alive ? "destroyed" : undefined;
  return merged === "use" ? "touched" : "changed";
}

/** Whether a delta says no more than that the session was used. */
export function isUse({ life, floor, attributes }: SessionDelta): boolean {
  return life === undefined && floor === undefined && attributes.length === 0;
}

/** Whether a delta may change the owner of a session that stays alive. */
export function mayChangeOwner({ floor, attributes }: SessionDelta): boolean {
  if (floor !== undefined) return true;
  for (const { name } of attributes) if (name === ownerName) return true;
  return false;
}

export function noteNewest(record: StoredRecord, delta: SessionDelta): void {
  let { newest } = record;
  if (delta.life !== undefined) newest = laterStamp(newest, delta.life.stamp);
  if (delta.floor !== undefined) newest = laterStamp(newest, delta.floor);
  for (const attribute of delta.attributes) newest = laterStamp(newest, attribute.stamp);
  record.newest = newest;
}
