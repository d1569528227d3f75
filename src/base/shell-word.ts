/** A word as a shell takes it for one; most need no quotes. */
export function shellWord(word: string): string {
  if (/^[\w./:@%+,=-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
