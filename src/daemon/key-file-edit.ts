import { randomBytes } from "node:crypto";
import { OperatorError } from "../base/operator-error.ts";
import { keyBytes } from "../wire/keyring.ts";
import { nameOfKey, readKeyLines, sameMark } from "./key-file-text.ts";

/** Gives a key of 32 octets; a parameter only so that tests know what they get. */
export type DrawKey = () => Buffer;

export interface Edited {
  readonly text: string;
  /** Of the key that it is about, eight hex digits. */
  readonly fingerprint: string;
}

const drawKey: DrawKey = () => randomBytes(keyBytes);

const heading = `# Keys of a sessioncast cluster: the same file on every node.
# Whoever reads it can read and forge its sessions. How to change keys: config/README.md, "Keys".
`;

/** A file for a new cluster. */
export function newKeyFile(draw: DrawKey = drawKey): Edited {
  const identity = draw();
  const use = drawDistinct([identity], draw);
  const text = `${heading}\nidentity ${hex(identity)}\nuse ${hex(use)}\n`;
  return { text, fingerprint: nameOfKey(use) };
}

/** First step of a rotation: one key more that opens. */
export function addKey(text: string, file: string, draw: DrawKey = drawKey): Edited {
  const lines = readKeyLines(text, file);
  const present = lines.map(({ key }) => key);
  const key = drawDistinct(present, draw);
  const separator = text.endsWith("\n") ? "" : "\n";
  const added = `${text}${separator}open ${hex(key)}\n`;
  // Refuses what would be one too many.
  readKeyLines(added, file);
  return { text: added, fingerprint: nameOfKey(key) };
}

/** Second step: that key seals, and the one that did only opens. Nothing changes if it did. */
export function useKey(text: string, file: string, fingerprint: string): Edited {
  const chosen = find(text, file, fingerprint);
  const used = readKeyLines(text, file).find(({ word }) => word === "use");
  const rows = text.split("\n");
  if (used !== undefined) changeWord(rows, used.at, "open");
  changeWord(rows, chosen.at, "use");
  return { text: rows.join("\n"), fingerprint: nameOfKey(chosen.key) };
}

/** Third step: the line of a key that no node uses any more goes. */
export function retireKey(text: string, file: string, fingerprint: string): Edited {
  const chosen = find(text, file, fingerprint);
  if (chosen.word === "use") {
    throw new OperatorError(
      "E_KEY_IN_USE",
      `the key ${nameOfKey(chosen.key)} of the key file ${file} seals, so it cannot be retired`,
      "Let another key seal first: sessioncast keygen --use",
    );
  }
  const rows = text.split("\n");
  rows.splice(chosen.at - 1, 1);
  return { text: rows.join("\n"), fingerprint: nameOfKey(chosen.key) };
}

function find(text: string, file: string, fingerprint: string) {
  const keys = readKeyLines(text, file).filter(({ word }) => word !== "identity");
  const found = keys.find(({ key }) => nameOfKey(key) === fingerprint.toLowerCase());
  if (found !== undefined) return found;
  const known = keys.map(({ word, key }) => `${word} ${nameOfKey(key)}`).join(", ");
  throw new OperatorError(
    "E_KEY_UNKNOWN",
    `the key file ${file} has no key of that fingerprint`,
    `Name one of these: ${known}`,
  );
}

function changeWord(rows: string[], at: number, word: "use" | "open"): void {
  rows[at - 1] = (rows[at - 1] ?? "").replace(/use|open/, word);
}

/** One in 65 536 would be mistaken for another on the wire. */
function drawDistinct(present: readonly Buffer[], draw: DrawKey): Buffer {
  for (;;) {
    const key = draw();
    if (!present.some((other) => sameMark(key, other))) return key;
  }
}

function hex(key: Buffer): string {
  return key.toString("hex");
}
