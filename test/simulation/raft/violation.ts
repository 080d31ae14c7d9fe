/** Something happened that Raft excludes. `rule` is a short name, the same for every seed. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly rule: string;

  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`);
    this.rule = rule;
  }
}

/** @throws Violation unless `condition` holds. The message is made only then. */
export function must(condition: boolean, rule: string, message: () => string): asserts condition {
  if (!condition) throw new Violation(rule, message());
}
