import { z } from "zod";
import { CONFIG_DEFAULTS } from "../defaults.js";
import type { ActionConfig, TriggerEvent } from "../model.js";
import { TIMER, duration, durationOr, environment, name, oneOrMore, path, userName } from "./values.js";

const DEFAULTS = CONFIG_DEFAULTS.action;

const event = z.enum(["nodes", "changed", "active", "state"]);

const shellAction = z
  .strictObject({
    type: z.literal("shell").describe("Run commands in a shell"),
    commands: oneOrMore(z.string().min(1).max(65_536))
      .refine((commands) => commands.length > 0, { message: "is empty: give at least one command" })
      .refine((commands) => !commands.some((command) => command.includes("\0")), {
        message: "holds a NUL character",
      })
      .describe("Run in order; $NAME is the shell's. The first that fails ends the run"),
    cwd: path.optional().describe("Directory to run in"),
    env: environment.prefault({}).describe("Variables beside those of the event"),
    inherit_env: z
      .boolean()
      .default(DEFAULTS.inheritEnv)
      .describe("Pass on the coordinator's own environment"),
    timeout: durationOr(DEFAULTS.timeoutMs, TIMER).describe("Commands that run longer are killed"),
    user: userName.optional().describe("Run as this user; needs a coordinator that may change users"),
    retries: z
      .int()
      .min(0)
      .max(100)
      .default(DEFAULTS.retries)
      .describe("Further attempts after a failed one"),
  })
  .transform((action): ActionConfig => ({
    type: "shell",
    commands: action.commands,
    cwd: action.cwd ?? null,
    env: action.env,
    inheritEnv: action.inherit_env,
    timeoutMs: action.timeout,
    user: action.user ?? null,
    retries: action.retries,
  }));

const action = z.discriminatedUnion("type", [shellAction]);

/** One entry of `triggers`; its id is found when the whole list is known. */
export const trigger = z
  .strictObject({
    name: name.optional().describe("Unique in its cluster; default: the events joined by +"),
    on: oneOrMore(event)
      .refine((events) => events.length > 0, { message: "is empty: use nodes, changed, active or state" })
      .describe(
        "nodes (or changed): the set of nodes changed; active: the set of active nodes; state: one node's state",
      ),
    throttle: duration({ maxMs: TIMER.maxMs })
      .optional()
      .describe("At most one run in this time; events in between are joined"),
    env: environment.prefault({}).describe("Variables for every action"),
    do: oneOrMore(action)
      .refine((actions) => actions.length > 0, { message: "is empty: give at least one action" })
      .describe("Actions, in order"),
  })
  .transform((value) => ({
    name: value.name,
    on: [...new Set(value.on.map((word): TriggerEvent => (word === "changed" ? "nodes" : word)))],
    throttleMs: value.throttle ?? CONFIG_DEFAULTS.trigger.throttleMs,
    env: value.env,
    actions: value.do,
  }));
