const DAY_MS = 24 * 60 * 60 * 1000;

/** As in the options: a number warns. 0: never. */
export type ExpiryDays = number | { readonly warn: number; readonly degrade: number };

export type ExpiryVerdict = { readonly kind: "warn" | "degrade"; readonly text: string };

/** What to say of a certificate that ends at `endMs`; null while there is time enough. */
export function judgeExpiry(endMs: number | null, days: ExpiryDays, wallMs: number): ExpiryVerdict | null {
  if (endMs === null) return null;
  const { warn, degrade } = typeof days === "number" ? { warn: days, degrade: 0 } : days;
  const leftMs = endMs - wallMs;
  const isDue = (limit: number) => limit > 0 && leftMs <= limit * DAY_MS;
  if (!isDue(warn) && !isDue(degrade)) return null;
  const end = new Date(endMs).toISOString();
  const leftDays = Math.floor(leftMs / DAY_MS);
  const text =
    leftMs <= 0 ? `certificate ended at ${end}` : `certificate ends in ${leftDays} days, at ${end}`;
  return { kind: isDue(degrade) ? "degrade" : "warn", text };
}
