import type { ProxyTargetConfig } from "../common/config/model.js";
import type { ApplyOutcome, Bundle } from "../common/model/delivery.js";

export type { ApplyOutcome, Bundle, Fencing, RenderedFile } from "../common/model/delivery.js";

/** One proxy on this host. Validates, writes, reloads, reads back and, when that fails, puts the last good one back. */
export interface Applier {
  /** Never throws for what the proxy or the disk does: that is an outcome with an error. One at a time per proxy. */
  apply(bundle: Bundle, signal: AbortSignal): Promise<ApplyOutcome>;
  /** What is on disk and what the proxy runs, without changing anything. */
  observe(): Promise<{ appliedGeneration: string; observedGeneration: string; error: string }>;
}

export type ApplierFactory = (options: {
  readonly balancer: string;
  readonly target: ProxyTargetConfig;
  readonly mode: "file" | "include" | "marker";
}) => Applier;
