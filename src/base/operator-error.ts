/**
 * An error for the person who runs the daemon: what is the case, and what to do about it. `code`
 * is stable and documented; `fact` names the place and the value, never a session id or a key.
 */
export class OperatorError extends Error {
  override name = "OperatorError";
  readonly code: string;
  readonly fact: string;
  readonly remedy: string;

  constructor(code: string, fact: string, remedy: string, options?: { cause?: unknown }) {
    super(`${fact}. ${remedy}`, options);
    this.code = code;
    this.fact = fact;
    this.remedy = remedy;
  }
}
