/**
 * JSON as it may be shown: it escapes control characters below U+0020 only. What a terminal would
 * obey, or not show at all, becomes an escape too, so that a line stays a line.
 */
export function escapeUnseen(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}
