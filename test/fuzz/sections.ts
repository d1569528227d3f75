import type { Prng } from "../../src/base/prng.ts";
import type { Breed } from "./target.ts";

/** A part of an input: an octet that says what it is, and octets with a u16 length before them. */
export interface Section {
  readonly kind: number;
  readonly body: Uint8Array;
}

/** Steps of a script and frames of a datagram are both written so. */
export function joinSections(sections: readonly Section[]): Buffer {
  return Buffer.concat(
    sections.flatMap(({ kind, body }) => {
      const size = Math.min(body.length, 0xffff);
      return [Buffer.from([kind, size >> 8, size & 255]), body.subarray(0, size)];
    }),
  );
}

/** As far as the lengths can be believed. */
export function splitSections(octets: Uint8Array): Section[] {
  const sections: Section[] = [];
  for (let at = 0; at + 3 <= octets.length; ) {
    const [kind = 0, high = 0, low = 0] = octets.subarray(at, at + 3);
    const end = Math.min(octets.length, at + 3 + high * 256 + low);
    sections.push({ kind, body: octets.subarray(at + 3, end) });
    at = end;
  }
  return sections;
}

/**
 * Changes one section and sets its length right, or changes their order: damage that a parser would
 * refuse at the first length never comes to what lies deeper.
 */
export function breedSections(
  input: Uint8Array,
  other: Uint8Array,
  prng: Prng,
  breedBody: (kind: number) => Breed,
): Buffer {
  const sections = splitSections(input);
  const at = prng.below(sections.length + 1);
  const chosen = sections[at];
  const donated = prng.pick(splitSections(other));
  switch (prng.below(7)) {
    case 0:
      if (donated !== undefined) sections.splice(at, 0, donated);
      break;
    case 1:
      sections.splice(at, 1);
      break;
    case 2:
      if (chosen !== undefined) sections.splice(prng.below(sections.length), 0, chosen);
      break;
    default:
      if (chosen !== undefined) {
        const body = breedBody(chosen.kind)(chosen.body, donated?.body ?? chosen.body, prng);
        sections[at] = { kind: prng.chance(0.1) ? prng.below(256) : chosen.kind, body };
      }
  }
  return joinSections(sections);
}
