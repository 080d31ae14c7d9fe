import type { TriggerConfig } from "../../common/config/model.js";
import type { Context } from "./context.js";
import type { RunRecord, TriggerEventData } from "./model.js";
import { activeAddrs, clusterConfig, clusterNodes } from "./state.js";
import type { State } from "./state.js";

/** What can fire triggers, as `settle` has found it in one entry. */
export type Firing =
  | { readonly type: "nodes" | "active"; readonly cluster: string }
  | {
      readonly type: "state";
      readonly cluster: string;
      readonly node: NonNullable<TriggerEventData["node"]>;
    };

/**
 * Makes the runs that an entry's events call for, alike on every member. A trigger on both `active` and
 * `nodes` gets one run when both happened at once, and one per node on `state`.
 */
export function createRuns(context: Context, firings: readonly Firing[]): void {
  let ordinal = 0;
  const clusters = [...new Set(firings.map((firing) => firing.cluster))];
  for (const name of clusters) {
    const cluster = clusterConfig(context.state, name);
    if (cluster === undefined) continue;
    const inCluster = firings.filter((firing) => firing.cluster === name);
    for (const trigger of cluster.triggers) {
      for (const firing of firingsOf(trigger, inCluster)) {
        if (createRun(context, trigger, firing, `${context.index}.${ordinal}`)) ordinal++;
      }
    }
  }
}

function firingsOf(trigger: TriggerConfig, firings: readonly Firing[]): readonly Firing[] {
  const isOn = (firing: Firing): boolean => trigger.on.includes(firing.type);
  const perNode = firings.filter((firing) => firing.type === "state" && isOn(firing));
  const active = firings.find((firing) => firing.type === "active" && isOn(firing));
  const nodes = firings.find((firing) => firing.type === "nodes" && isOn(firing));
  const ofCluster = active ?? nodes;
  return ofCluster === undefined ? perNode : [...perNode, ofCluster];
}

/** False when a run that has not begun yet took the event instead. */
function createRun(context: Context, trigger: TriggerConfig, firing: Firing, id: string): boolean {
  const { state, atMs, index } = context;
  const event = eventData(context, firing);
  const previous = trigger.throttleMs > 0 ? lastRun(state, firing.cluster, trigger.id) : undefined;
  if (previous?.outcome === "pending" && previous.attempts === 0) {
    state.runs.set(previous.id, { ...previous, event, eventIndex: index });
    return false;
  }
  const earliestMs =
    previous === undefined ? 0 : (previous.startedAtMs ?? previous.notBeforeMs) + trigger.throttleMs;
  state.runs.set(id, {
    id,
    cluster: firing.cluster,
    trigger: trigger.id,
    event,
    eventIndex: index,
    createdAtMs: atMs,
    outcome: "pending",
    notBeforeMs: Math.max(atMs, earliestMs),
    startedAtMs: null,
    finishedAtMs: null,
    attempts: 0,
    exitCode: null,
    signal: null,
    outputTail: "",
    error: "",
  });
  return true;
}

function lastRun(state: State, cluster: string, trigger: string): RunRecord | undefined {
  let last: RunRecord | undefined;
  for (const run of state.runs.values()) if (run.cluster === cluster && run.trigger === trigger) last = run;
  return last;
}

function eventData(context: Context, firing: Firing): TriggerEventData {
  return {
    type: firing.type,
    cluster: firing.cluster,
    index: context.index,
    atMs: context.atMs,
    activeAddrs: activeAddrs(context.state, firing.cluster),
    allAddrs: clusterNodes(context.state, firing.cluster)
      .map((node) => node.addr)
      .sort(),
    node: firing.type === "state" ? firing.node : null,
  };
}
