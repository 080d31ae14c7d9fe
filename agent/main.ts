import { haproxyApplierFactory } from "../appliers/haproxy/applier.js";
import { createCheck } from "../checks/registry.js";
import { createSchedule } from "../checks/schedule/create.js";
import type { AgentParts } from "./agent.js";
import { runAgentOf } from "./agent.js";
import { connectGrpc } from "./stream.js";

/** A test may bring its own parts. */
export type AgentOptions = Omit<AgentParts, "createSchedule" | "createApplier" | "connect"> &
  Partial<Pick<AgentParts, "createSchedule" | "createApplier" | "connect">>;

/** duck-agent with its real checks, proxies and connections; for the program and for the embedded form. */
export function runAgent(options: AgentOptions): Promise<void> {
  const { config, clock, random } = options;
  const { execChecks, stateDir } = config;
  return runAgentOf({
    createSchedule: (onReports) => createSchedule({ clock, random, createCheck, execChecks, onReports }),
    createApplier: haproxyApplierFactory({ stateDir, clock }),
    connect: connectGrpc,
    ...options,
  });
}
