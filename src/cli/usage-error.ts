import { plainWord } from "./plain-words.ts";
import { shortId } from "./short-id.ts";

/** What was typed cannot be understood; exit code 2, as shells have it. */
export class UsageError extends Error {
  override name = "UsageError";
}

const optionLike = /^[a-z]+(?:-[a-z]+)*$/;
const optionCharactersMax = 20;

/**
 * The parser's message about words that it does not know, without what may be a session id: such a
 * word in a wrong place, or one that begins with a dash and was taken apart into letters.
 */
export function discreet(message: string): string {
  const [, what, list = ""] = /^(Unknown (?:argument|command)s?): (.+)$/s.exec(message) ?? [];
  if (what === undefined) return message;
  const words = list.split(", ");
  if (words.filter((word) => [...word].length === 1).length > 1) {
    return `${what}; write -- before words that begin with a dash`;
  }
  return `${what}: ${words.map(shownWord).join(", ")}`;
}

function shownWord(given: string): string {
  const word = plainWord(given);
  const isOption = optionLike.test(word) && word.length <= optionCharactersMax;
  return isOption || word.length <= 2 ? word : shortId(word);
}
