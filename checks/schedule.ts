import type { CheckConfig } from "../common/config/model.js";
import type { ScheduledNode, SelfDoubt } from "../common/model/assignment.js";
import type { Observation, ObservationReport } from "../common/model/observation.js";

export type { ScheduledNode, SelfDoubt } from "../common/model/assignment.js";

export type ScheduleStats = {
  readonly checks: number;
  readonly runs: number;
  /** Start of a run behind its cadence, median of the last ten seconds, milliseconds. */
  readonly latenessP50Ms: number;
  /** The same, 99th percentile of the last ten seconds, milliseconds. */
  readonly latenessP99Ms: number;
  /** Reports dropped because a stall of this process overlapped them. */
  readonly tainted: number;
};

/** Runs checks at a fixed cadence and reports every observation. Used by agents and coordinators alike. */
export interface Schedule {
  /** The whole set from now on. Nodes and checks that did not change keep their cadence, connections and counters. */
  assign(nodes: readonly ScheduledNode[]): void;
  /**
   * Looks at a node at once and every fast interval for `durationMs`, whether it is assigned or not:
   * somebody else doubts it.
   */
  probe(node: ScheduledNode, durationMs: number): void;
  /** Runs one check now, on a connection of its own, and changes no counters. */
  runOnce(node: ScheduledNode, check: CheckConfig): Promise<Observation>;
  /** The last report of every check, whatever its age: what a coordinator that just connected wants first. */
  latest(): readonly ObservationReport[];
  selfDoubt(): SelfDoubt;
  stats(): ScheduleStats;
  close(): void;
}
