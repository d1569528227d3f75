import { limits } from "../protocol/limits.ts";
import { invalid } from "./errors.ts";

/** How long ids and names may be is for the sidecar to say. */
export function requireText(text: unknown): void {
  if (typeof text !== "string") throw invalid("an id, a name or a cursor is not a string");
  // A lone surrogate has no UTF-8: it would be stored as another character.
  if (!text.isWellFormed()) throw invalid("an id or a name is not well-formed Unicode");
}

export function requireOwner(owner: unknown): void {
  if (owner === undefined || owner === null) return;
  requireText(owner);
  if (owner === "") throw invalid("an owner is not an empty text");
}

export function requireDuration(value: unknown): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || Number(value) < 0 || Number(value) > limits.durationMsMax) {
    throw invalid("a time is not a whole number of milliseconds from 0 to ten years");
  }
}
