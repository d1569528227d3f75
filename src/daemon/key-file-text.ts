import { OperatorError } from "../base/operator-error.ts";
import { limits } from "../protocol/limits.ts";
import { fingerprintOfKey, type KeyMaterial, keyBytes } from "../wire/keyring.ts";

/**
 * The text of a key file: `word hex64` on a line, `#` comments, blank lines. No error repeats what
 * a line holds: a key that was pasted without its word would end up in a log.
 */
export type KeyWord = "identity" | "use" | "open";

export interface KeyLine {
  readonly word: KeyWord;
  /** 32 octets. */
  readonly key: Buffer;
  /** Counted from 1. */
  readonly at: number;
}

const linePattern = new RegExp(`^(identity|use|open)[ \\t]+([0-9a-fA-F]{${2 * keyBytes}})$`);

export interface KeyFileContent extends KeyMaterial {
  /** How many of the open keys, the first ones, stand before the one in use. */
  readonly olderCount: number;
}

/** `file` is its path, for errors (E_KEY_FILE). */
export function parseKeyFile(text: string, file: string): KeyFileContent {
  const lines = readKeyLines(text, file);
  const only = (word: KeyWord) => lines.find((line) => line.word === word) ?? missing(word, file);
  const use = only("use");
  const open = lines.filter(({ word }) => word === "open");
  return {
    identity: only("identity").key,
    use: use.key,
    open: open.map(({ key }) => key),
    olderCount: open.filter(({ at }) => at < use.at).length,
  };
}

/** Every line that holds a key, in order, once the whole file is found right. */
export function readKeyLines(text: string, file: string): readonly KeyLine[] {
  const lines = text.split("\n");
  const found = lines.flatMap((line, index) => readLine(line, index + 1, file) ?? []);
  requireOne("identity", found, file, "Keep the one that all nodes of the cluster have");
  requireOne("use", found, file, "Keep one that seals, and write open before the other");
  const extra = found.filter(({ word }) => word !== "identity")[limits.keysMax];
  if (extra !== undefined) {
    const remedy = "Delete the lines of those that no node uses any more";
    throw fault(`${place(extra.at, file)} is a key too many`, remedy);
  }
  requireDistinct(found, file);
  return found;
}

function readLine(line: string, at: number, file: string): KeyLine | undefined {
  // Trimming also takes the byte order mark that some editors put before the text.
  const content = line.replace(/#.*/s, "").trim();
  if (content === "") return undefined;
  const [, word, digits] = linePattern.exec(content) ?? [];
  if (word === undefined || digits === undefined) {
    throw fault(
      `${place(at, file)} is not understood`,
      `Write identity, use or open and ${2 * keyBytes} hex digits; # begins a comment`,
    );
  }
  return { word: word as KeyWord, key: Buffer.from(digits, "hex"), at };
}

function requireOne(word: KeyWord, lines: readonly KeyLine[], file: string, remedy: string): void {
  const [first, second] = lines.filter((line) => line.word === word);
  if (first === undefined) missing(word, file);
  if (second !== undefined) throw fault(`${place(second.at, file)} is a second ${word}`, remedy);
}

/** A header names a key by the upper half of its fingerprint: it must tell them apart. */
function requireDistinct(lines: readonly KeyLine[], file: string): void {
  for (const [index, line] of lines.entries()) {
    for (const earlier of lines.slice(0, index)) {
      const both = `lines ${earlier.at} and ${line.at} of the key file ${file}`;
      if (line.key.equals(earlier.key)) throw fault(`${both} hold the same key`, "Delete one");
      if (line.word === "identity" || earlier.word === "identity") continue;
      if (sameMark(line.key, earlier.key)) {
        const remedy = "Replace the one that is not in use yet: sessioncast keygen --add";
        throw fault(`${both} hold keys whose fingerprints begin alike`, remedy);
      }
    }
  }
}

/** Whether datagrams could not say which of the two they are sealed with. */
export function sameMark(left: Buffer, right: Buffer): boolean {
  return fingerprintOfKey(left) >>> 16 === fingerprintOfKey(right) >>> 16;
}

/** What operators call a key: `1a2b3c4d`. */
export function nameOfKey(key: Buffer): string {
  return showFingerprint(fingerprintOfKey(key));
}

export function showFingerprint(fingerprint: number): string {
  return (fingerprint >>> 0).toString(16).padStart(8, "0");
}

function missing(word: KeyWord, file: string): never {
  throw fault(
    `the key file ${file} has no line of ${word}`,
    "Copy the file of another node, or make a new one: sessioncast keygen",
  );
}

function place(at: number, file: string): string {
  return `line ${at} of the key file ${file}`;
}

function fault(fact: string, remedy: string): OperatorError {
  return new OperatorError("E_KEY_FILE", fact, remedy);
}
