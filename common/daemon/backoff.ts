const FIRST_MS = 500;
const LONGEST_MS = 30_000;
/** A child that lived this long was well; its end counts as the first again. */
const WELL_AFTER_MS = 60_000;

/** How often a child ended soon after its start, in a row. */
export type Crashes = { readonly inARow: number };

export const NO_CRASHES: Crashes = { inARow: 0 };

/** Counts an end after `livedMs`, and says how long to wait before the next start. */
export function afterCrash(
  crashes: Crashes,
  livedMs: number,
): { readonly crashes: Crashes; readonly delayMs: number } {
  const inARow = livedMs >= WELL_AFTER_MS ? 1 : crashes.inARow + 1;
  return { crashes: { inARow }, delayMs: Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(inARow - 1, 16)) };
}
