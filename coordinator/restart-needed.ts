import type { AgentConfig, CoordinatorConfig, FileConfig } from "../common/config/model.js";

/** Names in the file where they are not the model's own in snake case. */
const NAMES_IN_FILE: Readonly<Record<string, string>> = { grpc: "listen" };

/** What of the agent's section a running embedded agent cannot take; all else of it takes effect at once. */
type AgentStartSettings = Pick<AgentConfig, "id" | "stateDir" | "execChecks" | "tls">;

/** What of a coordinator's file its process takes at its start only. */
export type ProcessSettings = {
  readonly coordinator: CoordinatorConfig;
  /** A coordinator alone takes only the commands of exec checks from it. */
  readonly agent: Partial<AgentStartSettings>;
};

export function settingsOf({ coordinator, agent }: FileConfig, hasAgent: boolean): ProcessSettings {
  return { coordinator, agent: hasAgent ? agentStartSettings(agent) : { execChecks: agent.execChecks } };
}

export function agentStartSettings({ id, stateDir, execChecks, tls }: AgentConfig): AgentStartSettings {
  return { id, stateDir, execChecks, tls };
}

/** The settings that differ, as the file names them: they need a restart. */
export function changedSettings(before: ProcessSettings, after: ProcessSettings): readonly string[] {
  const { raft: raftBefore, ...coordinatorBefore } = before.coordinator;
  const { raft: raftAfter, ...coordinatorAfter } = after.coordinator;
  return [
    ...differing("coordinator", coordinatorBefore, coordinatorAfter),
    ...(isSame(raftBefore, raftAfter) ? [] : ["transports"]),
    ...differing("agent", before.agent, after.agent),
  ];
}

function differing(
  section: string,
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): readonly string[] {
  return Object.keys(after)
    .filter((key) => !isSame(before[key], after[key]))
    .map((key) => `${section}.${NAMES_IN_FILE[key] ?? snakeCase(key)}`);
}

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
