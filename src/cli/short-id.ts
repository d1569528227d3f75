import { createHash } from "node:crypto";
import type { Options } from "yargs";
import { printable } from "./format.ts";

/** Session ids are bearer secrets, and what a command prints ends up on screens and in logs. */
export const fullOption = {
  full: {
    type: "boolean",
    default: false,
    describe: "Show whole ids; whoever knows one can use the session",
  },
} as const satisfies Record<string, Options>;

const charactersMax = 4;
const digestCharacters = 6;

/**
 * The first characters, a quarter of them and four at most, and six of the hexadecimal SHA-256:
 * `3kQz…9f04ab`. Of ids that begin alike, as behind a common prefix, only a digest tells two apart.
 * Both together say 48 bits of an id at most; generators draw 120 and more.
 */
export function shortId(id: string): string {
  const characters = [...id];
  const shown = Math.min(charactersMax, Math.floor(characters.length / 4));
  const digest = createHash("sha256").update(id).digest("hex").slice(0, digestCharacters);
  return `${printable(characters.slice(0, shown).join(""))}…${digest}`;
}

export function shownId(id: string, isFull: boolean): string {
  return isFull ? printable(id) : shortId(id);
}

/** For JSON. Under another name when it is short: no script may take it for an id. */
export function idField(id: string, isFull: boolean): { id: string } | { shortId: string } {
  return isFull ? { id } : { shortId: shortId(id) };
}
