import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import type { ClusterConfig, TriggerConfig } from "../../../common/config/model.js";
import type { RunSchema, TriggerSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import type { RunRecord, StateView } from "../../state/model.js";

/** One execution of a trigger. */
export function runView(run: RunRecord): MessageInitShape<typeof RunSchema> {
  return {
    id: run.id,
    cluster: run.cluster,
    trigger: run.trigger,
    event: run.event.type,
    eventIndex: BigInt(run.eventIndex),
    outcome: run.outcome,
    createdAt: timestampFromMs(run.createdAtMs),
    ...(run.startedAtMs === null ? {} : { startedAt: timestampFromMs(run.startedAtMs) }),
    ...(run.finishedAtMs === null ? {} : { finishedAt: timestampFromMs(run.finishedAtMs) }),
    ...(run.exitCode === null ? {} : { exitCode: run.exitCode }),
    signal: run.signal ?? "",
    outputTail: run.outputTail,
    error: run.error,
    attempts: run.attempts,
  };
}

/** Every trigger of some clusters, with how its newest run went. */
export function triggerViews(
  clusters: readonly ClusterConfig[],
  state: StateView,
): MessageInitShape<typeof TriggerSchema>[] {
  const runs = new Map<string, { count: number; last: RunRecord }>();
  for (const run of state.runs.values()) {
    const key = `${run.cluster}/${run.trigger}`;
    runs.set(key, { count: (runs.get(key)?.count ?? 0) + 1, last: run });
  }
  return clusters.flatMap((cluster) =>
    cluster.triggers.map((trigger) =>
      triggerView(cluster.name, trigger, runs.get(`${cluster.name}/${trigger.id}`)),
    ),
  );
}

function triggerView(
  cluster: string,
  trigger: TriggerConfig,
  runs: { readonly count: number; readonly last: RunRecord } | undefined,
): MessageInitShape<typeof TriggerSchema> {
  const last = runs?.last;
  return {
    cluster,
    id: trigger.id,
    on: [...trigger.on],
    actions: trigger.actions.map((action) => `${action.type}: ${action.commands.join("; ")}`),
    runs: runs?.count ?? 0,
    lastOutcome: last?.outcome ?? "",
    ...(last === undefined ? {} : { lastAt: timestampFromMs(last.finishedAtMs ?? last.createdAtMs) }),
  };
}
