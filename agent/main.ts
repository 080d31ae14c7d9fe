import { haproxyApplierFactory } from "../appliers/haproxy/applier.js";
import { createCheck } from "../checks/registry.js";
import { createSchedule } from "../checks/schedule/create.js";
import { openTlsSource } from "../common/tls/source.js";
import type { AgentParts, RunningAgent } from "./agent.js";
import { runAgentOf } from "./agent.js";
import { connectGrpc } from "./stream.js";

/** A test may bring its own parts. */
export type AgentOptions = Omit<AgentParts, "createSchedule" | "createApplier" | "connect" | "onStarted"> &
  Partial<Pick<AgentParts, "createSchedule" | "createApplier" | "connect">> & {
    readonly onStarted?: (agent: RunningAgentProgram) => void;
  };

export type RunningAgentProgram = RunningAgent & {
  /** Reads its certificates now. @returns Whether they changed. @throws ClusterduckError when they cannot be used. */
  readonly reloadTls: () => Promise<boolean>;
};

/**
 * duck-agent with its real checks, proxies and connections; for the program and for the embedded form.
 * @throws ClusterduckError as `runAgentOf`, and when its certificates cannot be used.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { config, clock, random, logger } = options;
  const { execChecks, stateDir } = config;
  const tls =
    config.tls === null
      ? null
      : await openTlsSource({
          config: config.tls,
          expected: { role: "agent", name: config.id },
          clock,
          logger: logger.child("tls"),
        });
  try {
    await runAgentOf({
      createSchedule: (onReports) => createSchedule({ clock, random, createCheck, execChecks, onReports }),
      createApplier: haproxyApplierFactory({ stateDir, clock }),
      connect: connectGrpc(tls),
      ...options,
      onStarted: (agent) => {
        tls?.onChange(() => agent.retry());
        options.onStarted?.({ ...agent, reloadTls: async () => tls?.reload() ?? false });
      },
    });
  } finally {
    tls?.close();
  }
}
