import type { SessionDelta } from "../session/record.ts";

/**
 * How the core turns deltas into octets and back, without knowing the octets: the `wire` room
 * implements it, the composition root hands it in.
 */
export interface DeltaCodec {
  /** Starts a block; stamps in it are cheap when they are `base` or shortly after, by `tag`. */
  packer(): DeltaPacker;
  /** Foreign octets: undefined when they are not a valid block. Never throws. */
  decode(block: Uint8Array): SessionDelta[] | undefined;
}

export interface DeltaPacker {
  /**
   * Appends a delta to the block under construction. False when the block would then be larger
   * than `bytesMax`: the block is as before. The first delta of a block is always taken.
   */
  add(delta: SessionDelta, bytesMax: number): boolean;
  /** The finished block, in memory of its own; the packer starts anew. */
  take(): Uint8Array;
  /** The same, in memory of the packer's: the next `add` may overwrite it. */
  show(): Uint8Array;
  /** Deltas in the block under construction, and its octets so far. */
  readonly count: number;
  readonly bytes: number;
}
