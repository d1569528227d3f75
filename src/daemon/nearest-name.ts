import { configurationKeys } from "./configuration-schema.ts";

/** Levenshtein's distance: insertions, deletions and substitutions that lead from one to other. */
export function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, character] of [...from].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const substituted = (row[column - 1] ?? 0) + (to[column - 1] === character ? 0 : 1);
      const removed = (row[column] ?? 0) + 1;
      const inserted = (next[column - 1] ?? 0) + 1;
      next.push(Math.min(substituted, removed, inserted));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** Longer names are no typing errors; comparing them would cost time for nothing. */
const comparedCharactersMax = 128;

export function nearestName(name: string, known: readonly string[]): string {
  return closest(known, (candidate) => distance(name, candidate)) ?? "";
}

/** `port` is meant for `gossip.port`: a right last word counts as one mistake, not as seven. */
export function nearestKey(key: string): string {
  const sections = configurationKeys
    .filter((known) => known.includes("."))
    .map((known) => known.slice(0, known.indexOf(".")));
  const lastWord = (dotted: string) => dotted.slice(dotted.lastIndexOf(".") + 1);
  const score = (candidate: string) =>
    Math.min(distance(key, candidate), distance(lastWord(key), lastWord(candidate)) + 1);
  return closest([...configurationKeys, ...sections], score) ?? "";
}

function distance(left: string, right: string): number {
  const [a, b] = [left, right].map((name) => name.slice(0, comparedCharactersMax).toLowerCase());
  return editDistance(a ?? "", b ?? "");
}

function closest<T extends string>(
  candidates: readonly T[],
  score: (candidate: T) => number,
): T | undefined {
  let best: T | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const candidateScore = score(candidate);
    if (candidateScore >= bestScore) continue;
    best = candidate;
    bestScore = candidateScore;
  }
  return best;
}
