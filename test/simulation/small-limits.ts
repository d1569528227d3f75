import { limits } from "../../src/protocol/limits.ts";

const shipped: Readonly<Record<string, unknown>> = { ...limits };

/**
 * Gives limits of the product other values for one run, all others the shipped ones. The object is
 * constant for the compiler only, and runs of one process follow each other.
 */
export function useLimits(drawn: Readonly<Record<string, number>>): void {
  Object.assign(limits as Record<string, unknown>, shipped, drawn);
}
