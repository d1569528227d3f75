/**
 * Freezes all objects and arrays of a value. False: some of it cannot be frozen (a date, a Map, a
 * Buffer), and what was frozen before that was met stays frozen.
 */
export function deepFreeze(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return false;
  if (Object.isFrozen(value)) return true;
  for (const part of Object.values(value)) if (!deepFreeze(part)) return false;
  Object.freeze(value);
  return true;
}
