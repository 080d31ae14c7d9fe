/** What the leader commits besides cuts because time passed or an agent came or went. */
import { nodeKey } from "../../common/model/node.js";
import type { NodeRecord, StateView } from "../state/model.js";
import type { Command } from "../state/commands.js";
import { expiredOverlays } from "../state/overlays.js";

/** An agent as this coordinator sees it. */
export type SeenAgent = {
  readonly id: string;
  readonly bootId: string;
  readonly host: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly isConnected: boolean;
  readonly proxies: readonly string[];
  readonly networkIdentity: string;
  readonly lostCause: string;
};

/** A command with a name of its own, so that nobody proposes it twice at once. */
export type Chore = { readonly key: string; readonly command: Command };

/** An agent that comes back within this time was never lost. Milliseconds. */
export const AGENT_GRACE_MS = 3_000;

/** Agents that came, changed, or have been away for the grace; `awaySinceMs` in the time of `nowMs`. */
export function agentChores(
  state: Pick<StateView, "agents">,
  seen: readonly SeenAgent[],
  awaySinceMs: (agentId: string) => number,
  nowMs: number,
): readonly Chore[] {
  const found = seen
    .filter((agent) => agent.isConnected && !isRecorded(state, agent))
    .map(({ id, bootId, host, zone, labels, version, proxies, networkIdentity }): Chore => {
      const agent = { id, bootId, host, zone, labels, version, proxies, networkIdentity };
      return { key: `agent ${id}`, command: { type: "agentFound", agent } };
    });
  const here = new Map(seen.map((agent) => [agent.id, agent]));
  const lost = [...state.agents.values()]
    .filter((record) => record.state === "connected" && here.get(record.id)?.isConnected !== true)
    .filter((record) => nowMs - awaySinceMs(record.id) >= AGENT_GRACE_MS)
    .map(({ id, bootId }): Chore => {
      const cause = here.get(id)?.lostCause ?? "";
      const command = {
        type: "agentLost",
        agentId: id,
        bootId,
        cause: cause || "it did not connect",
      } as const;
      return { key: `agent ${id}`, command };
    });
  return [...found, ...lost];
}

/** Overlays that ended, and nodes that stayed down for `purge_unavailable`. `leaderNowMs`: Unix milliseconds. */
export function nodeChores(
  state: Pick<StateView, "nodes" | "config">,
  leaderNowMs: number,
): readonly Chore[] {
  const ended = expiredOverlays(state, leaderNowMs).map(({ node, untilMs }): Chore => ({
    key: `overlay ${nodeKey(node)}`,
    // An operator may be setting a new one in this moment: only the one that ran out is ended.
    command: { type: "setOverlay", node, overlay: null, ifUntilMs: untilMs },
  }));
  const reason = "down for longer than purge_unavailable";
  const purged = [...state.nodes]
    .filter(([, record]) => isPurgeDue(record, state, leaderNowMs))
    .map(([key, { cluster, addr }]): Chore => ({
      key: `purge ${key}`,
      command: { type: "removeNode", node: { cluster, addr }, reason },
    }));
  return [...ended, ...purged];
}

function isRecorded(state: Pick<StateView, "agents">, agent: SeenAgent): boolean {
  const record = state.agents.get(agent.id);
  return (
    record?.state === "connected" &&
    record.bootId === agent.bootId &&
    record.host === agent.host &&
    record.zone === agent.zone &&
    record.version === agent.version &&
    record.networkIdentity === agent.networkIdentity &&
    sameEntries(Object.entries(record.labels), Object.entries(agent.labels)) &&
    sameEntries(record.proxies, agent.proxies)
  );
}

function sameEntries(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());
}

/** A node that an operator set aside may stay down as long as it likes. */
function isPurgeDue(record: NodeRecord, state: Pick<StateView, "config">, leaderNowMs: number): boolean {
  const afterMs = state.config.value.clusters[record.cluster]?.purgeUnavailableMs ?? null;
  if (afterMs === null || record.state !== "down") return false;
  const isSetAside = record.overlay !== null && record.overlay.kind !== "spare";
  return !isSetAside && leaderNowMs - record.sinceMs >= afterMs;
}
