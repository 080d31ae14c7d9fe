import type { CheckConfig, ClusterType, ExecCommandConfig } from "../common/config/model.js";
import type { Address } from "../common/model/address.js";
import type { NodeRef } from "../common/model/node.js";
import type { Observation } from "../common/model/observation.js";

/** One check of one node, ready to run. Owns its connections. */
export interface Check {
  /**
   * Looks once. Never throws for what the service does: that is an observation. Must settle soon after
   * `signal` aborts (its timeout has passed); the caller then counts the check as timed out.
   * Runs may overlap: when a reply is overdue, the next run uses a standby connection. A signal that did not
   * abort may come again with a later run, so a run takes its listeners off the signal before it settles.
   */
  run(signal: AbortSignal): Promise<Observation>;
  /** Ends connections and children. Idempotent. */
  close(): void;
}

export type CheckContext = {
  readonly node: NodeRef;
  readonly address: Address;
  readonly clusterType: ClusterType;
  readonly config: CheckConfig;
  /** Commands that this process's own configuration allows, by name. Key: the check's `command`. */
  readonly execChecks: Readonly<Record<string, ExecCommandConfig>>;
  /**
   * The service closed an idle connection or refused one outside of a run: worth looking at once.
   * The schedule bounds how often it listens.
   */
  readonly onConnectionLost: () => void;
};

/** Makes a check of one type. Throws ClusterduckError CONFIG_INVALID for options that cannot work here. */
export type CheckFactory = (context: CheckContext) => Check;
