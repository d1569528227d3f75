import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** How late what was due came, in milliseconds, over the life of this process. */
export interface EventLoopDelayMs {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/**
 * Measured by a timer of this interval, so a pause may seem shorter by that much. An idle sidecar
 * pays for it, too: at 20 ms half a percent of a core, at 5 ms more than twice as much.
 */
const intervalMs = 20;

/** Starts to measure; the timer keeps no process alive. */
export function watchEventLoop(): () => EventLoopDelayMs {
  const histogram = monitorEventLoopDelay({ resolution: intervalMs });
  histogram.enable();
  return () => summary(histogram);
}

function summary(histogram: IntervalHistogram): EventLoopDelayMs {
  return {
    p50: lateMs(histogram.percentile(50)),
    p99: lateMs(histogram.percentile(99)),
    p999: lateMs(histogram.percentile(99.9)),
    max: lateMs(histogram.max),
  };
}

/** The histogram holds nanoseconds from one firing to the next, and zero before the second. */
function lateMs(nanoseconds: number): number {
  return Math.max(0, Math.round(nanoseconds / 1e4 - intervalMs * 100) / 100);
}
