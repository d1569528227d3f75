/** What kind of failure a run ended with; the process exits with the number. */
export const exitCodes = { crash: 127, liveness: 128, invariant: 129 } as const;

export type FailureKind = keyof typeof exitCodes;

/** A property that does not hold. `rule` is a stable name, `detail` says where and how. */
export class Violation extends Error {
  override name = "Violation";
  readonly kind: FailureKind;
  readonly rule: string;
  readonly detail: string;

  constructor(rule: string, detail: string, kind: FailureKind = "invariant") {
    super(`${rule}: ${detail}`);
    this.kind = kind;
    this.rule = rule;
    this.detail = detail;
  }
}

/** Details are made only when the property fails: most are checked at every step. */
export function hold(condition: boolean, rule: string, detail: () => string): void {
  if (!condition) throw new Violation(rule, detail());
}
