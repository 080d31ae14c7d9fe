import { isDeepStrictEqual } from "node:util";
import type { CheckConfig } from "../../common/config/model.js";
import type { NodeRef } from "../../common/model/node.js";
import type { ScheduledNode } from "../schedule.js";
import type { WatchTarget } from "./watch.js";

/** Which check of which node. A line break stands in none of the parts. */
export function watchKey(of: { readonly node: NodeRef; readonly epoch: number }, check: CheckConfig): string {
  return `${of.node.cluster}\n${of.node.addr}\n${of.epoch}\n${check.id}`;
}

/** Whether a watch can go on with another config: what its connections were made from is the same. */
export function isSameCheck(target: WatchTarget, node: ScheduledNode, check: CheckConfig): boolean {
  const { config } = target;
  if (target.clusterType !== node.clusterType) return false;
  if (config === check) return true;
  return (
    config.type === check.type &&
    config.timeoutMs === check.timeoutMs &&
    isDeepStrictEqual(config.options, check.options)
  );
}
