import { type Heartbeat, type Phase, Tag } from "../protocol/frames.ts";
import type { Store } from "./store/store.ts";

/** What a node is at this moment. */
interface Self {
  readonly phase: Phase;
  readonly store: Store;
  readonly keys: readonly number[];
  readonly ownRetentionMs: number;
  /** By how much the machine's clock is ahead of the one that the node goes by. */
  readonly machineAheadMs: number;
}

/** What it says of itself; the rest it is told. */
export function ownHeartbeat(
  { phase, store, keys, ownRetentionMs, machineAheadMs }: Self,
  { wallMs, ...said }: Pick<Heartbeat, "name" | "hello" | "sequence" | "wallMs">,
): Heartbeat {
  return {
    tag: Tag.heartbeat,
    ...said,
    phase,
    digest: store.trie.root,
    count: store.recordCount,
    stubs: store.stubs.size,
    wallMs: wholeMs(wallMs),
    machineMs: wholeMs(wallMs + machineAheadMs),
    keys,
    tombstoneRetentionMs: ownRetentionMs,
  };
}

/** As there is room for it. */
function wholeMs(wallMs: number): number {
  return Math.min(Math.max(0, Math.floor(wallMs)), 2 ** 48 - 1);
}
