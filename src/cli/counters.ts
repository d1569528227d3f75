import { formatBytes, formatDuration, printable } from "./format.ts";
import { formatPairs, formatTable } from "./table.ts";

/** What `stats` prints is whatever the sidecar counts: no list here that could fall behind it. */
export type Counters = Readonly<Record<string, unknown>>;

/** Single values first, then one block for each group, all sorted; then one table for each list. */
export function formatCounters(counters: Counters): string {
  const blocks: string[] = [];
  const pairs = pairsOf(counters);
  if (pairs.length > 0) blocks.push(formatPairs(pairs));
  for (const [name, value] of sortedEntries(counters)) {
    if (!isGroup(value)) continue;
    const group = pairsOf(value, { deep: true });
    if (group.length > 0) blocks.push(`${printable(name)}:\n${formatPairs(group, "  ")}`);
  }
  for (const [name, value] of sortedEntries(counters)) {
    if (isRecordList(value)) blocks.push(`${printable(name)}:\n${indent(formatRecords(value))}`);
  }
  return blocks.join("\n\n");
}

/** The columns a reader looks for first, the rest sorted behind them. */
const leadingColumns = ["node", "address", "state", "boot", "lastHeardMs"] as const;

/** Records of one kind as a table; nested values become columns such as `naks.sent`. */
export function formatRecords(records: readonly Counters[]): string {
  const flat = records.map((record) => new Map(pairsOf(record, { deep: true })));
  const names = new Set(flat.flatMap((record) => [...record.keys()]));
  const leading = leadingColumns.filter((name) => names.has(name));
  const others = [...names].filter((name) => !leading.some((known) => known === name)).sort();
  const columns = [...leading, ...others];
  return formatTable(
    columns.map((title) => ({ title })),
    flat.map((record) => columns.map((column) => record.get(column) ?? "-")),
  );
}

function pairsOf(counters: Counters, options = { deep: false }): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (const [name, value] of sortedEntries(counters)) {
    if (isGroup(value)) {
      if (!options.deep) continue;
      for (const [inner, text] of pairsOf(value, options)) {
        pairs.push([`${printable(name)}.${inner}`, text]);
      }
    } else if (!isRecordList(value)) {
      pairs.push([printable(name), formatValue(name, value)]);
    }
  }
  return pairs;
}

const shownBootCharacters = 8;

function formatValue(name: string, value: unknown): string {
  if (typeof value === "number") {
    if (/ms$/i.test(name)) return formatDuration(value);
    if (/bytes/i.test(name)) return formatBytes(value);
    return Number.isInteger(value) ? String(value) : value.toFixed(2);
  }
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value === undefined || value === null) return "-";
  if (typeof value !== "string") return printable(JSON.stringify(value));
  return printable(name === "boot" ? value.slice(0, shownBootCharacters) : value);
}

function sortedEntries(counters: Counters): [string, unknown][] {
  return Object.entries(counters).sort(([left], [right]) => (left < right ? -1 : 1));
}

function isGroup(value: unknown): value is Counters {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRecordList(value: unknown): value is readonly Counters[] {
  return Array.isArray(value) && value.length > 0 && value.every(isGroup);
}

function indent(text: string): string {
  return text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}
