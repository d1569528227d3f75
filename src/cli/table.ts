export type Alignment = "left" | "right";

export interface Column {
  readonly title: string;
  readonly align?: Alignment;
}

const gap = "  ";

/** Rows under titles; widths follow the longest cell. No trailing spaces: lines may be compared. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => width(line[at] ?? ""))));
  const formatLine = (line: readonly string[]) =>
    columns.map(({ align }, at) => pad(line[at] ?? "", widths[at] ?? 0, align)).join(gap);
  return lines.map((line) => formatLine(line).trimEnd()).join("\n");
}

export function formatPairs(pairs: readonly (readonly [string, string])[], indent = ""): string {
  const widest = Math.max(0, ...pairs.map(([key]) => width(key)));
  return pairs
    .map(([key, value]) => `${indent}${pad(key, widest)}${gap}${value}`.trimEnd())
    .join("\n");
}

function pad(cell: string, columnWidth: number, align: Alignment = "left"): string {
  const spaces = " ".repeat(Math.max(0, columnWidth - width(cell)));
  return align === "left" ? cell + spaces : spaces + cell;
}

/** Code points; good enough where nearly everything is ASCII. */
function width(cell: string): number {
  return [...cell].length;
}
