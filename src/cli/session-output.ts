import type { Client } from "../client/connect.ts";
import { formatDuration, printable } from "./format.ts";
import { jsonValue, print } from "./output.ts";
import { idField, shownId } from "./short-id.ts";
import { formatPairs } from "./table.ts";

export type Session = NonNullable<Awaited<ReturnType<Client["get"]>>>;

/** For JSON. */
export function sessionJson({ id, ...session }: Session, isFull: boolean): object {
  return { ...idField(id, isFull), ...session };
}

export function printSession(session: Session, isFull: boolean): void {
  const attributes = Object.entries(session.attributes).sort(([left], [right]) =>
    left < right ? -1 : 1,
  );
  const lines: (readonly [string, string])[] = [
    ["session", shownId(session.id, isFull)],
    ...(session.owner === undefined ? [] : [["owner", printable(session.owner)] as const]),
    ["ends", formatEnd(session.expiresAt, Date.now())],
    ["attributes", attributes.length === 0 ? "none" : String(attributes.length)],
  ];
  print(formatPairs(lines));
  if (attributes.length === 0) return;
  print(
    formatPairs(
      attributes.map(([name, value]) => [printable(name), formatJson(value)]),
      "  ",
    ),
  );
}

/** 0, Infinity or nothing at all stand for a session without a deadline. */
export function formatEnd(expiresAt: number | Date | undefined, nowMs: number): string {
  const expiresAtMs = Number(expiresAt ?? 0);
  if (expiresAtMs === 0 || !Number.isFinite(expiresAtMs)) return "never";
  const leftMs = Math.max(0, expiresAtMs - nowMs);
  // Whole seconds, rounded up: right after `--idle 30m` it should say 30m, not 29m 59s.
  return `in ${formatDuration(leftMs < 1_000 ? leftMs : Math.ceil(leftMs / 1_000) * 1_000)}`;
}

function formatJson(value: unknown): string {
  return printable(JSON.stringify(value, jsonValue) ?? "undefined");
}
