import parseLibraryDuration from "parse-duration";
import { ClusterduckError } from "./errors.js";

export type DurationLimits = {
  /** Shortest that is accepted, milliseconds. */
  readonly minMs: number;
  readonly maxMs: number;
};

/** Ten years: whoever writes more has mistaken the unit. */
export const LONGEST_DURATION_MS = 3_650 * 86_400_000;
const ANY_DURATION: DurationLimits = { minMs: 0, maxMs: LONGEST_DURATION_MS };

// The library skips over what it does not know ("1h or so" would be 1h), so the whole text is checked first.
const UNIT = "(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)";
const NUMBER = String.raw`\d{1,15}(?:\.\d{1,9})?`;
const DURATION = new RegExp(
  `^${NUMBER}(?:${UNIT}(?: ?${NUMBER}${UNIT})*| ${UNIT}(?: ${NUMBER} ?${UNIT})*)?$`,
  "i",
);

/**
 * Reads `500ms`, `10s`, `1m30s`, `1.5h`, `2d`; a bare number is milliseconds. Gives whole milliseconds.
 * @throws ClusterduckError INVALID_ARGUMENT that names the value and what would work.
 */
export function parseDuration(value: string | number, limits: DurationLimits = ANY_DURATION): number {
  const parsed = typeof value === "number" ? value : readText(value.trim());
  if (parsed === null || !Number.isFinite(parsed)) {
    throw invalid(value, "is not a duration: use for example 500ms, 10s, 1m30s or 2h");
  }
  const durationMs = Math.round(parsed);
  if (durationMs < 0) throw invalid(value, "is negative");
  if (durationMs < limits.minMs)
    throw invalid(value, `is too short: at least ${formatDuration(limits.minMs)}`);
  if (durationMs > limits.maxMs) throw invalid(value, `is too long: at most ${formatDuration(limits.maxMs)}`);
  return durationMs;
}

/** The shortest exact text: `1m30s`, `250ms`, `2d`. `parseDuration` reads it back. Fractions of a millisecond are rounded. */
export function formatDuration(durationMs: number): string {
  let rest = Math.round(durationMs);
  if (rest < 0) return `-${formatDuration(-rest)}`;
  if (rest === 0) return "0s";
  const parts: string[] = [];
  for (const [unit, lengthMs] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
    ["ms", 1],
  ] as const) {
    const count = Math.floor(rest / lengthMs);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * lengthMs;
  }
  return parts.join("");
}

function readText(text: string): number | null {
  // A leading minus is let through so that the message can say "negative" rather than "not a duration".
  const isNegative = text.startsWith("-");
  const magnitude = isNegative ? text.slice(1) : text;
  if (!DURATION.test(magnitude)) return null;
  const parsed = parseLibraryDuration(magnitude);
  return parsed === undefined || parsed === null ? null : isNegative ? -Math.max(parsed, 1) : parsed;
}

function invalid(value: string | number, problem: string): ClusterduckError {
  return new ClusterduckError("INVALID_ARGUMENT", `${JSON.stringify(value)} ${problem}`);
}
