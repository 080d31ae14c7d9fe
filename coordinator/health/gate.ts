/** Whether a decided change may be committed now, apart from budgets; and if not, why, in words. */
import type { PolicyConfig } from "../../common/config/model.js";
import type { NodeState } from "../../common/model/node.js";
import type { NodeRecord } from "../state/model.js";
import { heldStateOf } from "../state/state.js";
import { returnDelayMs } from "./damping.js";

export type Change = {
  readonly record: Pick<NodeRecord, "state" | "heldState" | "damping">;
  readonly to: NodeState;
  readonly isConclusive: boolean;
};

export type GateContext = {
  readonly policy: Pick<PolicyConfig, "isDampingEnabled">;
  readonly isInPanic: boolean;
  /** Leader's time, Unix milliseconds. */
  readonly leaderNowMs: number;
  /** This coordinator just began to lead, or stood still: it has not heard everybody yet. Milliseconds. */
  readonly warmUpLeftMs: number;
};

/** Null: nothing holds it. */
export function holdOf(change: Change, context: GateContext): string | null {
  const { record, to, isConclusive } = change;
  if (isConclusive) return null;
  if (to !== "healthy") {
    if (context.warmUpLeftMs <= 0) return null;
    return `this coordinator has to hear everybody first, for another ${seconds(context.warmUpLeftMs)}`;
  }
  const held = heldStateOf(record);
  const isReturn = held === "down" || held === "degraded";
  if (!isReturn || !context.policy.isDampingEnabled || context.isInPanic) return null;
  const delayMs = returnDelayMs(record.damping, context.leaderNowMs);
  return delayMs === 0 ? null : `it failed too often: return is damped for another ${seconds(delayMs)}`;
}

function seconds(durationMs: number): string {
  return `${Math.ceil(durationMs / 1_000)} s`;
}
