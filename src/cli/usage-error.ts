/** What was typed cannot be understood; exit code 2, as shells have it. */
export class UsageError extends Error {
  override name = "UsageError";
}
