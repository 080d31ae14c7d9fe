/** What bounds the extra looks of one check: `level` tokens now, refilled with time up to `capacity`. */
export type TokenBucket = { level: number; updatedMs: number };

export function fullBucket(capacity: number, nowMs: number): TokenBucket {
  return { level: capacity, updatedMs: nowMs };
}

/** Takes one token if there is one. `perMs`: tokens gained a millisecond. */
export function takeToken(bucket: TokenBucket, capacity: number, perMs: number, nowMs: number): boolean {
  bucket.level = Math.min(capacity, bucket.level + (nowMs - bucket.updatedMs) * perMs);
  bucket.updatedMs = nowMs;
  if (bucket.level < 1) return false;
  bucket.level -= 1;
  return true;
}
