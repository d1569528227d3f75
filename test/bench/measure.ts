import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

/** What a figure is worth nothing without. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const machine = `${cpus().length} x ${cpu?.model ?? "unknown"}`;
  return `${machine}, Node ${process.version}, commit ${commit()}`;
}

function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

/** The value below which this share of the samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/** "median (lowest to highest)", so that the noise of the machine shows. */
export function withSpread(samples: readonly number[], digits = 0): string {
  const [low, high] = [Math.min(...samples), Math.max(...samples)];
  const show = (value: number) =>
    value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
  return `${show(median(samples))} (${show(low)} to ${show(high)})`;
}

export function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}

/** Runs `count` jobs, at most `inFlight` at once. */
export async function pipelined(
  count: number,
  inFlight: number,
  job: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}
