import { z } from "zod";
import { durationMs, redisConnectionShape } from "./parts.js";

/** Options of the Redis check `info`: what the server says of itself with ROLE and INFO. */
export const infoOptions = z.strictObject({
  ...redisConnectionShape,
  /** Degraded in any other role. */
  require_role: z.enum(["primary", "replica"]).optional(),
  /** Degraded when a replica last heard of its primary longer ago. */
  max_lag: durationMs.optional(),
  /** Degraded when a replica has read, but not applied, more than this many bytes. */
  max_lag_bytes: z.int().min(0).optional(),
  /** A replica that lost its primary serves old data: how bad that is here. */
  stale_replica: z.enum(["degraded", "failed", "allowed"]).default("degraded"),
  /**
   * A key to write in every run, on primaries only: the one sure way to see that writes work. It expires
   * by itself. Off by default, because it changes the user's data.
   */
  canary: z.string().min(1).max(512).optional(),
});
export type InfoOptions = z.infer<typeof infoOptions>;
