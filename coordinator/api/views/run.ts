import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import type { TriggerConfig } from "../../../common/config/model.js";
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

/** A trigger with how its newest run went. */
export function triggerView(
  cluster: string,
  trigger: TriggerConfig,
  state: StateView,
): MessageInitShape<typeof TriggerSchema> {
  const runs = [...state.runs.values()].filter(
    (run) => run.cluster === cluster && run.trigger === trigger.id,
  );
  const last = runs.at(-1);
  return {
    cluster,
    id: trigger.id,
    on: [...trigger.on],
    actions: trigger.actions.map((action) => `${action.type}: ${action.commands.join("; ")}`),
    runs: runs.length,
    lastOutcome: last?.outcome ?? "",
    ...(last === undefined ? {} : { lastAt: timestampFromMs(last.finishedAtMs ?? last.createdAtMs) }),
  };
}
