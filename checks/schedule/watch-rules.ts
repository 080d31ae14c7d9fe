import type { CheckConfig } from "../../common/config/model.js";
import type { Observation, Reason } from "../../common/model/observation.js";
import { outcomeClass, type Streak } from "./streak.js";

/** The most that a reply may be late before we look again, milliseconds. */
const FAST_MAX_MS = 250;
/** The same as a share of the timeout. */
const FAST_SHARE = 1 / 8;
/** Never faster than this, however short the timeout. Milliseconds. */
const FAST_MIN_MS = 10;
/** A check that usually takes long is late only after this many times its usual latency ... */
const USUAL_FACTOR = 3;
/** ... and in any case after this share of its timeout. */
const OVERDUE_SHARE_MAX = 1 / 2;
/** Rechecks per interval that a check may sustain. */
export const RECHECKS_PER_INTERVAL = 2;
/** Looks beyond `fall` that may be in the air or saved up. */
const SPARE_LOOKS = 2;

/** How soon to look again while something is wrong. `stretch` is 1 + the level of self-doubt. */
export function fastIntervalMs(config: CheckConfig, stretch: number): number {
  return Math.max(FAST_MIN_MS, Math.min(FAST_MAX_MS, config.timeoutMs * FAST_SHARE)) * stretch;
}

/** When a reply counts as overdue, after the start of the run. `usualMs`: the smoothed latency of passes. */
export function overdueAfterMs(config: CheckConfig, stretch: number, usualMs: number): number {
  const patientMs = Math.min(usualMs * USUAL_FACTOR, config.timeoutMs * OVERDUE_SHARE_MAX * stretch);
  return Math.max(fastIntervalMs(config, stretch), patientMs);
}

/**
 * Looks of a probe in a row without a pass, after which more of them tell nothing new: whoever asked for the
 * probe has had its word, and a service that stays away is not to be hammered.
 */
export function fruitlessLooksMax(config: CheckConfig): number {
  return Math.max(config.fall, config.rise) + 2 * SPARE_LOOKS;
}

/** Looks that may be outstanding at once, so that a hung service does not collect our connections. */
export function looksAtOnce(config: CheckConfig): number {
  return Math.min(8, config.fall + SPARE_LOOKS);
}

/** Rechecks that may be saved up for one incident. */
export function recheckCapacity(config: CheckConfig): number {
  return config.fall + 2 * SPARE_LOOKS;
}

/** Refills the bucket so that rechecks stay within their share of the base rate on average. */
export function recheckRatePerMs(config: CheckConfig): number {
  return RECHECKS_PER_INTERVAL / config.everyMs;
}

export function isDown(streak: Streak, config: CheckConfig): boolean {
  return streak.outcome === "failing" && streak.count >= config.fall;
}

/** Failing, but not often enough yet to stop looking faster. */
export function isSuspicious(streak: Streak, config: CheckConfig): boolean {
  return streak.outcome === "failing" && streak.count < config.fall;
}

/** What a process that ended leaves behind for those who were talking to it. */
const EXIT_REASONS: ReadonlySet<Reason> = new Set(["refused", "reset", "closed", "unreachable"]);

export function mayBeExit(observation: Observation): boolean {
  return observation.outcome === "failed" && EXIT_REASONS.has(observation.reason);
}

/** Time between two looks of the cadence: a failing check may be looked at more often, to see its return. */
export function intervalMs(streak: Streak, config: CheckConfig): number {
  return streak.outcome === "failing" ? (config.failingEveryMs ?? config.everyMs) : config.everyMs;
}

/** Changes that somebody decides on at once; the rest may wait for a batch. */
export function isUrgent(
  before: Observation | null,
  after: Observation,
  streak: Streak,
  config: CheckConfig,
): boolean {
  if (before === null || before.outcome !== after.outcome) return true;
  return outcomeClass(after.outcome) === "failing" && streak.count <= config.fall;
}
