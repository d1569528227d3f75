/**
 * The time, as an input. Timers run on `monotonicMs`, which no operator can set; stamps and
 * session deadlines use `wallMs`, which peers must be able to compare.
 */
export interface Now {
  /** Milliseconds since an arbitrary start; never goes back. */
  readonly monotonicMs: number;
  /** Milliseconds since 1970-01-01 UTC; may be wrong and may jump. */
  readonly wallMs: number;
}
