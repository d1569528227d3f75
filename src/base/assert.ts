/**
 * Assertions are for our own bugs: a broken invariant stops the process before it can spread to
 * peers. Foreign input (datagrams, socket frames, configuration) never meets an assertion; it gets
 * a value that says what is wrong.
 *
 * The message names the rule that broke, never a session id or a value: it may end up in a log.
 */
export function assert(condition: unknown, rule: string): asserts condition {
  if (!condition) throw new AssertionError(rule);
}

export class AssertionError extends Error {
  override name = "AssertionError";

  constructor(rule: string) {
    super(`broken invariant: ${rule}`);
  }
}

/** Marks a branch that the type checker knows to be impossible. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable branch reached with ${typeof value}`);
}
