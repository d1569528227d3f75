import { UsageError } from "./usage-error.ts";

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `30s`, `30m`, `12h`, `7d`; `0` needs no unit. A bare number would be a guess. */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  const [, amount = "", unit = ""] = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text) ?? [];
  const durationMs = Number(amount) * (unitsMs[unit] ?? Number.NaN);
  if (amount !== "" && Number.isSafeInteger(durationMs)) return durationMs;
  throw new UsageError(`"${text}" is no duration: write 500ms, 30s, 30m, 12h, 7d or 0 for never`);
}
