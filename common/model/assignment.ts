import type { CheckConfig, ClusterType } from "../config/model.js";
import type { NodeRef } from "./node.js";

/** A node with the checks that somebody has to run against it. */
export type ScheduledNode = {
  readonly node: NodeRef;
  /** A node removed and added again has a new epoch and starts with fresh counters. */
  readonly epoch: number;
  readonly clusterType: ClusterType;
  readonly checks: readonly CheckConfig[];
  /** Where the node stands, when known: losing targets in several zones at once makes an observer doubt itself. */
  readonly zone?: string;
};

/** How far an observer trusts itself, after Lifeguard (Dadgar et al., 2018). */
export type SelfDoubt = {
  /** 0: sure. Timeouts and intervals stretch by (1 + level). From `ABSTAIN_LEVEL` on the observer abstains. At most 8. */
  readonly level: number;
  readonly cause: string;
  readonly loopDelayP99Ms: number;
  /** Kernel's CPU pressure "some avg10" in percent; -1 where the kernel does not tell. */
  readonly cpuPressure: number;
};

/** Self-doubt from which an observer does not vote. */
export const ABSTAIN_LEVEL = 4;
