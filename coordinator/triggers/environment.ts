import type { ActionConfig, TriggerConfig } from "../../common/config/model.js";
import type { RunRecord } from "../state/model.js";

/** Variables that a command needs to find its programs, whatever `inherit_env` says. */
const ALWAYS_PASSED = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"] as const;

/**
 * The environment of a trigger's command: the seed's names (`CLUSTER`, `nodes_active_addrs` as a JSON array,
 * `nodes_active_count`), what happened, then the trigger's `env` and the action's `env`, which win.
 */
export function environmentOf(
  run: RunRecord,
  trigger: TriggerConfig,
  action: ActionConfig,
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const { event } = run;
  const passed = action.inheritEnv ? Object.keys(own) : ALWAYS_PASSED;
  return {
    ...definedOf(own, passed),
    CLUSTER: event.cluster,
    EVENT: event.type,
    EVENT_INDEX: String(event.index),
    RUN_ID: run.id,
    TRIGGER: run.trigger,
    nodes_active_addrs: JSON.stringify(event.activeAddrs),
    nodes_active_count: String(event.activeAddrs.length),
    nodes_addrs: JSON.stringify(event.allAddrs),
    nodes_count: String(event.allAddrs.length),
    ...(event.node === null
      ? {}
      : {
          NODE: event.node.addr,
          NODE_FROM: event.node.from,
          NODE_STATE: event.node.to,
          NODE_CAUSE: event.node.cause,
        }),
    ...trigger.env,
    ...action.env,
  };
}

/** The whole event, for the command's standard input. */
export function eventJson(run: RunRecord): string {
  return `${JSON.stringify({ run: run.id, trigger: run.trigger, attempt: run.attempts, ...run.event })}\n`;
}

function definedOf(
  own: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const pairs = names.flatMap((name) => {
    const value = own[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(pairs);
}
