import { type Ban, roomOf, type SourceRule, violationsOf } from "./rule.ts";
import { scanSource } from "./source-text.ts";

const pureRooms = ["base", "session", "protocol", "core"];
const timers = /(?<![.#\w$])(?:setTimeout|setInterval|setImmediate)\b/g;
const timerDoor = "src/net/driver.ts";

/** A name that is not the property of something else: `Buffer` but not `wire.Buffer`. */
function freeName(name: string): RegExp {
  return new RegExp(`(?<![.#\\w$])${name}(?![\\w$])`, "g");
}

const bans: readonly Ban[] = [
  { pattern: freeName("Date"), fact: "Date: the time is an input, see base/now.ts" },
  { pattern: /\bMath\s*\.\s*random\b/g, fact: "Math.random: chance is an input, see base/prng.ts" },
  { pattern: freeName("crypto"), fact: "crypto: chance is an input, see base/prng.ts" },
  { pattern: freeName("performance"), fact: "performance: the time is an input" },
  { pattern: timers, fact: "a timer: pure rooms name deadlines, the driver waits for them" },
  { pattern: freeName("queueMicrotask"), fact: "queueMicrotask: pure rooms run to completion" },
  { pattern: /(?<![.#\w$])process\s*\./g, fact: "process: pure rooms do not know the process" },
  { pattern: freeName("globalThis"), fact: "globalThis: a way around the other bans" },
  { pattern: freeName("Buffer"), fact: "Buffer: pure rooms hold Uint8Array" },
  { pattern: freeName("(?:async|await)"), fact: "async: pure rooms run to completion" },
];

/** Pulls in types that the purity gate of the compiler leaves out on purpose. */
const referenceBan: Ban = { pattern: /\/\/\/\s*<reference\b/g, fact: "a reference directive" };

/** What may not be known in the rooms that a simulation must be able to replay from a seed. */
export const pureRoomsStayPure: SourceRule = (path, text) => {
  if (!path.endsWith(".ts") || !pureRooms.includes(roomOf(path) ?? "")) return [];
  const { code, comments } = scanSource(text);
  return [...violationsOf(path, code, bans), ...violationsOf(path, comments, [referenceBan])];
};

export const oneFileOwnsTheTimers: SourceRule = (path, text) => {
  if (roomOf(path) !== "net" || path === timerDoor || !path.endsWith(".ts")) return [];
  const fact = `a timer outside ${timerDoor}`;
  return violationsOf(path, scanSource(text).code, [{ pattern: timers, fact }]);
};
