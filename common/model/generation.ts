import { createHash } from "node:crypto";

/** Environment variable that a rendered HAProxy configuration sets, so that the running worker can be asked what it loaded. */
export const GENERATION_VARIABLE = "CD_GEN";

const MARKER_LINE = new RegExp(`^[ \\t]*setenv ${GENERATION_VARIABLE} .*\\n`, "m");
const MARKER_DIGITS = 16;

/**
 * Content hash of a rendered text: what "generation" means on both sides of a delivery. The marker line
 * holds the generation itself, so it does not count.
 */
export function generationOf(text: string): string {
  return createHash("sha256").update(text.replace(MARKER_LINE, "")).digest("hex");
}

/** The generation as the marker in the proxy's environment shows it. */
export function markerOf(generation: string): string {
  return generation.slice(0, MARKER_DIGITS);
}
