import type { Random } from "../common/random.js";

export type Backoff = { readonly firstMs: number; readonly maxMs: number };

/** Doubles from `firstMs` to `maxMs`. */
export const RECONNECT: Backoff = { firstMs: 200, maxMs: 10_000 };
/** After a coordinator has said no: it will probably say it again. */
export const REFUSED: Backoff = { firstMs: 5_000, maxMs: 60_000 };

/**
 * How long to wait before the next attempt: anything up to a bound that doubles ("full jitter"), so that a
 * thousand agents do not come back in one moment.
 * @param failures attempts in a row that failed, at least 1.
 */
export function backoffMs(backoff: Backoff, failures: number, random: Random): number {
  return random() * Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(failures - 1, 30));
}
