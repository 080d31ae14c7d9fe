/**
 * The core has found itself, its storage or a peer in a state that Raft excludes. Going on could lose
 * acknowledged entries, so the process must end; whoever catches this has only that to do.
 */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/** @throws InvariantViolation unless `condition` holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}
