import { lineAt } from "./source-text.ts";

export interface Violation {
  readonly path: string;
  /** 1 for what concerns the file as a whole. */
  readonly line: number;
  readonly fact: string;
}

/** A rule sees one file; `path` is relative to the root of the repository, with forward slashes. */
export type SourceRule = (path: string, text: string) => Violation[];

export interface Ban {
  readonly pattern: RegExp;
  readonly fact: string;
}

/** One violation for each match; `searched` is the text or a mask of it of the same length. */
export function violationsOf(path: string, searched: string, bans: readonly Ban[]): Violation[] {
  return bans.flatMap(({ pattern, fact }) =>
    [...searched.matchAll(pattern)].map((match) => ({
      path,
      line: lineAt(searched, match.index),
      fact,
    })),
  );
}

export function report(violations: readonly Violation[]): string {
  return violations.map(({ path, line, fact }) => `${path}:${line} ${fact}`).join("\n");
}

/** `src/net/driver.ts` is in room `net`; undefined for what is not in a room of `src`. */
export function roomOf(path: string): string | undefined {
  const [top, room, ...rest] = path.split("/");
  return top === "src" && rest.length > 0 ? room : undefined;
}
