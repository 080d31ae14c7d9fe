/*
 * What the replicated state keeps at most. Everything here is held in memory by every coordinator and
 * written into every snapshot; what must be kept longer belongs into the metrics and log stores of the user.
 */

export const MAX_EVENTS = 10_000;
export const MAX_CUTS = 2_000;
/** Finished runs of one cluster's triggers; pending and started ones are always kept. */
export const MAX_FINISHED_RUNS_PER_CLUSTER = 1_000;
/** End of a run's output that is kept, characters. */
export const MAX_OUTPUT_TAIL = 16_384;

/** Answers of requests, kept for whoever asks again because the first answer was lost. */
export const MAX_REQUESTS = 10_000;
/** So long after a request its answer is kept, milliseconds of the log's stamps. */
export const REQUESTS_KEPT_MS = 600_000;

/** Drops the oldest. */
export function keepLast<T>(list: T[], count: number): void {
  if (list.length > count) list.splice(0, list.length - count);
}
