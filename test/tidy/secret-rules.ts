import { roomOf, type SourceRule, type Violation, violationsOf } from "./rule.ts";
import { lineAt, scanSource } from "./source-text.ts";

const assertions = "src/base/assert.ts";
const calls = /(?<![.\w$])(?<!function )assert\s*\(/g;
/** A literal whose inside is blank, as `scanSource` leaves it. */
const plainText = /^\s*" *"\s*$/;

/** What fails is printed: an assertion that told of a session would give its secrets away. */
export const assertionsTellNoState: SourceRule = (path, text) => {
  if (roomOf(path) === undefined || path === assertions) return [];
  const { code } = scanSource(text);
  const violations: Violation[] = [];
  for (const match of code.matchAll(calls)) {
    const [, rule = ""] = argumentsAt(code, match.index + match[0].length);
    if (plainText.test(rule)) continue;
    const fact = "an assertion whose rule is no plain text: it might tell of a session";
    violations.push({ path, line: lineAt(text, match.index), fact });
  }
  const others = [
    { pattern: /\bnew\s+AssertionError\b/g, fact: `an AssertionError made outside ${assertions}` },
    { pattern: /\b(?:inspect|emitWarning)\s*\(/g, fact: "prints whatever it is given" },
  ];
  return [...violations, ...violationsOf(path, code, others)];
};

/** From behind the opening bracket to the one that closes it; a last comma counts for nothing. */
function argumentsAt(code: string, start: number): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = start;
  for (let at = start; at < code.length && depth >= 0; at++) {
    const sign = code.charAt(at);
    if ("([{".includes(sign)) depth += 1;
    if (")]}".includes(sign)) depth -= 1;
    if (depth < 0 || (sign === "," && depth === 0)) {
      found.push(code.slice(from, at));
      from = at + 1;
    }
  }
  return found.filter((argument) => argument.trim() !== "");
}
