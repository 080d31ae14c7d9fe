import type { Random } from "../../common/random.js";

/** Half the width of the jitter, as a share of the interval. */
const JITTER = 0.1;
/** A new check gets its first look within this time, however long its interval. Milliseconds. */
const FIRST_LOOK_WITHIN_MS = 1_000;

/**
 * When the runs of one check begin: a fixed grid, and a jitter around each of its points. The grid is never
 * moved by what happened (late starts, jitter, long runs), so a thousand intervals later it has not drifted.
 */
export type Cadence = {
  /** The grid point of the next run. Clock's milliseconds. */
  readonly gridMs: number;
  /** When the next run begins. */
  readonly dueMs: number;
};

/** Checks that begin in one second: each opens a connection, which costs ten times what a run over it does. */
const STARTS_PER_SECOND = 500;

/** How long the first looks of so many checks that begin together are spread. Milliseconds. */
export function spreadMs(starting: number): number {
  return (starting / STARTS_PER_SECOND) * 1_000;
}

/** The first points of many checks spread over the interval, or over `spreadMs`, so that they do not run in step. */
export function startCadence(intervalMs: number, nowMs: number, random: Random, spreadMs = 0): Cadence {
  const gridMs = nowMs + random() * Math.max(intervalMs, spreadMs);
  return { gridMs, dueMs: gridMs };
}

/**
 * When to look for the first time ahead of the grid, so that a check of every minute does not leave its node
 * unknown for a minute; null: the grid is soon enough.
 */
export function firstLookMs(cadence: Cadence, nowMs: number, random: Random, spreadMs = 0): number | null {
  const withinMs = Math.max(FIRST_LOOK_WITHIN_MS, spreadMs);
  return cadence.dueMs - nowMs > withinMs ? nowMs + random() * withinMs : null;
}

/** The run after this one. Points that passed meanwhile (a stall) are left out, not made up for. */
export function nextCadence(cadence: Cadence, intervalMs: number, nowMs: number, random: Random): Cadence {
  const behindMs = nowMs - (cadence.gridMs + intervalMs);
  const skipped = behindMs > 0 ? Math.ceil(behindMs / intervalMs - JITTER) : 0;
  const gridMs = cadence.gridMs + intervalMs * (1 + Math.max(0, skipped));
  return { gridMs, dueMs: gridMs + (random() * 2 - 1) * JITTER * intervalMs };
}

/** A changed interval: the next run comes no later than the new interval allows, the rest follows from there. */
export function retime(cadence: Cadence, intervalMs: number, nowMs: number, random: Random): Cadence {
  return cadence.dueMs - nowMs <= intervalMs ? cadence : startCadence(intervalMs, nowMs, random);
}
