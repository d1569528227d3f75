/** Foreign text without what could move the cursor of a terminal or break a line of a table. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return `\\u{${point.toString(16)}}`;
  });
}

const kibi = 1024;
const byteUnits = ["KiB", "MiB", "GiB", "TiB"] as const;

/** Exact, and rounded where the exact number is hard to read: `268435456 B (256 MiB)`. */
export function formatBytes(bytes: number): string {
  let scaled = bytes;
  let unit: string | undefined;
  for (const larger of byteUnits) {
    if (scaled < kibi) break;
    scaled /= kibi;
    unit = larger;
  }
  if (unit === undefined) return `${bytes} B`;
  return `${bytes} B (${trimmed(scaled)} ${unit})`;
}

const secondMs = 1_000;
const minuteMs = 60 * secondMs;

interface UnitPair {
  /** Durations below this are written in these units. */
  readonly belowMs: number;
  readonly largeMs: number;
  readonly smallMs: number;
  readonly names: readonly [large: string, small: string];
}

const unitPairs: readonly UnitPair[] = [
  { belowMs: 60 * minuteMs, largeMs: minuteMs, smallMs: secondMs, names: ["m", "s"] },
  { belowMs: 1_440 * minuteMs, largeMs: 60 * minuteMs, smallMs: minuteMs, names: ["h", "m"] },
  {
    belowMs: Number.POSITIVE_INFINITY,
    largeMs: 1_440 * minuteMs,
    smallMs: 60 * minuteMs,
    names: ["d", "h"],
  },
];

/** Two units at most: `12 ms`, `3.4 s`, `5m 12s`, `3h 20m`, `2d 4h`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 0) return `-${formatDuration(-durationMs)}`;
  if (durationMs < secondMs) return `${trimmed(Math.floor(durationMs * 10) / 10)} ms`;
  if (durationMs < minuteMs) return `${trimmed(Math.floor(durationMs / 100) / 10)} s`;
  const units = unitPairs.find(({ belowMs }) => durationMs < belowMs);
  if (units === undefined) return "for ever";
  const large = `${Math.floor(durationMs / units.largeMs)}${units.names[0]}`;
  const rest = Math.floor((durationMs % units.largeMs) / units.smallMs);
  return rest === 0 ? large : `${large} ${rest}${units.names[1]}`;
}

/** One decimal, none where it says nothing. */
function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}

export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
