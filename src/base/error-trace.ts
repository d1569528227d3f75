import { AssertionError } from "./assert.ts";

/**
 * What went wrong without its words: the kind of the error and the places in the program, as in
 * `TypeError ERR_OUT_OF_RANGE` and lines that begin with `    at`. Messages of the runtime and of
 * libraries quote what they choked on, which may be a session id or a value.
 */
export function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return `a ${typeof error} was thrown`;
  const code = wordOf(error, "code", /^[A-Z][A-Z0-9_]{0,60}$/);
  const syscall = wordOf(error, "syscall", /^[a-z_]{1,40}$/);
  const head = [kindOf(error), ...code, ...syscall];
  return [head.join(" "), ...framesOf(error)].join("\n");
}

/** Names are set by whoever throws; one that is no name of a class is left out. */
function kindOf(error: Error): string {
  // Their words are ours, and constant.
  if (error instanceof AssertionError) return String(error);
  return /^[A-Z]\w{0,60}$/.test(error.name) ? error.name : "Error";
}

function wordOf(error: Error, key: string, form: RegExp): string[] {
  const value: unknown = Reflect.get(error, key);
  return typeof value === "string" && form.test(value) ? [value] : [];
}

/** The stack begins with the message, which may look like anything, also like a frame. */
function framesOf({ stack = "", message }: Error): string[] {
  const end = message === "" ? 0 : stack.indexOf(message) + message.length;
  if (message !== "" && end < message.length) return [];
  return stack
    .slice(end)
    .split("\n")
    .filter((line) => /^ {4}at .*\d\)?$/.test(line));
}
