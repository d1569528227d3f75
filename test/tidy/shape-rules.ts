import { basename } from "node:path/posix";
import { type Ban, type SourceRule, violationsOf } from "./rule.ts";
import { scanSource } from "./source-text.ts";

const fileLinesMax = 400;
const lineColumnsMax = 100;

/** Names that say where something was put instead of what it is. */
const emptyNames = ["utils", "util", "helpers", "helper", "common", "types", "misc", "index"];
const kebabCase = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

function isScript(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path);
}

export const filesAreNamedAfterTheirContent: SourceRule = (path) => {
  if (!isScript(path)) return [];
  const stem = basename(path).replace(/(?:\.test|\.d)?\.[cm]?[jt]s$/, "");
  const fact = kebabCase.test(stem)
    ? `a name such as "${stem}" says nothing about the content`
    : `the name "${stem}" is not in kebab-case`;
  const empty = stem.split("-").some((word) => emptyNames.includes(word));
  return empty || !kebabCase.test(stem) ? [{ path, line: 1, fact }] : [];
};

export const filesAreShort: SourceRule = (path, text) => {
  if (!path.startsWith("src/") || !path.endsWith(".ts")) return [];
  const lines = text.replace(/\n$/, "").split("\n").length;
  if (lines <= fileLinesMax) return [];
  return [{ path, line: fileLinesMax + 1, fact: `has ${lines} lines; ${fileLinesMax} at most` }];
};

export const linesAreShort: SourceRule = (path, text) => {
  if (!path.endsWith(".ts")) return [];
  return text.split("\n").flatMap((content, index) => {
    // Characters, not UTF-16 units: what counts is the width on a screen.
    const columns = [...content].length;
    const fact = `has ${columns} columns; ${lineColumnsMax} at most`;
    return columns > lineColumnsMax ? [{ path, line: index + 1, fact }] : [];
  });
};

/** A file that only passes on the exports of others hides which room is being entered. */
export const noBarrels: SourceRule = (path, text) => {
  if (!isScript(path)) return [];
  const { code } = scanSource(text);
  const passedOn = /\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\w[^}]*\})/;
  const rest = code
    .replace(/\bexport\s+(?:type\s+)?\{[^}]*\}(?:\s*from\s*["'][^"']*["'])?/g, "")
    .replace(/\bexport\s+(?:type\s+)?\*(?:\s*as\s+\w+)?\s*from\s*["'][^"']*["']/g, "")
    .replace(/\bimport\b[^;"']*["'][^"']*["']/g, "");
  const barrel = passedOn.test(code) && /^[\s;]*$/.test(rest);
  return barrel ? [{ path, line: 1, fact: "only passes on the exports of other files" }] : [];
};

export const noDefaultExports: SourceRule = (path, text) => {
  if (!path.startsWith("src/") || !isScript(path)) return [];
  const pattern = /\bexport\s+default\b|\bexport\s*\{[^}]*\bas\s+default\b/g;
  return violationsOf(path, scanSource(text).code, [{ pattern, fact: "a default export" }]);
};

const codeBans: readonly Ban[] = [
  { pattern: /(?<![.#\w$])console\s*\./g, fact: "console: write to the log or to process.stdout" },
  { pattern: /\bas\s+any\b/g, fact: "as any" },
  { pattern: /\.only\s*\(|\bonly\s*:\s*true\b/g, fact: "only: the other tests would not run" },
];

const commentBans: readonly Ban[] = [
  { pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g, fact: "a note of unfinished work" },
];

export const nothingLeftBehind: SourceRule = (path, text) => {
  if (!isScript(path)) return [];
  const { code, comments } = scanSource(text);
  const masked = [...violationsOf(path, code, codeBans), ...violationsOf(path, code, commentBans)];
  return [...masked, ...violationsOf(path, comments, commentBans)];
};
