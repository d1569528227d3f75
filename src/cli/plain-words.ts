/**
 * Session ids may begin with a dash, and the argument parser takes any such word for an option,
 * also after `--`. So those words travel through it behind a character that no argument can hold.
 */
const mark = "\0";

/** Removes the first `--` and marks the words behind it. */
export function protectWords(argv: readonly string[]): string[] {
  const divider = argv.indexOf("--");
  if (divider < 0) return [...argv];
  return [...argv.slice(0, divider), ...argv.slice(divider + 1).map((word) => mark + word)];
}

export function plainWord(word: string): string {
  return word.startsWith(mark) ? word.slice(mark.length) : word;
}
