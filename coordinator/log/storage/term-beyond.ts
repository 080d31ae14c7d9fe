/**
 * Wider than any number of elections. Whoever begins anew does not know what terms others have come to since, while
 * proxies and agents refuse orders of a term before the one they have seen last.
 */
const TERM_JUMP = 2 ** 20;

/** A term for a new beginning, later than all that came of these. Terms are exact up to 2 ** 53. */
export function termBeyond(...known: readonly number[]): number {
  return Math.max(0, ...known) + TERM_JUMP;
}
