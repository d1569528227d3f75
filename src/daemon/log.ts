import { type LogLevel, logLevels } from "./configuration-schema.ts";
import { escapeUnseen } from "./shown-text.ts";

export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** Events are names from a fixed vocabulary; what varies goes into fields. Never session ids. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export interface LogOptions {
  /** Lines below this level are not written. */
  readonly level: LogLevel;
  /** Takes a line with its line feed. */
  write(line: string): void;
  /** Milliseconds since 1970. */
  now(): number;
}

/** One line an event: `2026-01-02T03:04:05.678Z info peer_down node=app-2 silentMs=2600`. */
export function createLog(options: LogOptions): Log {
  const lowest = logLevels.indexOf(options.level);
  const logger =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}): void => {
      if (logLevels.indexOf(level) < lowest) return;
      const words = [new Date(options.now()).toISOString(), level, quoted(event)];
      for (const [key, value] of Object.entries(fields)) {
        words.push(`${quoted(key)}=${quoted(String(value))}`);
      }
      options.write(`${words.join(" ")}\n`);
    };
  return {
    debug: logger("debug"),
    info: logger("info"),
    warn: logger("warn"),
    error: logger("error"),
  };
}

/** Printable ASCII without space, quote, equals sign and backslash needs no quotes. */
const barePattern = /^[!#-<>-[\]-~]+$/;

/** Fields may carry what a peer sent: quoted, with nothing in it that a terminal would obey. */
function quoted(text: string): string {
  if (barePattern.test(text)) return text;
  return escapeUnseen(JSON.stringify(text));
}
