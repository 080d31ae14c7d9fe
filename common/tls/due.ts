import type { Certificate } from "./certificate.js";

/** A third of the lifetime, but no more than this, milliseconds. */
const RENEW_BEFORE_MAX_MS = 30 * 86_400_000;

/** Whether a certificate should be renewed, or should have been. */
export function isDue({ notBeforeMs, notAfterMs }: Certificate, wallMs: number): boolean {
  return notAfterMs - wallMs < Math.min(RENEW_BEFORE_MAX_MS, (notAfterMs - notBeforeMs) / 3);
}
